/** Small random worlds for two clusters: who serves what, who may see it, how it is spread, and who is let in. Pure. */

export type Chance = (below: number) => number;

/** The same numbers for the same seed. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

function pick<T>(chance: Chance, values: readonly T[]): T {
  const wanted = chance(values.length);
  for (const [at, value] of values.entries()) if (at === wanted) return value;
  throw new Error("nothing to pick from");
}

const services = ["s1", "s2", "s3"] as const;
export const accounts = ["alice", "bob"] as const;
const scopes = [undefined, "global", "global", "global", "segment", "global-only", "local"] as const;
const distributions = [undefined, undefined, "PreferNetwork", "PreferClose", "PreferRegion", "Any", "Any"] as const;

export interface ServiceWish {
  readonly name: string;
  readonly exists: boolean;
  readonly scope: string | undefined;
  readonly takeover: boolean;
  readonly distribution: string | undefined;
}

export interface ClusterWish {
  /** Backend pod → the service whose pod it is; "none" for nobody's. */
  readonly roles: Readonly<Record<string, string>>;
  readonly services: readonly ServiceWish[];
  readonly namespaceScope: string | undefined;
  /** Name of the Segment of the cluster. */
  readonly segment: string | undefined;
  /** YAML documents. */
  readonly policies: readonly object[];
  readonly says: string;
}

interface Place {
  readonly cluster: string;
  readonly namespace: string;
  readonly backends: readonly string[];
}

function policyOf(chance: Chance, namespace: string, at: number): object {
  const action = pick(chance, ["ALLOW", "ALLOW", "DENY"]);
  const account = pick(chance, accounts);
  const principal = `cluster.local/ns/${namespace}/sa/${account}`;
  const from = pick<object>(chance, [
    { principals: [principal] },
    { principals: [principal] },
    { notPrincipals: [principal] },
    { principals: [`cluster.local/ns/${namespace}/*`] },
    { namespaces: [namespace] },
  ]);
  const to = pick<object | undefined>(chance, [
    undefined,
    undefined,
    { operation: { ports: ["8080"] } },
    { operation: { ports: ["9090"] } },
  ]);
  const rule = { from: [{ source: from }], ...(to === undefined ? {} : { to: [to] }) };
  const selector = pick<object | undefined>(chance, [
    undefined,
    ...services.map((role) => ({ matchLabels: { role } })),
  ]);
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: `p${at}`, namespace },
    spec: { ...(selector === undefined ? {} : { selector }), action, rules: [rule] },
  };
}

const strict = (namespace: string) => ({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "strict", namespace },
  spec: { mtls: { mode: "STRICT" } },
});

export const segmentName = "parity-segment";
export const segmentDomain = "parity.internal";

export function clusterWish(chance: Chance, { cluster, namespace, backends }: Place): ClusterWish {
  const roles = Object.fromEntries(backends.map((pod) => [pod, pick(chance, [...services, ...services, "none"])]));
  const wanted = services.map((name) => ({
    name,
    exists: chance(6) > 0,
    scope: pick(chance, scopes),
    takeover: chance(3) === 0,
    distribution: pick(chance, distributions),
  }));
  const policies = Array.from({ length: chance(3) }, (_, at) => policyOf(chance, namespace, at));
  if (chance(5) === 0) policies.push(strict(namespace));
  const namespaceScope = chance(4) === 0 ? "global" : undefined;
  const segment = chance(4) === 0 ? segmentName : undefined;
  const says = JSON.stringify({ cluster, roles, wanted, namespaceScope, segment, policies });
  return { roles, services: wanted, namespaceScope, segment, policies, says };
}

export interface PlaceToCall {
  readonly host: string;
  readonly port: number;
}

/** Names and addresses that a caller may try: of the mesh, of Kubernetes, of pods, and of nobody. */
export function placesToCall(
  chance: Chance,
  count: number,
  around: { readonly namespace: string; readonly podIps: readonly string[]; readonly isOutside: boolean },
): readonly PlaceToCall[] {
  const { namespace, podIps, isOutside } = around;
  return Array.from({ length: count }, () => {
    const name = pick(chance, services);
    const port = pick(chance, [8000, 8000, 8000, 8001]);
    const kind = chance(12);
    if (kind === 0 && podIps.length > 0) return { host: pick(chance, podIps), port: 8080 };
    if (kind === 1) return { host: `nobody.${namespace}.mesh.internal`, port };
    if (kind === 2) return { host: `${name}.${namespace}.${segmentDomain}`, port };
    if (kind === 3) return { host: name, port };
    if (kind === 4) return { host: `${name}.${namespace}`, port };
    if (kind < 7) return { host: `${name}.${namespace}.svc.cluster.local`, port };
    // A stranger knows no name of the mesh, which one call in a while shows well enough.
    if (isOutside && chance(3) > 0) return { host: `${name}.${namespace}`, port };
    // A port that nobody has is not answered at all by Kubernetes' own addresses.
    const isWrong = !isOutside && kind === 7;
    return { host: `${name}.${namespace}.mesh.internal`, port: isWrong ? 9999 : port };
  });
}
