/** The control plane on the sandbox's API server, over HTTPS, with the sandbox's controllers: a user's labels and Gateways. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Service } from "../../src/core/api/kube.ts";
import { meshKinds } from "../../src/core/api/mesh-kinds.ts";
import { label } from "../../src/core/api/names.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { ApiServer } from "../../src/apps/apiserver/server.ts";
import { startApiServer } from "../../src/apps/apiserver/server.ts";
import { startControlPlane } from "../../src/apps/control/control-plane.ts";
import type { ControlPlane } from "../../src/apps/control/control-plane.ts";
import { parseSettings } from "../../src/apps/control/settings.ts";
import { meshJson } from "../../src/apps/install/control-plane.ts";
import { install } from "../../src/apps/install/apply.ts";
import { defaultSettings } from "../../src/apps/install/values.ts";
import { makeCertificates } from "../../src/apps/sandbox/certificates.ts";
import { servedKinds } from "../../src/apps/sandbox/cluster.ts";
import { startControllers } from "../../src/apps/sandbox/controllers/start.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { fixedCredential } from "../../src/io/kube/endpoint.ts";
import { httpKubeClient } from "../../src/io/kube/http-client.ts";
import type { HttpKubeClient } from "../../src/io/kube/http-client.ts";

const host = systemHost("warn");
const stop = new AbortController();
/** What the control plane warns of. */
const warnings: string[] = [];
const adminToken = "admin-of-the-control-test";
const settings = { ...defaultSettings, cluster: "one", network: "one" };
let api: ApiServer;
let client: HttpKubeClient;
let control: ControlPlane;
const accounts: HttpKubeClient[] = [];

const unavailable = () => Promise.reject(new Error("This test has no nodes."));
const nodeStreams = { exec: unavailable, attach: unavailable, portForward: unavailable, logs: unavailable };

beforeAll(async () => {
  const { certPem, keyPem, caPem } = await makeCertificates(host, "one", "127.0.0.1");
  api = await startApiServer(host, {
    name: "one",
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken,
    serviceCidr: "10.96.0.0/16",
    nodeStreams,
  });
  await startControllers(
    host,
    api.client,
    {
      clusterName: "one",
      podCidr: "10.11.0.0/16",
      loadBalancerPool: { first: "172.31.1.1", last: "172.31.1.20" },
      rootCaPem: caPem,
      served: servedKinds(api.registry),
    },
    stop.signal,
  );
  client = httpKubeClient(host, {
    server: api.url,
    certificateAuthority: caPem,
    isVerified: true,
    credentials: fixedCredential({ token: adminToken }),
    namespace: "default",
    context: "one",
  });
  await install(host, client, settings, { dryRun: false, wait: false, signal: stop.signal, say: () => undefined });
  const read = parseSettings(meshJson(settings));
  if (!read.ok) throw new Error(read.problems.join(" "));
  const warn = (event: string, fields?: Readonly<Record<string, unknown>>) => {
    warnings.push(`${event} ${JSON.stringify(fields)}`);
  };
  control = await startControlPlane({ ...host, log: { ...host.log, warn } }, await clientOf("tombolod"), {
    settings: read.settings,
    self: { podName: "tombolod-1", podIp: "127.0.0.1", nodeName: "", namespace: "istio-system" },
    listeners: { address: "127.0.0.1", controlPlane: 0, metrics: 0, readiness: 0, debug: 0 },
    streamGraceMs: 50,
  });
});

afterAll(async () => {
  await control?.stop();
  stop.abort(new Error("the test ended"));
  for (const one of [...accounts, client]) one?.close();
  await api?.close();
});

/** A client with the token and so with the rights of one of the mesh's own ServiceAccounts, no more. */
async function clientOf(account: string): Promise<HttpKubeClient> {
  const ref = { name: account, namespace: "istio-system" };
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3_600 } };
  const issued = await client.post(builtin.serviceAccounts, ref, "token", body);
  // The answer of a TokenRequest.
  const { status } = issued as { readonly status: { readonly token: string } };
  const made = httpKubeClient(host, { ...client.endpoint, credentials: fixedCredential({ token: status.token }) });
  accounts.push(made);
  return made;
}

const eventually = async <T>(read: () => Promise<T | undefined>, what: string): Promise<T> => {
  let found: T | undefined;
  await expect.poll(async () => (found = await read()), { timeout: 10_000, interval: 50, message: what }).toBeTruthy();
  if (found === undefined) throw new Error(what);
  return found;
};
const entryRef = { name: "autogen.shop.web", namespace: "istio-system" };
const entry = () => client.get(meshKinds.serviceEntries, entryRef).catch(() => undefined);

test("a labelled Service gets a ServiceEntry with an address, and loses it with the label", async () => {
  await client.create(builtin.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80 }] },
  };
  await client.create(builtin.services, service);
  const mark = (value: string | null) =>
    client.patch(
      builtin.services,
      { name: "web", namespace: "shop" },
      { type: "merge", body: { metadata: { labels: { [label.serviceScope]: value } } } },
    );
  await mark("global");
  const addressed = async () => {
    const found = await entry();
    return (found?.status?.addresses?.length ?? 0) > 0 ? found : undefined;
  };
  const made = await eventually(addressed, "the entry to get an address");
  expect(made.spec.hosts).toEqual(["web.shop.mesh.internal"]);
  expect(made.status?.addresses?.[0]?.value).toMatch(/^240\.240\./);
  await mark(null);
  await eventually(async () => (await entry()) === undefined, "the entry to go");
});

