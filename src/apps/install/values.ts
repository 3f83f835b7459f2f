/**
 * Install values: the keys that users of ambient multicluster already type (spec.md 1.13), read into settings.
 * Unknown keys are reported, never silently taken; nothing here touches a cluster.
 */
import { isDnsLabel, isDnsName } from "../../core/api/dns-names.ts";
import { defaultTrustDomain } from "../../core/api/names.ts";

export interface InstallSettings {
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly ipAutoallocate: boolean;
  readonly skipTrustDomainCheck: boolean;
  readonly dnsCapture: boolean;
  readonly replicas: number;
  readonly image: { readonly hub: string; readonly tag: string; readonly pullPolicy: string };
  readonly logLevel: string;
  /** The node's folders of CNI plugins, where the agent chains its own; not enabled, pods are captured once they run. */
  readonly cni: { readonly isEnabled: boolean; readonly binDir: string; readonly confDir: string };
}

export interface ReadValues {
  readonly settings: InstallSettings;
  /** Sentences about keys that have no effect here. */
  readonly warnings: readonly string[];
  /** Sentences about values that cannot be used. */
  readonly problems: readonly string[];
}

export type Tree = { readonly [key: string]: unknown };

type Reader = (value: unknown, settings: Draft, path: string) => string | undefined;
type Draft = { -readonly [K in keyof InstallSettings]: InstallSettings[K] };

const text =
  (field: "cluster" | "network" | "trustDomain" | "logLevel", isUsable: (text: string) => boolean): Reader =>
  (value, settings, path) => {
    if (typeof value !== "string" || !isUsable(value)) {
      return `${path}: ${JSON.stringify(value)} is not usable; give a lower-case DNS name such as "my-cluster".`;
    }
    settings[field] = value;
    return undefined;
  };

/** Accepts true, "true" and their opposites, as Helm users write either. */
function switchedTo(value: unknown, path: string, set: (isOn: boolean) => void): string | undefined {
  const word = String(value).toLowerCase();
  if (word !== "true" && word !== "false") return `${path}: ${JSON.stringify(value)} is not true or false.`;
  set(word === "true");
  return undefined;
}

const flag =
  (field: "ipAutoallocate" | "skipTrustDomainCheck" | "dnsCapture"): Reader =>
  (value, settings, path) =>
    switchedTo(value, path, (isOn) => (settings[field] = isOn));

const image =
  (field: "hub" | "tag" | "pullPolicy"): Reader =>
  (value, settings, path) => {
    if (typeof value !== "string" || value === "") return `${path}: ${JSON.stringify(value)} is not a text.`;
    settings.image = { ...settings.image, [field]: value };
    return undefined;
  };

const cniFolder =
  (field: "binDir" | "confDir"): Reader =>
  (value, settings, path) => {
    if (typeof value !== "string" || !value.startsWith("/"))
      return `${path}: ${JSON.stringify(value)} is not a full path.`;
    settings.cni = { ...settings.cni, [field]: value };
    return undefined;
  };

const cniEnabled: Reader = (value, settings, path) =>
  switchedTo(value, path, (isEnabled) => (settings.cni = { ...settings.cni, isEnabled }));

const replicas: Reader = (value, settings, path) => {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > 10) return `${path}: ${String(value)} is not between 1 and 10.`;
  settings.replicas = count;
  return undefined;
};

/** Known keys without an effect, and why; typing them is not a mistake. */
const accepted = (): undefined => undefined;

const readers: Readonly<Record<string, Reader>> = {
  "meshConfig.trustDomain": text("trustDomain", isDnsName),
  "global.multiCluster.clusterName": text("cluster", isDnsName),
  "multiCluster.clusterName": text("cluster", isDnsName),
  "global.network": text("network", isDnsName),
  network: text("network", isDnsName),
  "env.PILOT_ENABLE_IP_AUTOALLOCATE": flag("ipAutoallocate"),
  "env.PILOT_SKIP_VALIDATE_TRUST_DOMAIN": flag("skipTrustDomainCheck"),
  "env.SKIP_VALIDATE_TRUST_DOMAIN": flag("skipTrustDomainCheck"),
  "ambient.dnsCapture": flag("dnsCapture"),
  "cni.enabled": cniEnabled,
  "cni.cniBinDir": cniFolder("binDir"),
  "cni.cniConfDir": cniFolder("confDir"),
  "global.hub": image("hub"),
  "global.tag": image("tag"),
  "global.imagePullPolicy": image("pullPolicy"),
  "global.logging.level": text("logLevel", isDnsLabel),
  replicaCount: replicas,
  "pilot.replicaCount": replicas,
  profile: (value) => (value === "ambient" ? undefined : `profile: only "ambient" is known, not ${String(value)}.`),
  "platforms.peering.enabled": accepted,
  "env.PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES": accepted,
  "license.value": accepted,
  "license.secretRef": accepted,
};

export const defaultSettings: InstallSettings = {
  cluster: "Kubernetes",
  network: "",
  trustDomain: defaultTrustDomain,
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
  dnsCapture: true,
  replicas: 1,
  image: { hub: "tombolo", tag: "0.1.0", pullPolicy: "IfNotPresent" },
  logLevel: "info",
  cni: { isEnabled: true, binDir: "/opt/cni/bin", confDir: "/etc/cni/net.d" },
};

function* leaves(tree: Tree, prefix: string): Generator<readonly [path: string, value: unknown]> {
  for (const [key, value] of Object.entries(tree)) {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    const isTree = typeof value === "object" && value !== null && !Array.isArray(value);
    // A tree is a plain object of a parsed YAML file, so its entries are keys and values.
    if (isTree) yield* leaves(value as Tree, path);
    else yield [path, value];
  }
}

/** Reads several value trees, later ones winning; `--set` pairs come as trees too. */
export function readValues(trees: readonly Tree[]): ReadValues {
  const settings: Draft = { ...defaultSettings };
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const tree of trees) {
    for (const [path, value] of leaves(tree, "")) {
      const reader = readers[path];
      if (reader === undefined) {
        warnings.push(`${path}: this value is not known here and has no effect.`);
        continue;
      }
      const problem = reader(value, settings, path);
      if (problem !== undefined) problems.push(problem);
    }
  }
  return { settings, warnings, problems };
}

/** `a.b=c` → {a: {b: "c"}}; a dot in a key is written `\.`. */
export function treeOfPair(pair: string): Tree | undefined {
  const at = pair.indexOf("=");
  if (at <= 0) return undefined;
  const keys = pair
    .slice(0, at)
    .split(/(?<!\\)\./)
    .map((key) => key.replaceAll("\\.", "."));
  return keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), pair.slice(at + 1)) as Tree;
}
