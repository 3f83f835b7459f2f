/**
 * Identities do not mix and nothing of meshed pods leaves in the clear: looked at from the wire between the nodes, and from
 * what the destination's proxy says about each connection.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { accessLog, turnOnAccessLogs } from "./kit/access-log.ts";
import { type Segment, segmentsOf } from "./kit/pcap.ts";
import { poll } from "./kit/program.ts";
import { linked, reportFailures, type Sandbox, useSandbox } from "./kit/sandbox.ts";

const namespace = "isolation";
const outside = "isolation-outside";
const requests = 15;

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly nodeName: string };
    readonly status: { readonly podIP: string };
  }[];
}
interface LogLine {
  readonly time: string;
  readonly direction: string;
  readonly identity: string | null;
  readonly source: string;
  readonly destination: string;
}

let sandbox: Sandbox;
const sniffers: ChildProcess[] = [];
const captures: string[] = [];
const addresses = new Map<string, string>();

const identityOf = (account: string): string => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;

const caller = (home: string, name: string) => `
apiVersion: v1
kind: ServiceAccount
metadata: {name: ${name}, namespace: ${home}}
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${home}}
spec:
  serviceAccountName: ${name}
  nodeSelector: {kubernetes.io/hostname: cluster1-node1}
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
---
`;

const web = (name: string, node: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}, labels: {solo.io/service-scope: global}}
spec:
  selector: {app: ${name}}
  ports: [{name: http, port: 8000, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: {app: ${name}}}
spec:
  nodeSelector: {kubernetes.io/hostname: ${node}}
  containers:
    - name: web
      image: mccutchen/go-httpbin:2.18.3
      readinessProbe: {httpGet: {path: /status/200, port: 8080}, periodSeconds: 1}
---
`;

const homes = `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ${outside}}
---
`;

/** On the host's end of every node's uplink: all that goes from node to node. */
function sniff(): void {
  const links = readFileSync("/proc/net/dev", "utf8").match(/^ *tmb-[0-9a-f]{4}-\d+-\d+(?=:)/gm) ?? [];
  // Written by this sandbox; its id is in the name of every link it made.
  const { id } = JSON.parse(readFileSync(join(sandbox.home, "sandbox.json"), "utf8")) as { readonly id: string };
  for (const link of links.map((name) => name.trim()).filter((name) => name.startsWith(`tmb-${id}-`))) {
    const file = join(sandbox.home, `${link}.pcap`);
    captures.push(file);
    const args = ["-i", link, "-U", "-s", "0", "-w", file, "-Z", "root", "tcp"];
    sniffers.push(spawn("tcpdump", args, { stdio: ["ignore", "ignore", "pipe"] }));
  }
}

const listening = (sniffer: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    sniffer.once("error", reject);
    sniffer.stderr?.on("data", (text: Buffer) => text.includes("listening on") && resolve());
  });

const call = (home: string, name: string, host: string, marker: string, count = 1) => {
  const script = `for i in $(seq ${count}); do curl -sS -m 5 -o /dev/null -H "x-secret: ${marker}" ${host}:8000/get || exit 1; done`;
  return sandbox.exec("cluster1", `${home} ${name}`, ["sh", "-c", script], 60_000);
};

beforeAll(async () => {
  sandbox = await useSandbox(linked);
  await turnOnAccessLogs(sandbox);
  await sandbox.apply("cluster2", homes + web("far", "cluster2-node2"));
  await sandbox.apply(
    "cluster1",
    homes +
      caller(namespace, "alice") +
      caller(namespace, "bob") +
      caller(outside, "stranger") +
      web("near", "cluster1-node2"),
  );
  for (const [cluster, home] of [
    ["cluster1", namespace],
    ["cluster1", outside],
    ["cluster2", namespace],
  ] as const) {
    await sandbox.kubectl(cluster, `-n ${home} wait --for=condition=Ready pod --all --timeout=60s`);
    const { items } = await sandbox.json<PodList>(cluster, `-n ${home} get pods`);
    for (const { metadata, status } of items) addresses.set(metadata.name, status.podIP);
  }
  const far = `far.${namespace}.mesh.internal`;
  await poll("the far service to answer", async () => (await call(namespace, "alice", far, "first")).code === 0);
  sniff();
  await Promise.all(sniffers.map(listening));
}, 240_000);

reportFailures(() => sandbox);

afterAll(async () => {
  for (const sniffer of sniffers) sniffer.kill();
  if (sandbox === undefined) return;
  for (const cluster of sandbox.clusters) {
    await sandbox.kubectl(cluster, `delete namespace ${namespace} ${outside} --ignore-not-found --wait=false`);
  }
}, 120_000);

