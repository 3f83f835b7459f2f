/** Two control planes with a shared root of trust, linked to each other over real TLS, and an agent that follows one. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AnyObject, Secret, Service } from "../../core/api/kube.ts";
import type { Gateway, Segment } from "../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import { condition, label } from "../../core/api/names.ts";
import type { Pod } from "../../core/api/pod.ts";
import { builtin } from "../../core/api/resources.ts";
import { typeUrl } from "../../core/proto/wire.ts";
import { systemHost } from "../../io/host/host.ts";
import type { Host } from "../../io/host/host.ts";
import { CaClient } from "../../io/identity/ca-client.ts";
import { mintIntermediate, mintRoot, pluggedInSecret } from "../../io/identity/mint.ts";
import type { MintedCa } from "../../io/identity/mint.ts";
import { clientChannelOptions, clientCredentials } from "../../io/identity/tls-credentials.ts";
import { MemoryKubeClient } from "../../io/kube/memory-client.ts";
import { DeltaClient } from "../../io/xds/delta-client.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { unpacked } from "./peering/remembered-exports.ts";
import { parseSettings } from "./settings.ts";

const silent = () => undefined;
const host: Host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error: silent } };

interface Cluster {
  readonly name: string;
  readonly client: MemoryKubeClient;
  control: ControlPlane;
}

let root: MintedCa;
let clusters: Cluster[] = [];
let closers: (() => void)[] = [];
beforeEach(async () => {
  root = await mintRoot(host, { name: "test root" });
});
afterEach(async () => {
  for (const close of closers) close();
  await Promise.all(clusters.map(({ control }) => control.stop()));
  clusters = [];
  closers = [];
});

const trustDomain = (name: string) => `${name}.local`;

async function startReplica(name: string, client: MemoryKubeClient, controlPlane = 0): Promise<ControlPlane> {
  const file = { cluster: name, network: name, trustDomain: trustDomain(name), skipTrustDomainCheck: true };
  const read = parseSettings(JSON.stringify(file));
  if (!read.ok) throw new Error(read.problems.join());
  const self = { podName: `tombolod-${name}`, podIp: "127.0.0.1", nodeName: "n1", namespace: "istio-system" };
  const listeners = { address: "127.0.0.1", controlPlane, metrics: 0, readiness: 0, debug: 0 };
  return startControlPlane(host, client, { settings: read.settings, self, listeners, streamGraceMs: 50 });
}

async function startCluster(name: string): Promise<Cluster> {
  const client = new MemoryKubeClient();
  const texts = pluggedInSecret(root, await mintIntermediate(host, root, { name }));
  const cacerts: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: "istio-system" },
    data: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
  };
  await client.create(builtin.secrets, cacerts);
  for (const [namespace, labels] of [
    ["istio-system", { [label.network]: name }],
    ["shop", { [label.dataplaneMode]: "ambient" }],
  ] as const) {
    await client.create(builtin.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels },
    });
  }
  await client.create(builtin.pods, pod());
  await client.create(builtin.services, service());
  const cluster = { name, client, control: await startReplica(name, client) };
  clusters.push(cluster);
  return cluster;
}

const service = (labels: Record<string, string> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop", labels },
  spec: { selector: { app: "web" }, clusterIP: "10.96.0.9", ports: [{ name: "http", port: 80, targetPort: 8080 }] },
});
const pod = (): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "web-1",
    namespace: "shop",
    labels: { app: "web" },
    annotations: { "ambient.istio.io/redirection": "enabled" },
  },
  spec: { nodeName: "n1", serviceAccountName: "web", containers: [{ name: "web", image: "web" }] },
  status: { phase: "Running", podIP: "10.1.0.5", conditions: [{ type: "Ready", status: "True" }] },
});

/** The remote Gateway by which `from` reaches `to`. */
async function link(from: Cluster, to: Cluster): Promise<void> {
  const gateway: Gateway = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      name: `istio-remote-peer-${to.name}`,
      namespace: "istio-gateways",
      labels: { [label.network]: to.name, [label.cluster]: to.name },
      annotations: {
        "gateway.istio.io/service-account": "istio-eastwest",
        "gateway.istio.io/trust-domain": trustDomain(to.name),
      },
    },
    spec: {
      gatewayClassName: "istio-remote",
      addresses: [{ type: "IPAddress", value: "127.0.0.1" }],
      listeners: [
        { name: "cross-network", port: 15008, protocol: "HBONE", tls: { mode: "Passthrough" } },
        { name: "xds-tls", port: to.control.ports.controlPlane, protocol: "TLS", tls: { mode: "Passthrough" } },
      ],
    },
  };
  await from.client.create(meshKinds.gateways, gateway);
}

