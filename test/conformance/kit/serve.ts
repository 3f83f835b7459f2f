/**
 * An API server as a process of its own, so that a test can kill it. Usage: serve.js FILE, the JSON of a `ServeConfig`.
 * Prints its URL on a line when it answers, and runs until it is killed.
 */
import "reflect-metadata";
import { readFileSync } from "node:fs";
import { startApiServer } from "../../../src/apps/apiserver/server.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { processNode } from "../../field/kit/process-node.ts";

export interface ServeConfig {
  readonly dataDir: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly adminToken: string;
}

async function main(file: string): Promise<void> {
  // `ServerProcess` wrote the file a moment ago.
  const { dataDir, port, cert, key, ca, adminToken } = JSON.parse(readFileSync(file, "utf8")) as ServeConfig;
  const server = await startApiServer(systemHost("warn"), {
    name: "conformance",
    dataDir,
    listen: [{ address: "127.0.0.1", port }],
    tls: { cert, key, ca },
    adminToken,
    serviceCidr: "10.96.0.0/16",
    nodeStreams: processNode(),
  });
  console.log(server.url);
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
