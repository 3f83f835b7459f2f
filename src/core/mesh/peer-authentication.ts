/**
 * PeerAuthentication (spec 4.6): STRICT is a deny policy for connections without an authenticated peer. Precedence is
 * workload, namespace, mesh; the oldest wins; so the policies are attached per workload rather than by scope.
 */
import type { PeerAuthentication } from "../api/mesh-kinds.ts";
import { systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { anything } from "./authorization.ts";
import type { Policy, PolicyMatch } from "./model.ts";
import { compareAge } from "./problem.ts";
import { filedUnder, type Labels, placesOf, selects } from "./selector.ts";
import type { MeshSources } from "./sources.ts";

type Mode = "STRICT" | "PERMISSIVE";

interface Authentication {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly created: string;
  readonly selector: Labels;
  readonly mode: Mode | undefined;
  readonly ports: readonly (readonly [port: number, mode: Mode])[];
}

export interface PeerAuthentications {
  readonly policies: Collection<Policy>;
  /** Key of the policy that holds for a workload, if any. */
  readonly holdingFor: (read: Reader, namespace: string, labels: Labels) => string | undefined;
}

const strictName = "istio_converted_static_strict";
const strictKey = `${systemNamespace}/${strictName}`;
const unauthenticated: PolicyMatch = { ...anything, notPrincipals: [{ kind: "presence" }] };

export function wirePeerAuthentications(graph: Graph, sources: MeshSources): PeerAuthentications {
  const rows = graph.derive<PeerAuthentication, Authentication>(
    "authentications",
    sources.peerAuthentications,
    function* (row, _r, key) {
      yield [key, parse(row, key)];
    },
  );
  const isWide = (row: Authentication): boolean => Object.keys(row.selector).length === 0;
  const wide = graph.group("authentications.wide", rows, (row) => (isWide(row) ? [row.namespace] : []));
  const modes = graph.derive<readonly Authentication[], Mode>(
    "authentications.modes",
    wide,
    function* (rivals, _r, namespace) {
      const mode = [...rivals].sort(compareAge)[0]?.mode;
      if (mode !== undefined) yield [namespace, mode];
    },
  );
  const modeOf = (read: Reader, namespace: string, own: Mode | undefined): Mode =>
    own ?? read.get(modes, namespace) ?? read.get(modes, systemNamespace) ?? "PERMISSIVE";
  const byPair = graph.index(rows, "byPair", (row) => filedUnder(row.namespace, row.selector));
  const excepting = graph.derive<Authentication, Policy>("authentications.excepting", rows, function* (row, read) {
    if (isWide(row) || row.ports.length === 0) return;
    const match = portMatch(row.ports, modeOf(read, row.namespace, row.mode));
    if (match !== undefined)
      yield [`${row.namespace}/${exceptingName(row)}`, denial(exceptingName(row), row.namespace, match)];
  });
  const strict = graph.group("authentications.strict", rows, (row) => (row.mode === "STRICT" ? [strictKey] : []));
  const always = graph.derive<unknown, Policy>("authentications.always", strict, function* (_row, _read, key) {
    yield [key, denial(strictName, systemNamespace, unauthenticated)];
  });
  const holdingFor = (read: Reader, namespace: string, labels: Labels): string | undefined => {
    const selecting = placesOf(namespace, labels).flatMap((place) => read.lookup(byPair, place));
    const own = selecting.filter((row) => selects(row.selector, labels)).sort(compareAge)[0];
    const excepted = own === undefined ? undefined : `${namespace}/${exceptingName(own)}`;
    if (excepted !== undefined && read.get(excepting, excepted) !== undefined) return excepted;
    return modeOf(read, namespace, own?.mode) === "STRICT" ? strictKey : undefined;
  };
  return { policies: graph.union("authentications.policies", excepting, always), holdingFor };
}

const exceptingName = (row: Authentication): string => `converted_peer_authentication_${row.name}`;

const denial = (name: string, namespace: string, match: PolicyMatch): Policy => ({
  name,
  namespace,
  scope: "workload",
  action: "deny",
  groups: [[[match]]],
});

/** Nothing when the ports say the same as the workload's own mode. */
function portMatch(ports: Authentication["ports"], mode: Mode): PolicyMatch | undefined {
  const others = ports.filter(([, portMode]) => portMode !== mode).map(([port]) => port);
  if (others.length === 0) return undefined;
  return mode === "STRICT"
    ? { ...unauthenticated, notDestinationPorts: others }
    : { ...unauthenticated, destinationPorts: others };
}

function parse({ metadata, spec }: PeerAuthentication, key: string): Authentication {
  const ports: (readonly [number, Mode])[] = [];
  for (const [port, { mode }] of Object.entries(spec?.portLevelMtls ?? {})) {
    const parsed = parseMode(mode);
    if (parsed !== undefined) ports.push([Number(port), parsed]);
  }
  return {
    key,
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    created: metadata.creationTimestamp ?? "",
    selector: spec?.selector?.matchLabels ?? {},
    mode: parseMode(spec?.mtls?.mode),
    ports: ports.sort(([a], [b]) => a - b),
  };
}

/** DISABLE counts as PERMISSIVE: plaintext is accepted, tunnels are still used. */
function parseMode(mode: string | undefined): Mode | undefined {
  if (mode === undefined || mode === "UNSET") return undefined;
  return mode === "STRICT" ? "STRICT" : "PERMISSIVE";
}
