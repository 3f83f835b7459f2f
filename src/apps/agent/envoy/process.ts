/**
 * Envoy's life: started with a bootstrap file, started again when it ends, stopped with the agent. Its configuration
 * comes over ADS, so a new process has all of it within a moment.
 */
import { createInterface } from "node:readline";
import type { ChildProcess } from "node:child_process";
import { envoyArguments, type RunOptions } from "../../../core/envoy/bootstrap.ts";
import type { Host } from "../../../io/host/host.ts";
import { ended, start } from "../../../io/host/processes.ts";
import { fileExists, joinPath, parentPath } from "../../../io/host/files.ts";

export interface EnvoyOptions extends RunOptions {
  readonly binary: string;
}

/** After the first restart at once, so that a crash loop does not eat the node. */
const restartMs = { first: 0, least: 100, most: 5_000 };
/** A process that lived so long starts with a clean slate. */
const settledMs = 10_000;
const stopMsMax = 3_000;

/** Where the binary is: `TOMBOLO_ENVOY`, beside this program (a checkout's cache), else the PATH. */
export function findEnvoy(env: Readonly<Record<string, string | undefined>>, programPath: string): string {
  const named = env["TOMBOLO_ENVOY"];
  if (named !== undefined && named !== "") return named;
  const cached = joinPath(parentPath(parentPath(programPath)), ".cache", "bin", "envoy");
  return fileExists(cached) ? cached : "envoy";
}

const quietLevels = new Set(["trace", "debug", "info"]);

/** Envoy's lines become events of our log, at the level that Envoy gave them. */
function relay(host: Host, child: ChildProcess): void {
  if (child.stderr === null) return;
  const lines = createInterface({ input: child.stderr });
  lines.on("line", (line) => {
    const [level = "", ...words] = line.split(" ");
    const message = words.join(" ");
    if (quietLevels.has(level)) host.log.debug("envoy", { message });
    else host.log.warn("envoy", { level, message });
  });
}

/** Runs until the signal aborts; resolves when the last process has ended. */
export async function runEnvoy(host: Host, options: EnvoyOptions, signal: AbortSignal): Promise<void> {
  let waitMs = restartMs.first;
  while (!signal.aborted) {
    const startedAt = host.clock.elapsed();
    const child = start(options.binary, [...envoyArguments(options)], { stdio: ["ignore", "ignore", "pipe"] });
    relay(host, child);
    if (child.pid === undefined) host.log.error("envoy.missing", { binary: options.binary, hint: "set TOMBOLO_ENVOY" });
    else host.log.info("envoy.started", { pid: child.pid });
    const stop = () => {
      child.kill("SIGTERM");
      host.clock.after(stopMsMax, () => child.kill("SIGKILL"));
    };
    signal.addEventListener("abort", stop, { once: true });
    const { code, signal: killedBy } = await ended(child);
    signal.removeEventListener("abort", stop);
    if (signal.aborted) return;
    const livedMs = host.clock.elapsed() - startedAt;
    if (livedMs > settledMs) waitMs = restartMs.first;
    host.log.warn("envoy.ended", { code, signal: killedBy, livedMs, retryMs: waitMs });
    await host.clock.sleep(waitMs, signal).catch(() => undefined);
    waitMs = Math.min(Math.max(waitMs * 2, restartMs.least), restartMs.most);
  }
}
