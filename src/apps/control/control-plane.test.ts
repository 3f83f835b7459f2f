/** A whole replica against an API server in memory: what users do, what is written, what agents are told. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Gateway } from "../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import type { Namespace, Service } from "../../core/api/kube.ts";
import { label, rootCertConfigMap } from "../../core/api/names.ts";
import type { Pod } from "../../core/api/pod.ts";
import { builtin } from "../../core/api/resources.ts";
import { systemHost } from "../../io/host/host.ts";
import type { Host } from "../../io/host/host.ts";
import { MemoryKubeClient } from "../../io/kube/memory-client.ts";
import type { TrustFacts } from "./trust/trust-facts.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { parseSettings } from "./settings.ts";
import type { ControlSettings } from "./settings.ts";

const silent = () => undefined;
const host: Host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error: silent } };
const listeners = { address: "127.0.0.1", controlPlane: 0, metrics: 0, readiness: 0, debug: 0 };

const settings = (): ControlSettings => {
  const read = parseSettings(
    JSON.stringify({ cluster: "cluster1", network: "network1", agentImage: "tombolo/agent:1" }),
  );
  if (!read.ok) throw new Error(read.problems.join());
  return read.settings;
};

const namespace = (name: string, labels: Record<string, string> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});
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

let client: MemoryKubeClient;
let running: ControlPlane[] = [];
beforeEach(async () => {
  client = new MemoryKubeClient();
  await client.create(builtin.namespaces, namespace("istio-system", { [label.network]: "network1" }));
  await client.create(builtin.namespaces, namespace("shop", { [label.dataplaneMode]: "ambient" }));
});
afterEach(async () => {
  for (const one of running) await one.stop();
  running = [];
});

async function start(podName = "tombolod-1"): Promise<ControlPlane> {
  const self = { podName, podIp: "10.1.0.2", nodeName: "n1", namespace: "istio-system" };
  const made = await startControlPlane(host, client, { settings: settings(), self, listeners, streamGraceMs: 50 });
  running.push(made);
  return made;
}

const eventually = <T>(read: () => T | undefined, what: string): Promise<T> =>
  expect
    .poll(() => read(), { timeout: 5_000, interval: 10, message: what })
    .toBeTruthy()
    .then(() => read()!);

const entry = () => client.all(meshKinds.serviceEntries).find(({ metadata }) => metadata.name === "autogen.shop.web");

test("a labelled service gets a global entry with an address, and loses it with the label", async () => {
  await client.create(builtin.services, service());
  await client.create(builtin.pods, pod());
  await start();
  expect(entry()).toBeUndefined();
  await client.update(builtin.services, service({ [label.serviceScope]: "global" }));
  const made = await eventually(() => (entry()?.status?.addresses?.length ? entry() : undefined), "an address");
  expect(made.metadata.namespace).toBe("istio-system");
  expect(made.metadata.labels?.[label.managedBy]).toBe("tombolo");
  expect(made.spec.hosts).toEqual(["web.shop.mesh.internal"]);
  expect(made.status?.addresses?.[0]?.value).toMatch(/^240\.240\./);
  await client.update(builtin.services, service());
  await eventually(() => entry() === undefined, "the entry to go");
});

test("what a user changes in a generated entry, or deletes, is put back; foreign annotations stay", async () => {
  await client.create(builtin.services, service({ [label.serviceScope]: "global" }));
  await start();
  const made = await eventually(entry, "the entry");
  const spoiled = {
    ...made,
    metadata: { ...made.metadata, annotations: { ...made.metadata.annotations, "example.com/mine": "1" } },
    spec: { ...made.spec, hosts: ["elsewhere.example"] },
  };
  delete spoiled.metadata.resourceVersion;
  await client.update(meshKinds.serviceEntries, spoiled);
  const back = await eventually(() => {
    const now = entry();
    return now?.spec.hosts[0] === "web.shop.mesh.internal" ? now : undefined;
  }, "the host to come back");
  expect(back.metadata.annotations?.["example.com/mine"]).toBe("1");
  await client.delete(meshKinds.serviceEntries, { name: made.metadata.name, namespace: "istio-system" });
  await eventually(entry, "the entry to come back");
});

test("every namespace gets the root certificates, new ones too", async () => {
  await start();
  const roots = () => client.all(builtin.configMaps).filter(({ metadata }) => metadata.name === rootCertConfigMap);
  await eventually(() => roots().length === 2, "two config maps");
  await client.create(builtin.namespaces, namespace("later"));
  await eventually(() => roots().length === 3, "a third config map");
  expect(roots().every(({ data }) => data?.["root-cert.pem"]?.includes("BEGIN CERTIFICATE"))).toBe(true);
  const issuers = roots().map(({ metadata, data }) => [
    metadata.namespace,
    /^[0-9a-f]{64}$/.test(data?.["issuer"] ?? ""),
  ]);
  expect(issuers).toContainEqual(["istio-system", true]);
  expect(issuers.filter(([, isThere]) => isThere)).toHaveLength(1);
});

test("gateway classes are made and accepted; an east-west Gateway is carried out and told how it is doing", async () => {
  const gateway: Gateway = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      name: "istio-eastwest",
      namespace: "istio-gateways",
      labels: { [label.exposeIstiod]: "15012", [label.network]: "network1" },
    },
    spec: {
      gatewayClassName: "istio-eastwest",
      listeners: [
        { name: "cross-network", port: 15008, protocol: "HBONE", tls: { mode: "Passthrough" } },
        { name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } },
      ],
    },
  };
  await client.create(builtin.namespaces, namespace("istio-gateways"));
  await client.create(meshKinds.gateways, gateway);
  await start();
  const classes = () =>
    client.all(meshKinds.gatewayClasses).filter(({ status }) => status?.conditions?.[0]?.status === "True");
  await eventually(() => classes().length === 2, "two accepted classes");
  const ref = { name: "istio-eastwest", namespace: "istio-gateways" };
  const programmed = () =>
    client.all(meshKinds.gateways)[0]?.status?.conditions?.find(({ type }) => type === "Programmed");
  await eventually(() => programmed()?.reason === "AddressNotAssigned", "the wait for an address");
  const { spec } = await client.get(builtin.services, ref);
  expect(spec.ports?.map(({ port: number }) => number)).toEqual([15021, 15008, 15012]);
  const balanced = { status: { loadBalancer: { ingress: [{ ip: "172.18.0.7" }] } } };
  await client.patch(builtin.services, ref, { type: "merge", body: balanced }, { subresource: "status" });
  const ready = { status: { availableReplicas: 1 } };
  await client.patch(builtin.deployments, ref, { type: "merge", body: ready }, { subresource: "status" });
  await eventually(() => programmed()?.status === "True", "Programmed");
  const done = client.all(meshKinds.gateways)[0];
  expect(done?.status?.addresses).toEqual([{ type: "IPAddress", value: "172.18.0.7" }]);
  expect(done?.status?.listeners?.map(({ conditions }) => conditions.map(({ status }) => status))).toEqual([
    ["True", "True", "True"],
    ["True", "True", "True"],
  ]);
  // It turns bad: what runs goes on, and the Gateway says why it is not as wanted.
  const ports = async () => (await client.get(builtin.services, ref)).spec.ports?.map(({ port: number }) => number);
  const asked = (listeners: Gateway["spec"]["listeners"]): Gateway => ({
    ...gateway,
    spec: { ...gateway.spec, listeners },
  });
  await client.update(meshKinds.gateways, asked([{ name: "web", port: 80, protocol: "HTTP" }]));
  await eventually(() => programmed()?.reason === "Invalid", "the refusal");
  expect(programmed()?.message).toContain("What it served before goes on until it is mended.");
  expect(await ports()).toEqual([15021, 15008, 15012]);
  expect(client.all(builtin.deployments)).toHaveLength(1);
  await client.update(meshKinds.gateways, asked(gateway.spec.listeners.slice(0, 1)));
  await expect.poll(ports, { timeout: 5_000, interval: 10 }).toEqual([15021, 15008]);
}, 20_000);

test("only one of two replicas writes; the other takes over when it stops", async () => {
  const first = await start("tombolod-1");
  await eventually(() => first.isLeader, "a leader");
  const second = await start("tombolod-2");
  expect(second.isLeader).toBe(false);
  running = [second];
  await first.stop();
  await eventually(() => second.isLeader, "the second to lead");
  await client.create(builtin.services, service({ [label.serviceScope]: "global" }));
  await eventually(entry, "an entry by the second");
});

test("readiness, metrics and the debug page answer", async () => {
  await client.create(builtin.services, service({ [label.serviceScope]: "global" }));
  const { ports } = await start();
  const page = async (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  expect((await page(ports.readiness, "/healthz/ready")).status).toBe(200);
  const metrics = await (await page(ports.metrics, "/metrics")).text();
  expect(metrics).toMatch(/tombolo_commits_total [1-9]/);
  expect(metrics).toMatch(/tombolo_rows\{collection="kube.services"\} 1/);
  const rows = (await (await page(ports.debug, "/debug/collections/services")).json()) as Record<string, unknown>;
  expect(Object.keys(rows)).toContain("shop/web.shop.svc.cluster.local");
  const trust = (await (await page(ports.debug, "/debug/trust")).json()) as TrustFacts;
  expect(trust).toMatchObject({ trustDomain: "cluster.local", secret: "istio-ca-secret", problems: [] });
  expect(trust.certificates.map(({ role }) => role)).toEqual(["root"]);
  expect(JSON.stringify(trust)).not.toContain("PRIVATE");
});
