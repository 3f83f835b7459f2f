/** From a kubeconfig context to a client of its API server. */
import { homedir } from "node:os";
import type { Host } from "../../io/host/host.ts";
import { httpKubeClient } from "../../io/kube/http-client.ts";
import { KubeconfigError, loadKubeconfig } from "../../io/kube/kubeconfig.ts";
import type { KubeEndpoint } from "../../io/kube/endpoint.ts";
import { getFromPod } from "../../io/kube/port-forward.ts";
import { CommandError, type Connection, type DebugQuestion } from "./command.ts";

export const connector =
  (host: Host, signal: AbortSignal) =>
  async (context: string | undefined): Promise<Connection> => {
    try {
      const config = loadKubeconfig(host, { env: process.env, home: homedir() });
      const endpoint = config.endpoint(context);
      return {
        context: endpoint.context,
        client: httpKubeClient(host, endpoint),
        debug: (question) => askPod(host, endpoint, question, signal),
      };
    } catch (error) {
      if (error instanceof KubeconfigError) throw new CommandError(error.message);
      throw error;
    }
  };

/** Loopback of the pod by way of the API server: nothing of the mesh needs to be reachable from here. */
async function askPod(
  host: Host,
  endpoint: KubeEndpoint,
  { namespace, pod, port, path }: DebugQuestion,
  signal: AbortSignal,
): Promise<unknown> {
  const { status, text } = await getFromPod(host, endpoint, { namespace, name: pod, port, path }, signal);
  const said = parsed(text);
  if (status === 200 && said !== undefined) return said;
  const problem = typeof said === "object" && said !== null && "error" in said ? String(said.error) : text.trim();
  throw new CommandError(`Pod ${namespace}/${pod} answers ${path.split("?")[0]} with ${status}: ${problem}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
