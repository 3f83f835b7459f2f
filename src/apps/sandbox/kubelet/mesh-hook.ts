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
/** An agent that crashed comes back sooner; after that the socket is what an agent that is gone left behind. */
const absentMsMax = 30_000;
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

/**
 * Rejects while the agent refuses the pod: started now, it would run past the mesh. Resolves with a sentence when no agent
 * has answered for so long that there seems to be none.
 */
export const announcePod = (
  host: Host,
  nodeNetns: string,
  pod: HookPod,
  signal: AbortSignal,
): Promise<string | undefined> => announceAt(host, socketOf(nodeNetns), pod, signal);

export async function announceAt(
  host: Host,
  socketPath: string,
  pod: HookPod,
  signal: AbortSignal,
): Promise<string | undefined> {
  const target = { socketPath, method: "POST", path: "/pods" };
  const startedMs = host.clock.now();
  for (;;) {
    if (!fileExists(socketPath)) return undefined;
    try {
      const { code, body } = await call(host, target, JSON.stringify(pod), waitMs);
      if (code === 200) return undefined;
      throw new Error(`it answered ${code}: ${body.slice(0, 200)}`);
    } catch (error) {
      signal.throwIfAborted();
      const problem = `the mesh agent of the node did not take pod ${pod.namespace}/${pod.name}: ${errorText(error)}`;
      const triedMs = host.clock.now() - startedMs;
      if (isNobodyThere(error)) {
        if (triedMs >= absentMsMax) return problem;
      } else if (triedMs >= waitMs) throw new Error(problem, { cause: error });
      await host.clock.sleep(retryMs, signal);
    }
  }
}

/** The socket is still there, and nobody listens on it. */
const isNobodyThere = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ECONNREFUSED" || error.code === "ENOENT");

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
