/** docs/benchmarks.md, from the figures of one run. Pure: text from numbers. */
import type { ApiServerResult } from "./api-server.ts";
import type { ChangeResult } from "./changes.ts";
import { connectionCounts, type LoadFigure, type PathResult } from "./data-path.ts";
import type { ScaleResult } from "./scale.ts";
import type { KubectlResult } from "./kubectl-streams.ts";
import { podsPerService } from "./world.ts";

export interface SandboxResult {
  readonly upSeconds: number;
  readonly paths: readonly PathResult[];
  readonly change: ChangeResult;
  readonly memory: readonly { readonly what: string; readonly rss: number }[];
  readonly kubectl: KubectlResult;
}

export interface Report {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  /** One-minute load averages when the parts began and ended. */
  readonly loads: readonly { readonly when: string; readonly load: number }[];
  readonly cpus: number;
  readonly sandbox: SandboxResult;
  readonly apiServer: { readonly filled: ApiServerResult; readonly opened: ApiServerResult };
  readonly scale: readonly ScaleResult[];
}

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_cell, at) => (at === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

const count = (value: number): string => Math.round(value).toLocaleString("en-US");
const ms = (value: number): string => (value < 10 ? value.toFixed(2) : count(value));
const mb = (bytes: number): string => count(bytes / 1e6);

/** The raw path to which a path of the mesh is compared. */
const rawOf = (paths: readonly PathResult[], { name }: PathResult): PathResult | undefined =>
  paths.find((one) => one.name === (name.includes("same node") ? "raw, same node" : "raw, other node"));

const ratio = (value: number, raw: number | undefined): string =>
  raw === undefined || raw === 0 ? "" : `${Math.round((100 * value) / raw)} %`;

function loadTable(paths: readonly PathResult[], of: (path: PathResult) => LoadFigure | undefined): string {
  const rows = paths.map((path): Row => {
    const figure = of(path);
    const raw = rawOf(paths, path);
    if (figure === undefined) return [path.name];
    const share = raw === path ? "" : ratio(figure.perSecond, raw && of(raw)?.perSecond);
    return [path.name, count(figure.perSecond), share, ms(figure.p50Ms), ms(figure.p99Ms), count(figure.errors)];
  });
  return table(["path", "per second", "of raw", "p50 ms", "p99 ms", "errors"], rows);
}

function dataPathText(paths: readonly PathResult[]): string {
  const parts = connectionCounts.map((connections) =>
    [
      `Requests, ${connections} kept connection${connections === 1 ? "" : "s"}:`,
      loadTable(paths, (path) => path.kept[connections]),
    ].join("\n\n"),
  );
  const streams = paths.map((path): Row => {
    const raw = rawOf(paths, path);
    return [path.name, path.gigabits.toFixed(2), raw === path ? "" : ratio(path.gigabits, raw?.gigabits)];
  });
  return [
    ...parts,
    "Requests, each on a new connection, 16 clients:",
    loadTable(paths, (path) => path.fresh),
    "One stream:",
    table(["path", "Gbit/s", "of raw"], streams),
  ].join("\n\n");
}

function scaleText(scale: readonly ScaleResult[]): string {
  const times = scale.map((one): Row => [
    count(one.services),
    count(one.rows),
    count(one.firstBuildMs),
    count(one.modelSyncMs),
    one.commitMsP50.toFixed(2),
    ms(one.changeMsP50),
    ms(one.changeMsP99),
  ]);
  const memory = scale.map((one): Row => [count(one.services), mb(one.controlRss), mb(one.agentRss), mb(one.envoyRss)]);
  return [
    table(
      [
        "services",
        "rows streamed",
        "first build ms",
        "first sync of an agent ms",
        "commit p50 ms",
        "change p50 ms",
        "change p99 ms",
      ],
      times,
    ),
    table(["services", "control plane MB", "agent MB", "Envoy MB"], memory),
  ].join("\n\n");
}

interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly isMet: boolean;
}

function sandboxTargets({ apiServer, sandbox }: Report): readonly Target[] {
  const rss = Math.max(apiServer.filled.rss, apiServer.opened.rss);
  return [
    limit("API server of the sandbox, start with 2,000 objects", 1_000, apiServer.opened.ms, "ms"),
    limit("API server of the sandbox, 2,000 objects", 150, rss / 1e6, "MB"),
    limit("sandbox, 1 to 5 replicas Ready, slowest", 1_000, Math.max(...sandbox.kubectl.growMs), "ms"),
  ];
}

