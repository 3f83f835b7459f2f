/**
 * What becomes of AuthorizationPolicies with targetRefs: they are for a waypoint (spec 4.5), and node proxies do not
 * enforce them. The condition says so, because a policy that nobody enforces must not look as if it protected something.
 */
import type { AuthorizationPolicy } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { MeshCondition, ObjectConditions } from "./problem.ts";
import type { MeshSources } from "./sources.ts";

type TargetRef = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["targetRefs"]>[number];

export const hasTargets = ({ spec }: AuthorizationPolicy): boolean => (spec?.targetRefs ?? []).length > 0;

export function wireTargetConditions(graph: Graph, sources: MeshSources): Collection<ObjectConditions> {
  return graph.derive<AuthorizationPolicy, ObjectConditions>(
    "authorizations.targets",
    sources.authorizationPolicies,
    function* (row, read, key) {
      if (!hasTargets(row)) return;
      const { namespace = "", generation } = row.metadata;
      const conditions = [conditionOf(row.spec?.targetRefs ?? [], namespace, read, sources)];
      const resource = meshKinds.authorizationPolicies;
      yield [`authorizationpolicies/${key}`, { resource, key, generation, conditions }];
    },
  );
}

const remedy =
  "Until a waypoint serves the target, nobody enforces the policy; for what needs no HTTP use a selector instead.";

function conditionOf(
  targets: readonly TargetRef[],
  namespace: string,
  read: Reader,
  sources: MeshSources,
): MeshCondition {
  const faults = targets.map((target) => ({ target, fault: faultOf(target, namespace, read, sources) }));
  const [first] = faults;
  const base = { type: "WaypointAccepted", status: "False", remedy } as const;
  if (faults.length === 1 && first !== undefined) return { ...base, ...first.fault };
  const names = faults.map(({ target: { kind, group, name } }) => `${kind}.${group ?? ""}:${namespace}/${name}`);
  const isBound = faults.every(({ fault }) => fault.reason === "AncestorNotBound");
  return {
    ...base,
    reason: isBound ? "AncestorNotBound" : "Invalid",
    message: `Invalid targetRefs: ${names.join(", ")}`,
  };
}

interface Fault {
  readonly reason: "Invalid" | "AncestorNotBound" | "TargetNotFound";
  readonly message: string;
}

function faultOf(
  { kind, name, namespace: at }: TargetRef,
  namespace: string,
  read: Reader,
  sources: MeshSources,
): Fault {
  const title = `${kind} ${namespace}/${name}`;
  if (at !== undefined && at !== namespace) {
    return { reason: "Invalid", message: `${kind} ${at}/${name} is in another namespace than the policy` };
  }
  if (kind === "GatewayClass") {
    return namespace === systemNamespace
      ? { reason: "AncestorNotBound", message: `GatewayClass ${name} has no waypoint` }
      : { reason: "Invalid", message: `GatewayClass ${name} can be targeted from ${systemNamespace} only` };
  }
  const kinds = {
    Service: sources.services,
    ServiceEntry: sources.serviceEntries,
    Gateway: sources.gateways,
  } as const;
  if (!(kind in kinds)) return { reason: "Invalid", message: `${kind} is not a kind that a policy can target` };
  // It was just found to be one of the three.
  const isThere = read.get<unknown>(kinds[kind as keyof typeof kinds], `${namespace}/${name}`) !== undefined;
  if (!isThere) return { reason: "TargetNotFound", message: `${title} was not found` };
  return kind === "Gateway"
    ? { reason: "AncestorNotBound", message: `${title} is not a waypoint` }
    : { reason: "AncestorNotBound", message: `${title} is not bound to a waypoint` };
}
