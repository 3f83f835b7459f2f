/** From a kubeconfig context to a client of its API server. */
import { homedir } from "node:os";
import type { Host } from "../../io/host/host.ts";
import { httpKubeClient } from "../../io/kube/http-client.ts";
import { KubeconfigError, loadKubeconfig } from "../../io/kube/kubeconfig.ts";
import { CommandError, type Connection } from "./command.ts";

export const connector =
  (host: Host) =>
  async (context: string | undefined): Promise<Connection> => {
    try {
      const config = loadKubeconfig(host, { env: process.env, home: homedir() });
      const endpoint = config.endpoint(context);
      return { context: endpoint.context, client: httpKubeClient(host, endpoint) };
    } catch (error) {
      if (error instanceof KubeconfigError) throw new CommandError(error.message);
      throw error;
    }
  };