test("nothing is written over and over once all is as wanted", async () => {
  await control.written();
  const revision = async () => (await client.list(meshKinds.serviceEntries)).resourceVersion;
  await host.clock.sleep(500);
  const before = await revision();
  await host.clock.sleep(1_500);
  // The leader renews its lease every two seconds; nothing else may move.
  expect(Number(await revision()) - Number(before)).toBeLessThan(3);
});

test("every namespace has the root certificates", async () => {
  const ref = { name: "istio-ca-root-cert", namespace: "shop" };
  const found = await eventually(() => client.get(builtin.configMaps, ref).catch(() => undefined), "the ConfigMap");
  expect(found.data?.["root-cert.pem"]).toContain("BEGIN CERTIFICATE");
});

test("a Gateway of class istio-eastwest becomes a Deployment and a LoadBalancer, and goes with them", async () => {
  const ref = { name: "istio-eastwest", namespace: "istio-gateways" };
  await client.create(builtin.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: ref.namespace } });
  await client.create(meshKinds.gateways, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { ...ref, labels: { [label.exposeIstiod]: "15012", [label.network]: "one" } },
    spec: {
      gatewayClassName: "istio-eastwest",
      listeners: [
        { name: "cross-network", port: 15008, protocol: "HBONE", tls: { mode: "Passthrough" } },
        { name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } },
      ],
    },
  });
  const addressed = async () => {
    const { status } = await client.get(meshKinds.gateways, ref);
    return status?.addresses?.[0]?.value === undefined ? undefined : status;
  };
  const status = await eventually(addressed, "an address in the Gateway's status");
  expect(status.conditions?.map((one) => [one.type, one.status])).toEqual([
    ["Accepted", "True"],
    ["Programmed", "False"],
  ]);
  const { spec } = await client.get(builtin.services, ref);
  expect(spec.ports?.map(({ port }) => port)).toEqual([15021, 15008, 15012]);
  const scaled = { type: "merge", body: { spec: { replicas: 2 } } } as const;
  await client.patch(builtin.deployments, ref, scaled, { fieldManager: "user" });
  const label2 = { type: "merge", body: { metadata: { labels: { [label.cluster]: "one" } } } } as const;
  await client.patch(meshKinds.gateways, ref, label2);
  const relabelled = async () => {
    const found = await client.get(builtin.deployments, ref);
    return found.metadata.labels?.[label.cluster] === "one" ? found : undefined;
  };
  const deployment = await eventually(relabelled, "the new label on the Deployment");
  expect(deployment.spec.replicas).toBe(2);
  await client.delete(meshKinds.gateways, ref);
  const gone = () =>
    client.get(builtin.deployments, ref).then(
      () => undefined,
      () => true,
    );
  await eventually(gone, "the Deployment to be collected");
});

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

test("a right that is taken away is named with the way out, and forgotten when it is back", async () => {
  const ref = { name: "tombolod" };
  // The server's schema of ClusterRoles has seen it.
  const rules = (await client.get(builtin.clusterRoles, ref))["rules"] as readonly Rule[];
  const without = rules.filter(({ resources }) => !resources.includes("serviceentries"));
  expect(without).toHaveLength(rules.length - 1);
  const setRules = (next: readonly Rule[]) =>
    client.patch(builtin.clusterRoles, ref, { type: "merge", body: { rules: next } });
  const named = () => [...control.mesh.problems.rows.values()].find(({ reason }) => reason === "MissingPermission");
  expect(named()).toBeUndefined();
  await setRules(without);
  const service = (name: string): Service => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop", labels: { [label.serviceScope]: "global" } },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80 }] },
  });
  for (const name of ["late", "later", "last"]) await client.create(builtin.services, service(name));
  const problem = await eventually(() => Promise.resolve(named()), "the missing right among the problems");
  expect(problem).toMatchObject({ kind: "ClusterRole", name: "tombolod" });
  expect(problem.message).toBe(
    "The ServiceAccount of tombolod may not create serviceentries of networking.istio.io in namespace istio-system.",
  );
  expect(problem.remedy).toContain("tombolo install");
  const event = await eventually(async () => {
    const { items } = await client.list(builtin.events, { namespace: "default" });
    return items.find((one) => one["reason"] === "MissingPermission");
  }, "the Event on the ClusterRole");
  expect(event["message"]).toContain(problem.message);
  await control.written();
  // Three objects, and more tries than that: one line.
  const lines = () => warnings.filter((line) => line.startsWith("kube.forbidden"));
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toContain('"verb":"create","resource":"serviceentries"');
  const late = { name: "autogen.shop.late", namespace: "istio-system" };
  await expect(client.get(meshKinds.serviceEntries, late)).rejects.toMatchObject({ reason: "NotFound" });
  await setRules(rules);
  await eventually(() => client.get(meshKinds.serviceEntries, late).catch(() => undefined), "the entry to be written");
  await eventually(async () => named() === undefined, "the problem to go");
});
