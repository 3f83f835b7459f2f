/**
 * TCP stays TCP: half-close from either side, server-first protocols, resets, large transfers, slow readers, many short
 * connections and one that is silent for long; to the same node, another node and another cluster.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { block, blockBytes } from "../../src/apps/samples/tcp/pattern.ts";
import { envoys, residentMiB } from "./kit/envoys.ts";
import { poll } from "./kit/program.ts";
import { linked, reportFailures, type Sandbox, useSandbox } from "./kit/sandbox.ts";
import { repository } from "./kit/sandbox-life.ts";

const MiB = 1 << 20;
const largeBytes = 1024 * MiB;
const slowBytes = 300 * MiB;
const shortConnections = 5_000;
/** Two minutes; an hour with TOMBOLO_LONG set. */
const idleMs = process.env["TOMBOLO_LONG"] === undefined ? 120_000 : 3_600_000;
/** What an Envoy may grow by, however much passes it: buffers, not backlogs. */
const envoyMiBMax = 300;

const namespace = "tcp-test";

/** One server per place; the far one has its Service in the other cluster only. */
const servers = [
  { place: "the same node", name: "same", cluster: "cluster1", node: "cluster1-node1", domain: "svc.cluster.local" },
  { place: "another node", name: "other", cluster: "cluster1", node: "cluster1-node2", domain: "svc.cluster.local" },
  { place: "another cluster", name: "far", cluster: "cluster2", node: "cluster2-node1", domain: "mesh.internal" },
] as const;

const server = ({ name, node }: (typeof servers)[number]): string => `
apiVersion: v1
kind: ServiceAccount
metadata: {name: ${name}, namespace: ${namespace}}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}, labels: {solo.io/service-scope: global}}
spec:
  selector: {app: ${name}}
  ports: [{name: tcp, port: 9000, targetPort: 9000, appProtocol: tcp}]
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: {app: ${name}}}
spec:
  serviceAccountName: ${name}
  nodeSelector: {kubernetes.io/hostname: ${node}}
  containers:
    - name: tcp
      image: tombolo/tcp:0.1.0
      readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
`;

const home = `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
`;

const client = `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: ${namespace}}
spec:
  nodeSelector: {kubernetes.io/hostname: cluster1-node1}
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
`;

interface Task {
  readonly do: string;
  readonly [key: string]: number | string;
}

let sandbox: Sandbox;
let agents: ReadonlySet<string>;
let heldOpen: Promise<unknown>[] = [];
const program = join(repository, "test", "field", "kit", "tcp-client.mjs");

async function ask(name: string, domain: string, task: Task, msMax = 120_000): Promise<Record<string, unknown>> {
  const words = JSON.stringify({ host: `${name}.${namespace}.${domain}`, port: 9000, ...task });
  // The client's program is this checkout's, which every pod of the sandbox sees.
  const command = [process.execPath, program, words];
  const { code, stdout, stderr } = await sandbox.exec("cluster1", `${namespace} client`, command, msMax);
  if (code !== 0) throw new Error(`${words} ended with ${code}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

function digestOf(total: number): string {
  const hash = createHash("sha256");
  for (let left = total; left > 0; left -= blockBytes)
    hash.update(left >= blockBytes ? block : block.subarray(0, left));
  return `${total} ${hash.digest("hex")}`;
}

const memory = (): readonly number[] => envoys(agents).map(({ pid }) => residentMiB(pid));

/** Looks at the memory of all Envoys while `work` goes on; the largest it saw. */
async function memoryDuring(work: Promise<unknown>): Promise<number> {
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, ...memory())), 100);
  await work.finally(() => clearInterval(timer));
  return most;
}

beforeAll(async () => {
  sandbox = await useSandbox(linked);
  for (const cluster of sandbox.clusters) await sandbox.apply(cluster, home);
  for (const one of servers) await sandbox.apply(one.cluster, server(one));
  await sandbox.apply("cluster1", client);
  for (const cluster of sandbox.clusters) {
    await sandbox.kubectl(cluster, `-n ${namespace} wait --for=condition=Ready pod --all --timeout=60s`);
  }
  const names = await Promise.all(
    sandbox.clusters.map((cluster) =>
      sandbox.kubectl(cluster, "get pods -A -l app.kubernetes.io/part-of=tombolo -o name"),
    ),
  );
  agents = new Set(names.flatMap((text) => text.split("\n").map((name) => name.replace("pod/", ""))));
  for (const { name, domain } of servers) {
    await poll(`the greeting of ${name}`, async () => "greeting" in (await ask(name, domain, { do: "greet" })));
  }
  heldOpen = servers.map(({ name, domain }) => ask(name, domain, { do: "idle", idleMs }, idleMs + 60_000));
}, 240_000);

reportFailures(() => sandbox);

afterAll(async () => {
  await Promise.allSettled(heldOpen);
  for (const cluster of sandbox?.clusters ?? []) {
    await sandbox.kubectl(cluster, `delete namespace ${namespace} --ignore-not-found --wait=false`);
  }
}, 200_000);

describe.each(servers)("to $place", ({ name, domain }) => {
  it("a server that speaks first is heard at once", async () => {
    const { greeting, ms } = await ask(name, domain, { do: "greet" });
    expect(greeting).toBe(`tombolo-tcp ${name}`);
    expect(Number(ms)).toBeLessThan(900);
  });

  it("an upload whose sender ends first is answered, whole", async () => {
    expect(await ask(name, domain, { do: "upload", bytes: largeBytes })).toEqual({
      sent: digestOf(largeBytes),
      counted: digestOf(largeBytes),
    });
  });

  it("a server that ends its side first still gets everything", async () => {
    const bytes = 4 * MiB;
    const told = { said: "half\n", sent: digestOf(bytes), counted: digestOf(bytes) };
    expect(await ask(name, domain, { do: "serverEnds", bytes })).toEqual(told);
  });

  it("a download arrives whole", async () => {
    expect(await ask(name, domain, { do: "download", bytes: largeBytes })).toEqual({ counted: digestOf(largeBytes) });
  });

  it("a slow reader gets the tail after the server has closed, and nothing piles up in Envoy", async () => {
    let told: unknown;
    const task = { do: "download", bytes: slowBytes, waitMs: 3_000, pauseMs: 20 };
    const most = await memoryDuring(ask(name, domain, task).then((answer) => (told = answer)));
    expect(told).toEqual({ counted: digestOf(slowBytes) });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(envoyMiBMax);
  });

  it("a reset arrives as a reset", async () => {
    expect(await ask(name, domain, { do: "reset" })).toEqual({ ended: "ECONNRESET" });
  });

  it("many short connections all succeed", async () => {
    const told = await ask(name, domain, { do: "many", count: shortConnections, width: 20 });
    expect(told).toEqual({ good: shortConnections, failures: {} });
  });
});

it(
  "a connection that was silent for long goes on",
  async () => {
    const echo = { status: "fulfilled", value: { before: "before", after: "after" } };
    expect(await Promise.allSettled(heldOpen)).toEqual([echo, echo, echo]);
  },
  idleMs + 80_000,
);
