/** The discovery documents: aggregated (v2, v2beta1) and legacy (A6, A9). Pure functions of the registry. */
import type { Kind, KindRegistry } from "../kind.ts";
import { type Group, groupsOf, groupVersionOf, subresourcesOf, type Version } from "./resources.ts";

const serverVersion = { major: "1", minor: "34", gitVersion: "v1.34.0+tombolo" };

/** kubectl compares versions; the dispatcher some systems install even chooses its client by `minor`. */
export const versionDocument = (): unknown => ({
  ...serverVersion,
  emulationMajor: "1",
  emulationMinor: "34",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "33",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: "linux/amd64",
});

const optional = (name: string, values: readonly string[]): Record<string, readonly string[]> =>
  values.length === 0 ? {} : { [name]: values };

const aggregatedResource = (kind: Kind): unknown => {
  const { group, version, kind: kindName, plural, namespaced } = kind.type;
  const subresources = subresourcesOf(kind).map((one) => ({
    subresource: one.name,
    responseKind: { group: one.group, version: one.version, kind: one.kind },
    verbs: one.verbs,
  }));
  return {
    resource: plural,
    responseKind: { group, version, kind: kindName },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...optional("shortNames", kind.shortNames),
    ...optional("categories", kind.categories),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
};

export const aggregatedDocument = (registry: KindRegistry, root: "api" | "apis", apiVersion: string): unknown => ({
  kind: "APIGroupDiscoveryList",
  apiVersion: `apidiscovery.k8s.io/${apiVersion}`,
  metadata: {},
  items: groupsOf(registry)
    .filter(({ group }) => (root === "api") === (group === ""))
    .map(({ group, versions }) => ({
      metadata: group === "" ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: versions.map(({ version, kinds }) => ({
        version,
        resources: kinds.map(aggregatedResource),
        freshness: "Current",
      })),
    })),
});

export const coreVersionsDocument = (): unknown => ({
  kind: "APIVersions",
  versions: ["v1"],
  serverAddressByClientCIDRs: [],
});

const versionEntry = (group: string, version: string) => ({ groupVersion: groupVersionOf(group, version), version });

const groupEntry = ({ group, versions }: Group) => ({
  name: group,
  versions: versions.map(({ version }) => versionEntry(group, version)),
  preferredVersion: versionEntry(group, versions[0]?.version ?? ""),
});

export const groupListDocument = (registry: KindRegistry): unknown => ({
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: groupsOf(registry)
    .filter(({ group }) => group !== "")
    .map(groupEntry),
});

export const groupDocument = (registry: KindRegistry, group: string): unknown => {
  const found = groupsOf(registry).find((one) => one.group === group);
  return found === undefined || group === "" ? undefined : { kind: "APIGroup", apiVersion: "v1", ...groupEntry(found) };
};

const legacyResources = (kind: Kind): readonly unknown[] => {
  const { group, version, kind: kindName, plural, namespaced } = kind.type;
  const own = {
    name: plural,
    singularName: kind.singular,
    namespaced,
    kind: kindName,
    verbs: kind.verbs,
    ...optional("shortNames", kind.shortNames),
    ...optional("categories", kind.categories),
  };
  const others = subresourcesOf(kind).map((one) => ({
    name: `${plural}/${one.name}`,
    singularName: "",
    namespaced,
    ...(one.group === group && one.version === version ? {} : { group: one.group, version: one.version }),
    kind: one.kind,
    verbs: one.verbs,
  }));
  return [own, ...others];
};

const versionOf = (registry: KindRegistry, group: string, version: string): Version | undefined =>
  groupsOf(registry)
    .find((one) => one.group === group)
    ?.versions.find((one) => one.version === version);

export const resourceListDocument = (registry: KindRegistry, group: string, version: string): unknown => {
  const found = versionOf(registry, group, version);
  if (found === undefined) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupVersionOf(group, version),
    resources: found.kinds.flatMap(legacyResources),
  };
};