function kubectlText({ streams, growMs }: KubectlResult): string {
  const rows = streams.map(({ what, bytes, ms: took }): Row => [
    what,
    mb(bytes),
    count(took),
    count(bytes / 1e3 / took),
  ]);
  return `Random bytes through kubectl, compared by sha256 (the bench ends with an error when one is not as sent):

${table(["through", "MB", "ms", "MB/s"], rows)}

A Deployment grows from 1 to 5 replicas: ${growMs.map((one) => count(one)).join(", ")} ms until all are Ready.`;
}

function targetsOf(report: Report): readonly Target[] {
  const { scale } = report;
  const at = (services: number) => scale.find((one) => one.services === services);
  const thousand = at(1_000);
  const tenThousand = at(10_000);
  return [
    ...(thousand === undefined
      ? []
      : [
          limit("one change to serving Envoy, p99, 1,000 services", 100, thousand.changeMsP99, "ms"),
          limit("agent, 1,000 services", 120, thousand.agentRss / 1e6, "MB"),
        ]),
    ...(tenThousand === undefined
      ? []
      : [
          limit("control plane, 10,000 services", 250, tenThousand.controlRss / 1e6, "MB"),
          limit("agent, 10,000 services", 120, tenThousand.agentRss / 1e6, "MB"),
        ]),
    ...sandboxTargets(report),
  ];
}

const limit = (what: string, most: number, measured: number, unit: string): Target => ({
  what,
  wanted: `under ${most} ${unit}`,
  measured: `${count(measured)} ${unit}`,
  isMet: measured < most,
});

function loadText({ loads, cpus }: Report): string {
  const most = Math.max(...loads.map(({ load }) => load));
  const list = loads.map(({ when, load }) => `${load.toFixed(1)} ${when}`).join(", ");
  const note =
    most > cpus
      ? ` The machine had other work at the same time (more of it than ${cpus} CPUs do), so absolute figures are low and times long; the ratios were measured side by side.`
      : "";
  return `Load average: ${list}.${note}`;
}

export function reportText(report: Report): string {
  const { sandbox, apiServer, scale } = report;
  const { filled, opened } = apiServer;
  const targets = targetsOf(report).map((one): Row => [one.what, one.wanted, one.measured, one.isMet ? "yes" : "no"]);
  return `# Benchmarks

Written by \`npm run bench\` on ${report.date} at commit ${report.commit}; do not edit.

${report.machine}. ${loadText(report)}

## Targets

${table(["figure", "target", "measured", "met"], targets)}

## Data path

wrk (one thread, 2 s a run) and iperf3 run in a client pod of a sandbox with two linked clusters of two nodes each;
servers are an Envoy with one worker that answers by itself, and iperf3. Every round goes over all paths one after the
other, the best of two rounds counts, and "raw" is the same pods on the same nodes in a namespace outside the mesh.

The client, the servers and all proxies share the machine's CPUs, so a proxy on the path takes CPU from both ends. "Other
cluster" passes one east-west gateway and is compared with the raw path to the other node.

${dataPathText(sandbox.paths)}

## One change, everything real

In that sandbox the selector of a Service is patched through the API server, back and forth between two pods, while a
client pod opens one new connection after the other. Measured from sending the patch until the first answer of the new
pod: ${sandbox.change.changes} changes, p50 ${ms(sandbox.change.p50Ms)} ms, p99 ${ms(sandbox.change.p99Ms)} ms.

## Scale

Services in each of three clusters, ${podsPerService} pods for each: this cluster's objects and the exports of two peers are
synthetic, and the control plane's mesh, commit loop and model stream run as in tombolod, in a process of their own.
An agent's replica and Envoy source follow it and drive a real Envoy with captured pods.

A change is one Service's selector, measured from the event until the first answer of the other pod through Envoy; both
pods are on the client's node. "First build" derives everything from nothing; memory is resident memory after a garbage
collection and after all generated objects came back from the API server. The agent's process here also has the bench's
certificate authority and clients in it; what real agents take is in the last table. A p99 of so few changes is the
slowest of them.

${scaleText(scale)}

## Sandbox

\`tombolo sandbox up --nodes 2\` with everything installed and built: ${sandbox.upSeconds.toFixed(1)} s to two linked clusters.
The API server writes ${count(filled.objects)} Services to disk in ${count(filled.ms)} ms, and starts with them in ${count(opened.ms)} ms
with ${mb(opened.rss)} MB of memory (${mb(filled.rss)} MB after writing them).

${kubectlText(sandbox.kubectl)}

Memory of the programs after the data path was measured:

${table(
  ["program", "MB"],
  sandbox.memory.map(({ what, rss }): Row => [what, mb(rss)]),
)}
`;
}