const eventually = <T>(read: () => T | undefined, what: string): Promise<T> =>
  expect
    .poll(() => read(), { timeout: 10_000, interval: 20, message: what })
    .toBeTruthy()
    .then(() => read()!);

const entry = ({ client }: Cluster) => client.all(meshKinds.serviceEntries)[0];
const workloadEntries = ({ client }: Cluster) =>
  client.all(meshKinds.workloadEntries).map(({ metadata }) => metadata.name);
const peerCondition = ({ client }: Cluster, type: string) =>
  client
    .all(meshKinds.gateways)
    .flatMap(({ status }) => status?.conditions ?? [])
    .find((one) => one.type === type);

test("what one cluster publishes appears in the linked one, and the link says that it is up", async () => {
  const [one, two] = [await startCluster("one"), await startCluster("two")];
  await link(one, two);
  await two.client.update(builtin.services, service({ [label.serviceScope]: "global" }));
  const made = await eventually(() => entry(one), "an entry in cluster one");
  expect(made.spec.subjectAltNames).toEqual(["spiffe://two.local/ns/shop/sa/web"]);
  expect(workloadEntries(one)).toEqual(["autogen.two.shop.web"]);
  await eventually(() => peerCondition(one, condition.peerConnected)?.status === "True", "PeerConnected");
  expect(peerCondition(one, "Programmed")?.status).toBe("True");
  // A link has one direction: cluster two is told nothing.
  expect(workloadEntries(two)).toEqual([]);
  await two.client.update(builtin.services, service());
  await eventually(() => entry(one) === undefined && workloadEntries(one).length === 0, "the entries to go");
});

test("when the peer's control plane dies, what is known of it stays; unlinking drops it", async () => {
  const [one, two] = [await startCluster("one"), await startCluster("two")];
  await two.client.update(builtin.services, service({ [label.serviceScope]: "global" }));
  await link(one, two);
  await eventually(() => workloadEntries(one).length === 1, "a workload entry");
  await eventually(() => peerCondition(one, condition.peerConnected)?.status === "True", "PeerConnected");
  await two.control.stop();
  clusters = [one];
  await eventually(() => peerCondition(one, condition.peerConnected)?.status === "False", "PeerConnected to be false");
  expect(workloadEntries(one)).toEqual(["autogen.two.shop.web"]);
  await one.client.delete(meshKinds.gateways, { name: "istio-remote-peer-two", namespace: "istio-gateways" });
  await eventually(() => workloadEntries(one).length === 0, "the entry to go");
});

test("a control plane that restarts while its peer is away still knows the peer's services", async () => {
  const [one, two] = [await startCluster("one"), await startCluster("two")];
  await two.client.update(builtin.services, service({ [label.serviceScope]: "global" }));
  await link(one, two);
  await eventually(() => workloadEntries(one).length === 1, "a workload entry");
  const memory = () => one.client.all(builtin.configMaps).find(({ metadata }) => metadata.name === "tombolo-peer-two");
  const remembered = () => unpacked(memory()?.binaryData?.["exports.gz"] ?? "", "two").map(({ name }) => name);
  await eventually(() => remembered().includes("web"), "the memory");
  const { controlPlane } = two.control.ports;
  await Promise.all([one.control.stop(), two.control.stop()]);
  clusters = [];
  one.client.calls.length = 0;
  one.control = await startReplica("one", one.client);
  clusters = [one];
  await eventually(() => one.control.isLeader, "the restarted replica to lead");
  await one.control.written();
  expect(one.client.calls.filter(({ verb, kind }) => verb === "delete" && kind !== "Lease")).toEqual([]);
  expect(workloadEntries(one)).toEqual(["autogen.two.shop.web"]);
  // Meanwhile the service was withdrawn: once the peer is back, its word counts.
  await two.client.update(builtin.services, service());
  two.control = await startReplica("two", two.client, controlPlane);
  clusters.push(two);
  await eventually(() => workloadEntries(one).length === 0, "the entry to go");
}, 60_000);

/** Answers TokenReviews: a token is `<namespace>/<service account>@<node>`. */
function reviewTokens({ client }: Cluster): void {
  client.answer = ({ kind, body }) => {
    if (kind !== "TokenReview") return undefined;
    const { token } = (body as AnyObject)["spec"] as { token: string };
    const [account = "", node = ""] = token.split("@");
    const [namespace, name] = account.split("/");
    const extra = { "authentication.kubernetes.io/node-name": [node] };
    const user = { username: `system:serviceaccount:${namespace}:${name}`, extra };
    return { status: { authenticated: token !== "bad", audiences: ["istio-ca"], user } };
  };
}

