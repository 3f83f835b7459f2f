/**
 * With which rights a container's programs run: user, groups and capabilities of its `securityContext`, as arguments of
 * setpriv. Pure. A real runtime gives a container the same when it says nothing.
 */
import type { Container, Pod } from "../../../core/api/pod.ts";
import { MissingReference } from "./values.ts";

export interface Privileges {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Without `CAP_`, lower case; `all` alone for every one. */
  readonly capabilities: readonly string[];
  readonly mayGainMore: boolean;
  readonly isRootReadOnly: boolean;
}

/** What container runtimes leave to a container that asks for nothing. */
const usual = [
  "audit_write",
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "kill",
  "mknod",
  "net_bind_service",
  "net_raw",
  "setfcap",
  "setgid",
  "setpcap",
  "setuid",
  "sys_chroot",
] as const;

/** In util-linux, as everything else that starts containers here. */
const setpriv = "/usr/bin/setpriv";

const numberIn = (context: Record<string, unknown> | undefined, field: string): number | undefined => {
  const value = context?.[field];
  return typeof value === "number" ? value : undefined;
};

const listIn = (context: unknown, field: string): readonly unknown[] => {
  if (typeof context !== "object" || context === null) return [];
  const value = Object.entries(context).find(([name]) => name === field)?.[1] as unknown;
  return Array.isArray(value) ? value : [];
};

const capabilityName = (value: unknown): string => String(value).replace(/^CAP_/i, "").toLowerCase();

/** The container's own words win over those of its pod. Rejects what would not be allowed to start. */
export function privilegesOf(pod: Pod, container: Container): Privileges {
  const ofPod = pod.spec.securityContext;
  const own = container.securityContext;
  const number = (field: string): number | undefined => numberIn(own, field) ?? numberIn(ofPod, field);
  const uid = number("runAsUser") ?? 0;
  if (uid === 0 && (own?.["runAsNonRoot"] ?? ofPod?.["runAsNonRoot"]) === true) {
    throw new MissingReference(
      `container has runAsNonRoot and image will run as root (pod: "${pod.metadata.name}", container: ${container.name}); give it a runAsUser`,
    );
  }
  const groups = [...listIn(ofPod, "supplementalGroups"), numberIn(ofPod, "fsGroup")].filter(
    (group): group is number => typeof group === "number",
  );
  return {
    uid,
    gid: number("runAsGroup") ?? 0,
    groups: [...new Set(groups)],
    capabilities: own?.["privileged"] === true ? ["all"] : capabilitiesOf(own?.["capabilities"]),
    mayGainMore: own?.["allowPrivilegeEscalation"] !== false,
    isRootReadOnly: own?.["readOnlyRootFilesystem"] === true,
  };
}

function capabilitiesOf(asked: unknown): readonly string[] {
  const add = listIn(asked, "add").map(capabilityName);
  const drop = listIn(asked, "drop").map(capabilityName);
  if (add.includes("all")) return ["all"];
  const kept = drop.includes("all") ? [] : usual.filter((name) => !drop.includes(name));
  return [...new Set([...kept, ...add])];
}

/** What stands before a program so that it runs with these rights. Nobody but root keeps capabilities. */
export function privilegeArguments({ uid, gid, groups, capabilities, mayGainMore }: Privileges): readonly string[] {
  const bounding = capabilities.includes("all")
    ? "+all"
    : ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  return [
    setpriv,
    `--reuid=${uid}`,
    `--regid=${gid}`,
    groups.length === 0 ? "--clear-groups" : `--groups=${groups.join(",")}`,
    `--bounding-set=${bounding}`,
    "--inh-caps=-all",
    ...(mayGainMore ? [] : ["--no-new-privs"]),
    "--",
  ];
}

export const asRoot = (privileges: Privileges): Privileges => ({ ...privileges, uid: 0, gid: 0 });
