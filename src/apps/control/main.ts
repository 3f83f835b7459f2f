/** The program `tombolod`: the control plane of the cluster that it runs in, or that a kubeconfig names. */
import { errorText } from "../../core/api/error-text.ts";
import { engineHeap, keepSmall } from "../../io/host/heap.ts";
import { environment } from "../../io/host/processes.ts";
import { homeDirectory, readText } from "../../io/host/files.ts";
import { systemHost } from "../../io/host/host.ts";
import { httpKubeClient } from "../../io/kube/http-client.ts";
import { defaultEndpoint } from "../../io/kube/kubeconfig.ts";
import { startControlPlane } from "./control-plane.ts";
import { meshFile, parseSettings, selfOf } from "./settings.ts";

async function main(): Promise<void> {
  const env: Readonly<Record<string, string | undefined>> = environment();
  const path = env["MESH_FILE"] ?? meshFile;
  const text = await readText(path);
  if (text === undefined) {
    throw new Error(`The mesh settings ${path} do not exist; 'tombolo install' mounts them from a ConfigMap.`);
  }
  const read = parseSettings(text);
  if (!read.ok) throw new Error(read.problems.join(" "));
  const { settings } = read;
  const host = systemHost(settings.logLevel);
  const endpoint = await defaultEndpoint(host, { env, home: homeDirectory(), context: env["KUBE_CONTEXT"] });
  const client = httpKubeClient(host, endpoint);
  const self = selfOf(env);
  host.log.info("control.starting", { cluster: settings.mesh.cluster, server: endpoint.server, pod: self.podName });
  const stopped = new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
  const starting = startControlPlane(host, client, { settings, self });
  // A signal that comes before the start is over ends the program at once: nothing is served yet.
  const first = await Promise.race([starting, stopped]);
  if (typeof first === "string") process.exit(0);
  const stop = new AbortController();
  // Not in agents: nobody waits for a control plane at rest, but a pod may ask its agent for a name at any moment.
  void keepSmall(host, engineHeap, stop.signal);
  const why = await stopped;
  stop.abort(new Error(`tombolod was stopped by ${why}.`));
  host.log.info("control.stopping", { why });
  await first.stop();
  client.close();
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stderr.write(`tombolod: ${errorText(error)}\n`);
  process.exit(1);
});
