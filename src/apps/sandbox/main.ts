/** The process of one cluster: `sandbox-cluster.js <name>`, state directory in TOMBOLO_HOME. Started by `launch.ts`. */
import { errorText } from "../../core/api/error-text.ts";
import { systemHost } from "../../io/host/host.ts";
import { environment } from "../../io/host/processes.ts";
import { startCluster } from "./cluster.ts";
import { homeOf } from "./machine.ts";
import { readState } from "./state.ts";

async function main(): Promise<void> {
  const home = homeOf(environment());
  const name = process.argv[2] ?? "";
  const state = await readState(home);
  const own = state?.clusters.find((cluster) => cluster.name === name);
  if (state === undefined || own === undefined) {
    throw new Error(`The sandbox in ${home} has no cluster "${name}"; start it with: tombolo sandbox up`);
  }
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
  // Whoever reads the other end may be gone.
  process.on("SIGPIPE", () => undefined);
  const host = systemHost("info");
  const cluster = await startCluster(host, home, state, own);
  process.on("SIGHUP", () => void cluster.readFaults());
  host.log.info("cluster.stopping", { cluster: name, why: await stopped });
  await cluster.stop();
  process.exit(0);
}

main().catch((error: unknown) => {
  // The sentence last, where whoever looks at the end of the log finds it.
  if (error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  process.stderr.write(`sandbox-cluster: ${errorText(error)}\n`);
  process.exit(1);
});
