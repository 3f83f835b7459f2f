/**
 * The control plane of the scale bench, a process of its own: mesh, commit loop and model stream as tombolod wires them,
 * fed with a synthetic world in place of informers. Its parent commands it over IPC. Usage: control.js SERVICES
 */
import grpc from "@grpc/grpc-js";
import { CommitLoop } from "../../src/apps/control/commit-loop.ts";
import { followModel, ModelSource, modelPushOrder } from "../../src/apps/control/model/model-source.ts";
import { wireMesh } from "../../src/core/mesh/mesh.ts";
import { engineHeap } from "../../src/io/host/heap.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { DeltaServer } from "../../src/io/xds/delta-server.ts";
import { rssOf } from "./process-stats.ts";
import { fill, live, liveService, settings, writeBack } from "./world.ts";

export type Command = { readonly do: "flip"; readonly to: "a" | "b" } | { readonly do: "rss" };
export type Reply =
  | {
      readonly said: "ready";
      readonly port: number;
      /** Of the model stream. */
      readonly rows: number;
      readonly firstBuildMs: number;
    }
  | { readonly said: "flipped"; readonly atNs: string; readonly commitMs: number }
  | { readonly said: "rss"; readonly bytes: number };

const host = systemHost("warn");
const services = Number(process.argv[2]);
const say = (reply: Reply): void => void process.send?.(reply);
const timed = (work: () => void): number => {
  const began = performance.now();
  work();
  return performance.now() - began;
};

const mesh = wireMesh(settings);
fill(mesh, services);
const firstBuildMs = timed(() => mesh.graph.commit());
writeBack(mesh);
mesh.graph.commit();

const delta = new DeltaServer(host, { pushOrder: modelPushOrder, open: () => source });
const source = new ModelSource(mesh);
followModel(mesh.graph, mesh, (type, names) => delta.changed(type, names));
let commitMs = 0;
const loop = new CommitLoop(host.clock, () => (commitMs = timed(() => mesh.graph.commit())));
loop.start();

const server = new grpc.Server();
delta.addTo(server);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  const rows = mesh.workloads.rows.size + mesh.services.rows.size;
  say({ said: "ready", port, rows, firstBuildMs });
});

async function flip(version: "a" | "b"): Promise<void> {
  const atNs = String(process.hrtime.bigint());
  mesh.sources.services.set(`${live.namespace}/${live.service}`, liveService(version));
  loop.schedule();
  await host.clock.sleep(40);
  say({ said: "flipped", atNs, commitMs });
}

// Only the parent of this process sends messages.
process.on("message", (command: Command) => {
  if (command.do === "flip") void flip(command.to);
  else void engineHeap.compact().then(() => say({ said: "rss", bytes: rssOf("self") }));
});
process.on("disconnect", () => process.exit(0));
