/** Policies of the node proxies: from AuthorizationPolicies without targetRefs, and from PeerAuthentications. */
import type { AuthorizationPolicy } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import { type Authorization, authorize } from "./authorization.ts";
import type { Policy } from "./model.ts";
import { wirePeerAuthentications } from "./peer-authentication.ts";
import { hasTargets, wireTargetConditions } from "./policy-targets.ts";
import type { MeshCondition, ObjectConditions } from "./problem.ts";
import { type Refusal, type Refusals, sentence } from "./refusals.ts";
import { anyNamespace, filedUnder, type Labels, placesOf, selects } from "./selector.ts";
import type { MeshSources } from "./sources.ts";

export interface Policies {
  /** Key `<ns>/<name>`. */
  readonly rows: Collection<Policy>;
  readonly conditions: Collection<ObjectConditions>;
  /** Keys of the policies that select a pod by its labels, in key order. */
  readonly selecting: (read: Reader, namespace: string, labels: Labels) => readonly string[];
}

interface Judged extends Authorization {
  readonly key: string;
  /** Namespace it selects in; every one for the root namespace. */
  readonly selectsIn: string;
  readonly selector: Labels;
  readonly generation: number | undefined;
  readonly isDryRun: boolean;
}

const dryRun = "istio.io/dry-run";

export function wirePolicies(graph: Graph, sources: MeshSources, refusals: Refusals): Policies {
  const judged = graph.derive<AuthorizationPolicy, Judged>(
    "authorizations",
    sources.authorizationPolicies,
    function* (row, _r, key) {
      // Policies with targets are a waypoint's business.
      if (hasTargets(row)) return;
      const { namespace = "", annotations, generation } = row.metadata;
      yield [
        key,
        {
          ...authorize(row),
          key,
          selectsIn: namespace === systemNamespace ? anyNamespace : namespace,
          selector: row.spec?.selector?.matchLabels ?? {},
          generation,
          isDryRun: annotations?.[dryRun] === "true",
        },
      ];
    },
  );
  const authorizations = graph.derive<Judged, Policy>("authorizations.policies", judged, function* (row, _read, key) {
    if (row.policy !== undefined && !row.isDryRun) yield [key, row.policy];
  });
  const conditionsOfProxies = graph.derive<Judged, ObjectConditions>(
    "authorizations.conditions",
    judged,
    function* (row, read, key) {
      const { generation } = row;
      const resource = meshKinds.authorizationPolicies;
      const refused = read.get(refusals.byPolicy, key)?.[0];
      const said = refused === undefined ? conditionOf(row) : refusedCondition(key, refused);
      yield [`authorizationpolicies/${key}`, { resource, key, generation, conditions: [said] }];
    },
  );
  const enforced = (row: Judged): boolean => row.policy !== undefined && !row.isDryRun;
  const byPair = graph.index(judged, "byPair", (row) => (enforced(row) ? filedUnder(row.selectsIn, row.selector) : []));
  const authentications = wirePeerAuthentications(graph, sources);
  const selecting = (read: Reader, namespace: string, labels: Labels): readonly string[] => {
    const places = [...placesOf(namespace, labels), ...placesOf(anyNamespace, labels)];
    const found = places.flatMap((place) => read.lookup(byPair, place)).filter((row) => selects(row.selector, labels));
    const keys = found.map((row) => row.key);
    const authentication = authentications.holdingFor(read, namespace, labels);
    return (authentication === undefined ? keys : [...keys, authentication]).sort(compareKeys);
  };
  const targeted = wireTargetConditions(graph, sources);
  const conditions = graph.union("authorizations.allConditions", conditionsOfProxies, targeted);
  return { rows: graph.union("policies", authorizations, authentications.policies), conditions, selecting };
}

const type = "ZtunnelAccepted";

/** One pod stands for all that have the same rules. */
const refusedCondition = (key: string, { namespace, pod, node, message }: Refusal): MeshCondition => ({
  type,
  status: "False",
  reason: "Refused",
  message:
    `AuthorizationPolicy ${key}: Envoy on node ${node} refused the policies of Pod ${namespace}/${pod}, of which this is ` +
    `one, so that the pod takes no connections: ${sentence(message)}`,
  remedy: "Change or delete the policy that the message is about.",
});

function conditionOf(row: Judged): MeshCondition {
  if (row.isDryRun)
    return { type, status: "True", reason: "Accepted", message: "The policy is a dry run and is not enforced." };
  if (row.unsupported.length === 0) return { type, status: "True", reason: "Accepted", message: "attached to ztunnel" };
  const found = row.unsupported.join(", ");
  if (row.policy === undefined) {
    const message = `AuthorizationPolicy ${row.key}: ztunnel does not support ${found}.`;
    const remedy = "Use ALLOW or DENY, or bind the policy to a waypoint with targetRefs.";
    return { type, status: "False", reason: "UnsupportedValue", message, remedy };
  }
  const effect =
    row.policy.action === "allow"
      ? "rules of an ALLOW policy that have them are left out, so that it allows less than it says"
      : "they are left out of the rules of a DENY policy, so that it denies more than " +
        "it says, or nothing where nothing remains";
  const remedy = "Bind the policy to a waypoint with targetRefs to enforce them.";
  const message =
    `ztunnel does not support HTTP attributes (found: ${found}) in ` + `AuthorizationPolicy ${row.key}: ${effect}.`;
  return { type, status: "False", reason: "UnsupportedValue", message, remedy };
}
