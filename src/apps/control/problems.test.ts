/** What is wrong with users' objects, as a replica tells it: the problems page, conditions and Events. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Namespace, Secret, Service } from "../../core/api/kube.ts";
import type { Gateway } from "../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import { annotation, label } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import type { Problem } from "../../core/mesh/problem.ts";
import { refusedGateText } from "../../core/mesh/refusals.ts";
import { systemHost } from "../../io/host/host.ts";
import type { Host } from "../../io/host/host.ts";
import { mintIntermediate, mintRoot, pluggedInSecret } from "../../io/identity/mint.ts";
import { MemoryKubeClient } from "../../io/kube/memory-client.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { parseSettings } from "./settings.ts";

const silent = () => undefined;
const host: Host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error: silent } };
const listeners = { address: "127.0.0.1", controlPlane: 0, metrics: 0, readiness: 0, debug: 0 };

const namespace = (name: string, labels: Record<string, string> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});
const service = (labels: Record<string, string>): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop", labels },
  spec: { selector: { app: "web" }, clusterIP: "10.96.0.9", ports: [{ name: "http", port: 80 }] },
});

let client: MemoryKubeClient;
let plane: ControlPlane | undefined;
beforeEach(async () => {
  client = new MemoryKubeClient();
  await client.create(builtin.namespaces, namespace("istio-system", { [label.network]: "network1" }));
  await client.create(builtin.namespaces, namespace("shop"));
});
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

async function start(): Promise<ControlPlane> {
  const read = parseSettings(JSON.stringify({ cluster: "cluster1", network: "network1", agentImage: "agent:1" }));
  if (!read.ok) throw new Error(read.problems.join());
  const self = { podName: "tombolod-1", podIp: "10.1.0.2", nodeName: "n1", namespace: "istio-system" };
  plane = await startControlPlane(host, client, { settings: read.settings, self, listeners, streamGraceMs: 50 });
  return plane;
}

/** As `check` reads it. */
async function problems(): Promise<readonly Problem[]> {
  const answer = await fetch(`http://127.0.0.1:${plane?.ports.debug ?? 0}/debug/problems`);
  return (await answer.json()) as readonly Problem[];
}

const eventually = <T>(read: () => T, what: string) =>
  expect.poll(read, { timeout: 5_000, interval: 10, message: what }).toBeTruthy();

test("the problems page lists what Events and conditions tell, and forgets what was mended", async () => {
  await client.create(builtin.services, service({ [label.serviceScope]: "globl" }));
  await client.create(meshKinds.segments, {
    apiVersion: "admin.solo.io/v1alpha1",
    kind: "Segment",
    metadata: { name: "bad", namespace: "istio-system" },
    spec: { domain: "x.cluster.local" },
  });
  await start();
  expect(await problems()).toEqual([
    {
      kind: "Segment",
      namespace: "istio-system",
      name: "bad",
      reason: "ReservedDomain",
      message: "Segment bad: domain x.cluster.local belongs to Kubernetes.",
      remedy: "Choose another such as bad.internal.",
      shownAs: "condition",
    },
    {
      kind: "Service",
      namespace: "shop",
      name: "web",
      reason: "UnknownScope",
      message: "Service shop/web: label solo.io/service-scope=globl is not known, so nothing is published.",
      remedy: "Use global, segment or global-only (or local, to opt out of the Namespace's label).",
      shownAs: "event",
    },
  ]);
  const told = () => client.all(builtin.events).map((one) => one["message"]);
  await eventually(() => told().length === 1, "one Event");
  expect(told()[0]).toBe(
    "Service shop/web: label solo.io/service-scope=globl is not known, so nothing is published. " +
      "Use global, segment or global-only (or local, to opt out of the Namespace's label).",
  );
  const condition = () => client.all(meshKinds.segments)[0]?.status?.conditions?.[0];
  await eventually(() => condition()?.reason === "ReservedDomain", "the condition");
  expect(condition()?.message).toContain("belongs to Kubernetes. Choose another");
  await client.update(builtin.services, service({}));
  await expect.poll(problems, { timeout: 5_000, interval: 10 }).toHaveLength(1);
});

