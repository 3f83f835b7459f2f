/** The agent: one program for the node and for gateways. SIGTERM lets open connections go on for a bounded time. */
import { fileURLToPath } from "node:url";
import { errorText } from "../../core/api/error-text.ts";
import { systemHost } from "../../io/host/host.ts";
import { readConfig } from "./config.ts";
import { runGateway } from "./gateway.ts";
import { runNode } from "./node.ts";

/** After SIGTERM a gateway takes no new connections from the load balancer, but serves those it has for so long. */
const drainMs = 5_000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const host = systemHost(config.logLevel);
  const stop = new AbortController();
  const stopEnvoy = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => {
      host.log.info("agent.stopping", { signal: name });
      stop.abort(new Error(`The agent was stopped by ${name}.`));
      host.clock.after(config.mode === "gateway" ? drainMs : 0, () => stopEnvoy.abort(stop.signal.reason));
    });
  }
  const around = {
    env: process.env,
    programPath: fileURLToPath(import.meta.url),
    signal: stop.signal,
    envoySignal: stopEnvoy.signal,
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