function agent({ name, control }: Cluster, token: string) {
  const rows = new Map<string, string>();
  const causes: string[] = [];
  const identities = [`spiffe://${trustDomain(name)}/ns/istio-system/sa/tombolod`];
  const credentials = () => clientCredentials({ rootPem: root.certPem, identities });
  const target = () => `127.0.0.1:${control.ports.controlPlane}`;
  const client = new DeltaClient(host, {
    target,
    credentials,
    metadata: () => ({ authorization: `Bearer ${token}` }),
    channelOptions: clientChannelOptions,
    node: { id: "ztunnel~n1", cluster: name },
    subscriptions: [{ typeUrl: typeUrl.address }],
    received: ({ upserts, removals }) => {
      for (const { name: key, version } of upserts) rows.set(key, version);
      for (const key of removals) rows.delete(key);
    },
    connection: ({ cause }) => void (cause !== undefined && causes.push(cause)),
  });
  const stop = new AbortController();
  void client.run(stop.signal).catch(silent);
  closers.push(() => stop.abort(new Error("the test ended")));
  const ca = new CaClient(host, {
    target: target(),
    credentials: credentials(),
    channelOptions: clientChannelOptions,
    token: () => token,
  });
  closers.push(() => ca.close());
  return { rows, causes, ca };
}

test("an agent receives the model, then changes; a caller without a good token receives nothing", async () => {
  const one = await startCluster("one");
  reviewTokens(one);
  const good = agent(one, "istio-system/tombolo-agent@n1");
  const bad = agent(one, "bad");
  await eventually(() => good.rows.has("one//Pod/shop/web-1"), "the pod");
  expect([...good.rows.keys()]).toContain("shop/web.shop.svc.cluster.local");
  await one.client.delete(builtin.pods, { name: "web-1", namespace: "shop" });
  await eventually(() => !good.rows.has("one//Pod/shop/web-1"), "the pod to go");
  await eventually(() => bad.causes.some((cause) => cause.includes("not accepted")), "the refusal");
  expect(bad.rows.size).toBe(0);
});

test("a node agent gets certificates for pods of its node and for nobody else", async () => {
  const one = await startCluster("one");
  reviewTokens(one);
  const identity = "spiffe://one.local/ns/shop/sa/web";
  const { signal } = new AbortController();
  const local = await agent(one, "istio-system/tombolo-agent@n1").ca.request(identity, signal);
  expect(local.identity).toBe(identity);
  await expect(agent(one, "istio-system/tombolo-agent@n2").ca.request(identity, signal)).rejects.toThrow(/impersonate/);
  await expect(agent(one, "shop/other@n1").ca.request(identity, signal)).rejects.toThrow(/impersonate/);
  const own = await agent(one, "shop/other@n1").ca.request("spiffe://one.local/ns/shop/sa/other", signal);
  expect(own.rootPem.trim()).toBe(root.certPem.trim());
});

const segment = (name: string, domain: string): Segment => ({
  apiVersion: "admin.solo.io/v1alpha1",
  kind: "Segment",
  metadata: { name, namespace: "istio-system" },
  spec: { domain },
});

test("a Segment says which clusters are in it, how many services it names, and which peers lack it", async () => {
  const [one, two] = [await startCluster("one"), await startCluster("two")];
  await link(one, two);
  for (const { client } of [one, two]) await client.create(meshKinds.segments, segment("dev", "dev.internal"));
  await one.client.create(meshKinds.segments, segment("prod", "prod.internal"));
  const statusOf = (name: string) =>
    one.client.all(meshKinds.segments).find(({ metadata }) => metadata.name === name)?.status;
  const shared = (name: string) =>
    statusOf(name)?.conditions?.find(({ type }) => type === condition.segmentShared)?.reason;
  await eventually(() => shared("dev") === "Shared" && shared("prod") === "MissingInPeer", "the comparison");
  expect(statusOf("dev")).toMatchObject({ clusters: [], services: 0 });
  const assigned = (labels: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "istio-system", labels: { [label.network]: "x", ...labels } },
  });
  for (const { client } of [one, two]) await client.update(builtin.namespaces, assigned({ [label.segment]: "dev" }));
  await two.client.update(builtin.services, service({ [label.serviceScope]: "segment" }));
  await eventually(() => statusOf("dev")?.clusters?.length === 2 && statusOf("dev")?.services === 1, "the status");
  expect(statusOf("dev")?.clusters).toEqual(["one", "two"]);
  await two.client.update(builtin.namespaces, assigned({}));
  await eventually(() => statusOf("dev")?.clusters?.length === 1 && statusOf("dev")?.services === 0, "one to leave");
  expect(statusOf("prod")).toMatchObject({ clusters: [], services: 0 });
}, 30_000);
