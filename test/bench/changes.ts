/** One change in a real sandbox: a Service's selector is patched, until a new connection through Envoy has the new answer. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { poll } from "../field/kit/program.ts";
import { serviceOf } from "./data-path.ts";
import type { Kube } from "./kube.ts";
import { quantile } from "./process-stats.ts";

const cluster = "cluster1";
const changes = 50;
const port = 8080;

export interface ChangeResult {
  readonly changes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** `kubectl proxy`, so that a change costs one request and not the start of a program. */
export async function apiProxy(kube: Kube): Promise<{ url: string; end: () => void }> {
  const child = spawn("kubectl", ["--context", cluster, "proxy", "--port=0"], { env: kube.env });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const address = /127\.0\.0\.1:\d+/.exec(line)?.[0];
  if (address === undefined) throw new Error(`kubectl proxy said: ${line}`);
  return { url: `http://${address}`, end: () => void child.kill("SIGKILL") };
}

export async function measureChanges(kube: Kube): Promise<ChangeResult> {
  await kube.apply(cluster, [serviceOf("bench", "flip", "same")]);
  const host = "flip.bench.svc.cluster.local";
  const prober = [process.execPath, join(import.meta.dirname, "prober.mjs"), host, String(port), "/"];
  const args = ["--context", cluster, "-n", "bench", "exec", "client", "--", ...prober];
  const child = spawn("kubectl", args, { env: kube.env, stdio: ["ignore", "pipe", "inherit"] });
  const seen: { atNs: bigint; text: string }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [atNs = "0", text = ""] = line.split(" ");
    seen.push({ atNs: BigInt(atNs), text });
  });
  const until = (text: string, afterNs: bigint) =>
    poll(`the answer of ${text}`, () => seen.find((one) => one.text === text && one.atNs > afterNs), { everyMs: 5 });
  const proxy = await apiProxy(kube);
  try {
    await until("same", 0n);
    const took: number[] = [];
    for (let at = 0; at < changes; at += 1) {
      const app = at % 2 === 0 ? "other" : "same";
      const startNs = process.hrtime.bigint();
      const response = await fetch(`${proxy.url}/api/v1/namespaces/bench/services/flip`, {
        method: "PATCH",
        headers: { "content-type": "application/merge-patch+json" },
        body: JSON.stringify({ spec: { selector: { app } } }),
      });
      if (!response.ok) throw new Error(`The patch of Service flip was refused: ${await response.text()}`);
      const { atNs } = await until(app, startNs);
      took.push(Number(atNs - startNs) / 1e6);
    }
    return { changes, p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  } finally {
    proxy.end();
    child.kill("SIGKILL");
  }
}