const segments = (): readonly Segment[] => captures.flatMap((file) => segmentsOf(file));
const hasSeen = (marker: string): boolean => captures.some((file) => readFileSync(file).includes(marker));

it("nothing of meshed pods can be read between the nodes or between the clusters", async () => {
  for (const host of [`near.${namespace}.svc.cluster.local`, `far.${namespace}.mesh.internal`]) {
    expect(await call(namespace, "alice", host, "meshed-marker")).toMatchObject({ code: 0 });
  }
  // A pod outside the mesh sends the same in the clear: the sniffers do see what can be seen.
  const plain = `near.${namespace}.svc.cluster.local`;
  expect(await call(outside, "stranger", plain, "plain-marker")).toMatchObject({ code: 0 });
  await poll("the sniffers to see the stranger's request", () => hasSeen("plain-marker"));
  expect(hasSeen("meshed-marker")).toBe(false);
});

it("nothing to a pod that is just starting can be read either", async () => {
  const [service = "", pod = ""] = web("fresh", "cluster1-node2").split("---");
  await sandbox.apply("cluster1", service);
  // Calls without a pause from before the pod exists until a while after it answers.
  const script = `for i in $(seq 20000); do
    curl -s -m 1 -o /dev/null -H "x-secret: fresh-marker" fresh:8000/get && good=$((good + 1))
    test "\${good:-0}" -ge 50 && exit 0
  done; exit 1`;
  const calls = sandbox.exec("cluster1", `${namespace} alice`, ["sh", "-c", script], 60_000);
  await sandbox.apply("cluster1", pod);
  expect(await calls).toMatchObject({ code: 0 });
  expect(await call(outside, "stranger", `fresh.${namespace}`, "late-marker")).toMatchObject({ code: 0 });
  await poll("the sniffers to see the stranger's request", () => hasSeen("late-marker"));
  expect(hasSeen("fresh-marker")).toBe(false);
});

it("every connection of a meshed pod begins with a TLS handshake", async () => {
  const handshake = 0x16;
  const own = [addresses.get("alice"), addresses.get("bob")];
  // On the way to another cluster the node puts its own address in place of the pod's.
  const isOwn = ({ from, to }: Segment) =>
    to.endsWith(":15008") || (own.includes(from.split(":")[0]) && to === `${addresses.get("near")}:8080`);
  await poll("connections to both places", () => {
    const seen = segments().filter(isOwn);
    return seen.some(({ to }) => to.endsWith(":8080")) && seen.some(({ to }) => to.endsWith(":15008"));
  });
  const first = new Map<string, number>();
  for (const segment of segments().filter(isOwn)) {
    const connection = `${segment.from} ${segment.to}`;
    if (!first.has(connection)) first.set(connection, segment.payload.readUInt8(0));
  }
  expect([...new Set(first.values())]).toEqual([handshake]);
});

it.each([
  { place: "another node", name: "near", cluster: "cluster1", node: "cluster1-node2", domain: "svc.cluster.local" },
  { place: "another cluster", name: "far", cluster: "cluster2", node: "cluster2-node2", domain: "mesh.internal" },
])("on $place each connection has the identity of its own client", async ({ name, cluster, node, domain }) => {
  const host = `${name}.${namespace}.${domain}`;
  // Envoy writes its log some seconds later, so lines of earlier requests may still come.
  const began = new Date().toISOString();
  const arrived = async () => {
    const to = `${addresses.get(name)}:8080`;
    return (await accessLog<LogLine>(sandbox, cluster, node)).filter(
      ({ time, direction, destination }) => time >= began && direction === "inbound" && destination === to,
    );
  };
  // At the same time, so that a connection that could be shared would be.
  const told = await Promise.all(["alice", "bob"].map((who) => call(namespace, who, host, "identity", requests)));
  expect(told.map(({ code }) => code)).toEqual([0, 0]);
  const after = await poll("the log of all connections", async () => {
    const lines = await arrived();
    return lines.length >= 2 * requests && lines;
  });
  for (const who of ["alice", "bob"]) {
    expect(after.filter(({ identity }) => identity === identityOf(who))).toHaveLength(requests);
  }
  expect(after).toHaveLength(2 * requests);
  if (name !== "near") return;
  // Without a gateway between, the destination sees the client's own address: it must belong to the identity.
  for (const { identity, source } of after) {
    const owner = source.startsWith(`${addresses.get("alice")}:`) ? "alice" : "bob";
    expect(identity).toBe(identityOf(owner));
  }
});
