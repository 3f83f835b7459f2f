/** The agent: one program for the node and for gateways; each decides itself how it ends after SIGTERM. */
import { setMaxListeners } from "node:events";
import { fileURLToPath } from "node:url";
import { errorText } from "../../core/api/error-text.ts";
import { systemHost } from "../../io/host/host.ts";
import { readConfig } from "./config.ts";
import { runGateway } from "./gateway.ts";
import { runNode } from "./node.ts";

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const host = systemHost(config.logLevel);
  const stop = new AbortController();
  // Every informer, stream and capture listens to it; Node would take so many for a leak.
  setMaxListeners(0, stop.signal);
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => {
      host.log.info("agent.stopping", { signal: name });
      stop.abort(new Error(`The agent was stopped by ${name}.`));
    });
  }
  const around = {
    env: process.env,
    programPath: fileURLToPath(import.meta.url),
    signal: stop.signal,
  };
  host.log.info("agent.starting", {
    mode: config.mode,
    node: config.node,
    cluster: config.cluster,
    network: config.network,
  });
  await (config.mode === "gateway" ? runGateway : runNode)(host, config, around);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`agent: ${errorText(error)}\n`);
    process.exit(1);
  },
);
