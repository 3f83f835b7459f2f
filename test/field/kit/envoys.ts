/** The Envoys of the field tests' sandbox as processes of this machine: found by the programs that started them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface EnvoyProcess {
  readonly pid: number;
  readonly parent: number;
  /** Name of the pod whose agent runs it, and of its node. */
  readonly pod: string;
  readonly node: string;
}

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

const parentOf = (pid: number): number => Number(/^PPid:\t(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? "0");
const environmentOf = (pid: number): Map<string, string> =>
  new Map(
    textOf(`/proc/${pid}/environ`)
      .split("\0")
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );

function isEnvoy(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith("/envoy");
  } catch {
    return false;
  }
}

/** Those whose agent belongs to one of these pods. */
export function envoys(pods: ReadonlySet<string>): readonly EnvoyProcess[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter(isEnvoy)
    .flatMap((pid) => {
      const parent = parentOf(pid);
      const env = environmentOf(parent);
      const pod = env.get("POD_NAME") ?? "";
      return pods.has(pod) ? [{ pid, parent, pod, node: env.get("NODE_NAME") ?? "" }] : [];
    });
}

/** Memory that is really in use, in MiB. */
export const residentMiB = (pid: number): number =>
  Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? "0") / 1024);
