/**
 * Asks the node's mesh agent to capture a pod before its first container starts, and tells it when the pod goes: what a CNI
 * plugin does on other clusters. A node without an agent has no socket, and then there is nothing to ask.
 */
import { request } from "node:http";
import { errorText } from "../../../core/api/error-text.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { fileExists } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { machinePath } from "../network/addresses.ts";

const waitMs = 5_000;
const retryMs = 200;
const bodyBytesMax = 64 * 1024;

export interface HookPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** `/run/netns/<name>`. */
  readonly netns: string;
  readonly ip: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export const hookPod = (pod: Pod, netns: string, ip: string): HookPod => ({
  uid: pod.metadata.uid ?? "",
  namespace: pod.metadata.namespace ?? "default",
  name: pod.metadata.name,
  netns,
  ip,
  serviceAccount: pod.spec.serviceAccountName ?? "default",
  labels: pod.metadata.labels ?? {},
  annotations: pod.metadata.annotations ?? {},
});

/** As the agent sees it: /run/tombolo/cni.sock, in the /run of its node. */
const socketOf = (nodeNetns: string): string => machinePath(nodeNetns, "/run/tombolo/cni.sock");

/** Undefined when all is well; else why the agent could not be asked. Takes five seconds at most. */
export async function announcePod(
  host: Host,
  nodeNetns: string,
  pod: HookPod,
  signal: AbortSignal,
): Promise<string | undefined> {
  const socketPath = socketOf(nodeNetns);
  const untilMs = host.clock.now() + waitMs;
  for (;;) {
    if (!fileExists(socketPath)) return undefined;
    const leftMs = untilMs - host.clock.now();
    try {
      const { code, body } = await call(
        host,
        { socketPath, method: "POST", path: "/pods" },
        JSON.stringify(pod),
        leftMs,
      );
      if (code === 200) return undefined;
      throw new Error(`it answered ${code}: ${body.slice(0, 200)}`);
    } catch (error) {
      signal.throwIfAborted();
      if (host.clock.now() + retryMs >= untilMs) {
        const why = errorText(error);
        return `the mesh agent of the node did not take pod ${pod.namespace}/${pod.name}: ${why}`;
      }
      await host.clock.sleep(retryMs, signal);
    }
  }
}

/** Best effort: an agent that missed it sees the pod's end on the API server. */
export async function withdrawPod(host: Host, nodeNetns: string, uid: string): Promise<void> {
  const socketPath = socketOf(nodeNetns);
  if (!fileExists(socketPath)) return;
  await call(host, { socketPath, method: "DELETE", path: `/pods/${uid}` }, "", 1_000).catch(() => undefined);
}

function call(
  host: Host,
  target: { readonly socketPath: string; readonly method: string; readonly path: string },
  body: string,
  timeoutMs: number,
): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), host: "agent" };
    const sent = request({ ...target, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= bodyBytesMax) chunks.push(chunk);
      });
      response.on("end", () => {
        cancel();
        resolve({ code: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    const cancel = host.clock.after(Math.max(1, timeoutMs), () => sent.destroy(new Error("it did not answer in time")));
    sent.on("error", (error) => {
      cancel();
      reject(error);
    });
    sent.end(body);
  });
}