test("a Gateway of a class that nobody serves is told so; when its class comes, nothing of ours stays on it", async () => {
  await client.create(meshKinds.gateways, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "east", namespace: "shop", labels: { [label.network]: "network1" } },
    spec: { gatewayClassName: "istio-eastwst", listeners: [] },
  });
  await start();
  const conditions = () => client.all(meshKinds.gateways)[0]?.status?.conditions ?? [];
  await eventually(() => conditions()[0]?.reason === "UnknownClass", "the condition");
  expect((await problems()).map(({ reason }) => reason)).toEqual(["UnknownClass"]);
  await client.create(meshKinds.gatewayClasses, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: "istio-eastwst" },
    spec: { controllerName: "example.com/other" },
  });
  await eventually(() => conditions().length === 0, "the condition to go");
});

test("a listener that cannot be served is among the problems until it is mended", async () => {
  const gateway = (protocol: string): Gateway => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "east", namespace: "shop", labels: { [label.network]: "network1" } },
    spec: {
      gatewayClassName: "istio-eastwest",
      listeners: [{ name: "data", port: 15008, protocol, tls: { mode: "Passthrough" } }],
    },
  });
  await client.create(meshKinds.gateways, gateway("HTTP"));
  await start();
  expect(await problems()).toEqual([
    {
      kind: "Gateway",
      namespace: "shop",
      name: "east",
      reason: "UnsupportedProtocol",
      message: "Gateway shop/east: Listener data: an east-west gateway does not serve protocol HTTP.",
      remedy: "Use HBONE or TLS.",
      shownAs: "condition",
    },
  ]);
  await client.update(meshKinds.gateways, gateway("HBONE"));
  await expect.poll(problems, { timeout: 5_000, interval: 10 }).toEqual([]);
});

test("what an agent says on a pod that Envoy refused is the condition of the policy and an Event of the pod", async () => {
  await client.create(meshKinds.authorizationPolicies, {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "strange", namespace: "shop" },
    spec: { rules: [{}] },
  });
  const refused = refusedGateText({ policies: ["shop/strange"], message: "no such thing" });
  await client.create(builtin.pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web-1", namespace: "shop", annotations: { [annotation.refusedPolicies]: refused } },
    spec: { nodeName: "n1", containers: [] },
    status: { phase: "Running", podIP: "10.1.0.5" },
  });
  await start();
  const said = () => client.all(meshKinds.authorizationPolicies)[0]?.status?.conditions?.[0];
  await eventually(() => said()?.reason === "Refused", "the condition");
  expect(said()?.message).toContain("no such thing");
  await eventually(() => client.all(builtin.events).some(({ reason }) => reason === "PolicyRefused"), "the Event");
  const mended = { metadata: { annotations: { [annotation.refusedPolicies]: null } } };
  await client.patch(builtin.pods, { name: "web-1", namespace: "shop" }, { type: "merge", body: mended });
  await eventually(() => said()?.status === "True", "the condition to turn");
});

const secretOf = (texts: Readonly<Record<string, string>>): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "cacerts", namespace: "istio-system" },
  data: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
});

test("an authority that does not chain is told as an Event even while nothing can start, and as a problem later", async () => {
  const [root, stranger] = [await mintRoot(host, { name: "root" }), await mintRoot(host, { name: "stranger" })];
  const good = pluggedInSecret(root, await mintIntermediate(host, root, { name: "intermediate" }));
  const bad = { ...good, "root-cert.pem": pluggedInSecret(stranger, stranger)["root-cert.pem"] ?? "" };
  await client.create(builtin.secrets, secretOf(bad));
  const starting = start();
  const told = () => client.all(builtin.events).map(({ reason, message }) => [reason, message] as const);
  await eventually(() => told().length > 0, "the Event");
  expect(told()[0]?.[0]).toBe("UnusableAuthority");
  expect(told()[0]?.[1]).toMatch(/^Secret istio-system\/cacerts, key ca-cert.pem: its issuer .* leads to no root/);
  expect(told()[0]?.[1]).toMatch(/until then no certificate is issued\.$/);
  await client.update(builtin.secrets, secretOf(good));
  await starting;
  expect(await problems()).toEqual([]);
  await client.update(builtin.secrets, secretOf(bad));
  await expect
    .poll(problems, { timeout: 5_000, interval: 10 })
    .toMatchObject([
      { kind: "Secret", namespace: "istio-system", name: "cacerts", reason: "UnusableAuthority", shownAs: "event" },
    ]);
  const isToldAgain = () => told().some(([, message]) => String(message).includes("last good issues"));
  await eventually(isToldAgain, "the Event of the leader");
  await client.update(builtin.secrets, secretOf(good));
  await expect.poll(problems, { timeout: 5_000, interval: 10 }).toEqual([]);
});
