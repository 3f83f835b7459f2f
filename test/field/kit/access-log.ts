/**
 * The access logs of the nodes' Envoys in a shared sandbox. Replacing the agents costs a quarter of a minute, so the first
 * file that wants the logs turns them on, and they stay on until the sandbox goes: look at what is new, not at all of it.
 */
import type { Sandbox } from "./sandbox.ts";

const path = "/run/tombolo/node/access.log";
const variable = "ACCESS_LOG_FILE";
const agents = "-n istio-system get daemonset tombolo-agent";

interface AgentPods {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly nodeName: string };
  }[];
}

export async function turnOnAccessLogs(sandbox: Sandbox): Promise<void> {
  for (const cluster of sandbox.clusters) {
    const named = await sandbox.kubectl(
      cluster,
      `${agents} -o jsonpath={.spec.template.spec.containers[*].env[*].name}`,
    );
    if (named.split(" ").includes(variable)) continue;
    await sandbox.kubectl(cluster, `-n istio-system set env ds/tombolo-agent ${variable}=${path}`);
  }
  for (const cluster of sandbox.clusters) {
    await sandbox.kubectl(cluster, "-n istio-system rollout status ds/tombolo-agent --timeout=90s", { msMax: 100_000 });
  }
}

/** The lines that Envoy has written so far, oldest first; the caller names the fields that it reads. */
export async function accessLog<Line>(sandbox: Sandbox, cluster: string, node: string): Promise<readonly Line[]> {
  const { items } = await sandbox.json<AgentPods>(cluster, "-n istio-system get pods -l app=tombolo-agent");
  const agent = items.find(({ spec }) => spec.nodeName === node)?.metadata.name ?? "";
  const { stdout } = await sandbox.exec(cluster, `istio-system ${agent}`, ["cat", path]);
  // Envoy writes one object per line; the last one may not be whole yet.
  const lines = stdout.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as Line);
}
