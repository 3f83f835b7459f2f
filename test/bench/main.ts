/**
 * All benches, one after the other, and the report of them. Run by scripts/bench.mjs as root. Usage: main.js ROOT
 * [part...]; with parts (sandbox, kubectl, api-server, scale, peers) only these run and their figures are printed, not written.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../field/kit/program.ts";
import { bringUp, takeDown } from "../field/kit/sandbox-life.ts";
import type { ApiServerResult } from "./api-server.ts";
import { measureChanges } from "./changes.ts";
import { deploy, measureDataPath } from "./data-path.ts";
import { Kube } from "./kube.ts";
import { measureKubectl, type KubectlResult } from "./kubectl-streams.ts";
import { descendantsOf, processes, rssOf } from "./process-stats.ts";
import type { PeersResult } from "./peers.ts";
import { type Report, reportText, type SandboxResult } from "./report.ts";
import type { ScaleResult } from "./scale.ts";

const sizes = [100, 1_000, 10_000];
const sizeMsMax = 300_000;

const say = (text: string): void => console.log(`  ${text}`);
const beside = (name: string): string => join(dirname(process.argv[1] ?? ""), name);

/** A bench program of its own process; its last line is its result. */
async function measured<T>(script: string, args: readonly string[]): Promise<T> {
  const node = ["--expose-gc", "--enable-source-maps", beside(script), ...args];
  const { code, stdout, stderr } = await run(process.execPath, node, { env: process.env, msMax: sizeMsMax });
  if (code !== 0) throw new Error(`${script} ${args.join(" ")} ended with ${code}:\n${stderr}`);
  // Each program prints the object that its caller names.
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as T;
}

/** Of the sandbox's first cluster. */
function memoryOf(folder: string): SandboxResult["memory"] {
  const isCluster = ({ command, environment }: { command: string; environment: string }) =>
    command.includes("sandbox-cluster.js cluster1") && environment.includes(`TOMBOLO_HOME=${join(folder, "home")}`);
  const cluster = processes()
    .filter(isCluster)
    .map(({ pid }) => pid);
  const kinds = [
    ["control plane", "tombolod.js"],
    ["agent", "agent.js"],
    ["Envoy of an agent", "/run/tombolo"],
  ] as const;
  const below = descendantsOf(cluster);
  const programs = kinds.flatMap(([what, word]) => {
    const sizes = below.filter(({ command }) => command.includes(word)).map(({ pid }) => rssOf(pid));
    return sizes.length === 0 ? [] : [{ what: `${what} (largest of ${sizes.length})`, rss: Math.max(...sizes) }];
  });
  const machine = {
    what: "API server, controllers and kubelets",
    rss: Math.max(0, ...cluster.map((pid) => rssOf(pid))),
  };
  return [...programs, machine];
}

async function sandbox(): Promise<SandboxResult> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
  try {
    const began = performance.now();
    const failure = await bringUp(folder, ["--nodes", "2"]);
    if (failure !== undefined) throw new Error(failure);
    const upSeconds = (performance.now() - began) / 1000;
    say(`sandbox up after ${upSeconds.toFixed(1)} s`);
    const kube = new Kube(folder);
    await deploy(kube);
    const paths = await measureDataPath(kube, say);
    const change = await measureChanges(kube);
    const memory = memoryOf(folder);
    const kubectl = await measureKubectl(kube);
    return { upSeconds, paths, change, memory, kubectl };
  } finally {
    await takeDown(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In a sandbox of its own, without a mesh. */
async function kubectlOnly(): Promise<KubectlResult> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
  try {
    const failure = await bringUp(folder, ["--bare", "--clusters", "cluster1", "--nodes", "2"]);
    if (failure !== undefined) throw new Error(failure);
    return await measureKubectl(new Kube(folder));
  } finally {
    await takeDown(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function apiServer(): Promise<Report["apiServer"]> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-bench-"));
  try {
    const filled = await measured<ApiServerResult>("api-server.js", ["fill", folder]);
    const opened = await measured<ApiServerResult>("api-server.js", ["open", folder]);
    return { filled, opened };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function scale(): Promise<readonly ScaleResult[]> {
  const results: ScaleResult[] = [];
  for (const size of sizes) {
    say(`${size} services in each of three clusters`);
    results.push(await measured<ScaleResult>("scale.js", [String(size)]));
  }
  return results;
}

/** Few and many linked clusters of moderate size; for docs/scale.md, so only when asked for. */
async function peers(): Promise<readonly PeersResult[]> {
  const results: PeersResult[] = [];
  for (const count of [10, 100]) results.push(await measured<PeersResult>("peers.js", [String(count), "100"]));
  return results;
}

const parts = { sandbox, kubectl: kubectlOnly, "api-server": apiServer, scale, peers } as const;

function machineText(): string {
  const [first] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const model = first?.model.trim() || "unknown model";
  return `${cpus().length} CPUs (${model}), ${memory} memory, Linux ${release()}, Node ${process.version}`;
}

async function main(root: string, wanted: readonly string[]): Promise<void> {
  if (wanted.length > 0) {
    for (const [name, measure] of Object.entries(parts)) {
      if (wanted.includes(name)) console.log(JSON.stringify(await measure(), undefined, 1));
    }
    return;
  }
  const loads: Report["loads"][number][] = [];
  const load = (when: string) => loads.push({ when, load: loadavg()[0] ?? 0 });
  load("at the start");
  console.log("Data path");
  const ofSandbox = await sandbox();
  load("after the data path");
  console.log("API server");
  const ofApiServer = await apiServer();
  console.log("Scale");
  const ofScale = await scale();
  load("at the end");
  const { stdout } = await run("git", ["-C", root, "rev-parse", "--short", "HEAD"], { env: process.env });
  const text = reportText({
    date: new Date().toISOString().slice(0, 10),
    commit: stdout.trim() || "unknown",
    machine: machineText(),
    loads,
    cpus: cpus().length,
    sandbox: ofSandbox,
    apiServer: ofApiServer,
    scale: ofScale,
  });
  const file = join(root, "docs", "benchmarks.md");
  writeFileSync(file, text);
  console.log(`\n${readFileSync(file, "utf8")}\nWritten to ${file}.`);
}

const [root = ".", ...wanted] = process.argv.slice(2);
main(root, wanted).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
