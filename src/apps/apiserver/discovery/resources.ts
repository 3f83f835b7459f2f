/** What discovery says of each kind: groups, versions, resources and their subresources (A6). Pure. */
import type { Kind, KindRegistry } from "../kind.ts";

export interface Subresource {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

export interface Version {
  readonly version: string;
  readonly kinds: readonly Kind[];
}

export interface Group {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly Version[];
}

/** Groups in the registry's order; a group's first version is the preferred one. */
export const groupsOf = (registry: KindRegistry): readonly Group[] => {
  const groups = new Map<string, Map<string, Kind[]>>();
  for (const kind of registry.all()) {
    const versions = groups.get(kind.type.group) ?? new Map<string, Kind[]>();
    groups.set(kind.type.group, versions);
    versions.set(kind.type.version, [...(versions.get(kind.type.version) ?? []), kind]);
  }
  return [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions].map(([version, kinds]) => ({ version, kinds })).sort(byRank),
  }));
};

const rankOf = (version: string): readonly number[] => {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return [-1, 0, 0];
  return [match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)];
};

const byRank = (left: Version, right: Version): number => {
  const [first, second] = [rankOf(left.version), rankOf(right.version)];
  const difference = second.map((rank, index) => rank - (first[index] ?? 0)).find((one) => one !== 0);
  return difference ?? (left.version < right.version ? -1 : 1);
};

const writes = ["get", "patch", "update"];
const streams = ["create", "get"];

/** Subresources whose answer is of another kind than the resource. */
const special: Readonly<Record<string, Subresource>> = {
  "pods/attach": { name: "attach", group: "", version: "v1", kind: "PodAttachOptions", verbs: streams },
  "pods/binding": { name: "binding", group: "", version: "v1", kind: "Binding", verbs: ["create"] },
  "pods/eviction": { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: ["create"] },
  "pods/exec": { name: "exec", group: "", version: "v1", kind: "PodExecOptions", verbs: streams },
  "pods/log": { name: "log", group: "", version: "v1", kind: "Pod", verbs: ["get"] },
  "pods/portforward": { name: "portforward", group: "", version: "v1", kind: "PodPortForwardOptions", verbs: streams },
  "namespaces/finalize": { name: "finalize", group: "", version: "v1", kind: "Namespace", verbs: ["update"] },
  "serviceaccounts/token": {
    name: "token",
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    verbs: ["create"],
  },
};

export const subresourcesOf = (kind: Kind): readonly Subresource[] =>
  kind.subresources.map((name) => {
    const known = kind.isCustom ? undefined : special[`${kind.type.plural}/${name}`];
    if (known !== undefined) return known;
    if (name === "scale") return { name, group: "autoscaling", version: "v1", kind: "Scale", verbs: writes };
    const { group, version, kind: kindName } = kind.type;
    return { name, group, version, kind: kindName, verbs: writes };
  });

export const groupVersionOf = (group: string, version: string): string =>
  group === "" ? version : `${group}/${version}`;
