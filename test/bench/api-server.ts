/**
 * The sandbox's API server with 2,000 objects, a process of its own: fills a data folder, then opens it anew as after a
 * restart. Prints one JSON object. Usage: api-server.js fill|open FOLDER
 */
import { startApiServer } from "../../src/apps/apiserver/server.ts";
import { makeCertificates } from "../../src/apps/sandbox/certificates.ts";
import { builtin } from "../../src/core/api/resources.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { settledRss } from "./process-stats.ts";

const objects = 2_000;

export interface ApiServerResult {
  readonly objects: number;
  /** Of the step: writing all objects, or the start until the server answers. */
  readonly ms: number;
  readonly rss: number;
}

const absent = () => Promise.reject(new Error("There are no pods here."));

async function main(step: string, dataDir: string): Promise<void> {
  const host = systemHost("warn");
  const { certPem, keyPem, caPem } = await makeCertificates(host, "bench", "127.0.0.1");
  const began = performance.now();
  const server = await startApiServer(host, {
    name: "bench",
    dataDir,
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken: host.random.uuid(),
    serviceCidr: "10.96.0.0/16",
    nodeStreams: { exec: absent, attach: absent, portForward: absent, logs: absent },
  });
  let ms = performance.now() - began;
  if (step === "fill") {
    const filling = performance.now();
    for (let at = 0; at < objects; at += 1) {
      const metadata = { name: `service-${at}`, namespace: "default" };
      const spec = { selector: { app: `app-${at}` }, ports: [{ port: 80 }] };
      await server.client.create(builtin.services, { apiVersion: "v1", kind: "Service", metadata, spec });
    }
    ms = performance.now() - filling;
  }
  const { items } = await server.client.list(builtin.services);
  if (items.length < objects) throw new Error(`Of ${objects} Services ${items.length} are there.`);
  const result: ApiServerResult = { objects, ms, rss: settledRss() };
  console.log(JSON.stringify(result));
  await server.close();
}

main(process.argv[2] ?? "", process.argv[3] ?? "").then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
