/**
 * What holds for every mesh, whatever its history: it equals one built fresh, nothing is left behind, and it can be
 * explained.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { apply } from "./story.ts";
import type { Collection, Source } from "../../src/core/graph/collection.ts";
import { sortedRows } from "../../src/core/graph/order.ts";
import { type Mesh, wireMesh } from "../../src/core/mesh/mesh.ts";
import type { MeshSettings } from "../../src/core/mesh/model.ts";

const settings: MeshSettings = {
  cluster: "cluster1",
  network: "network1",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
};

type Document = Record<string, unknown>;

const name = fc.constantFrom("web", "db");
const namespace = fc.constantFrom("a", "b");
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const labels = fc
  .record({
    "solo.io/service-scope": optional(fc.constantFrom("global", "segment", "global-only", "local", "odd")),
    "solo.io/service-takeover": optional(fc.constant("true")),
    app: optional(name),
  })
  .map((record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)));
const created = fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
const addresses = fc.array(fc.constantFrom("240.240.1.1", "240.240.1.2", "2001:2::5", "192.0.2.1"), { maxLength: 3 });

const namespaces = fc.record({ name: fc.constantFrom("a", "b"), labels }).map(({ name: own, labels: said }) => ({
  kind: "Namespace",
  metadata: { name: own, labels: said },
}));
// Only Segments that exist and are in order: those that are not leave the last good state, which depends on history.
const assignment = fc.constantFrom<Document>(
  { kind: "Namespace", metadata: { name: "istio-system" } },
  { kind: "Namespace", metadata: { name: "istio-system", labels: { "admin.solo.io/segment": "dev" } } },
);
const services = fc
  .record({
    name,
    namespace,
    labels,
    headless: fc.boolean(),
    port: fc.constantFrom("http", 80),
    bare: fc.boolean(),
    annotations: fc.constantFrom(
      {},
      { "networking.istio.io/traffic-distribution": "Any" },
      { "networking.istio.io/traffic-distribution": "Nearby" },
    ),
    policy: fc.constantFrom({}, { internalTrafficPolicy: "Local" }, { publishNotReadyAddresses: true }),
  })
  .map(({ name: own, namespace: ns, labels: said, headless, port, bare, annotations, policy }) => ({
    kind: "Service",
    metadata: { name: own, namespace: ns, labels: said, annotations },
    spec: {
      ...policy,
      clusterIP: headless ? "None" : "10.96.0.1",
      ...(bare ? {} : { selector: { app: own } }),
      ports: [{ name: "http", port: 80, targetPort: port }],
    },
  }));
const podSets = fc
  .record({ name, namespace, ready: fc.nat(2), mesh: fc.boolean() })
  .map((pod) => ({ kind: "PodSet", node: "n1", replicas: 2, ports: [{ name: "http", containerPort: 8080 }], ...pod }));
const exported = fc
  .record({
    cluster: fc.constantFrom("c2", "c3"),
    namespace,
    name,
    scope: fc.constantFrom("global", "segment"),
    takeover: fc.boolean(),
    segment: fc.constantFrom("default", "dev"),
    network: fc.constantFrom("network1", "network2"),
    aliases: fc.constantFrom([], ["short.name"], ["web.a"], ["web.a.svc.cluster.local"]),
    trafficDistribution: optional(fc.constantFrom("Any", "PreferClose")),
    ready: fc.constantFrom([], [{ locality: { region: "r", zone: "", subzone: "" }, pods: 3 }]),
  })
  .map((row) => ({
    kind: "Export",
    ...row,
    segmentDomain: row.segment === "dev" ? "dev.example" : "mesh.internal",
    endpoints: [
      { name: "p", address: "10.9.9.9", identity: "x", locality: { region: "", zone: "", subzone: "" }, ports: [] },
    ],
  }));
const peers = fc.record({
  kind: fc.constant("Peer"),
  cluster: fc.constantFrom("c2", "c3"),
  network: fc.constantFrom("network1", "network2"),
  state: fc.constantFrom(
    {},
    { isConnected: false, isStale: true, cause: "It is gone." },
    { segment: "dev", segments: [{ name: "dev", domain: "dev.example" }] },
    { segment: "lab", segments: [{ name: "lab", domain: "lab.example" }] },
    { subscriberNetwork: "network1" },
  ),
});
const nodes = fc.record({ region: fc.constantFrom("r", "s"), zone: fc.constantFrom("1", "2") }).map((at) => ({
  kind: "Node",
  metadata: {
    name: "n1",
    labels: { "topology.kubernetes.io/region": at.region, "topology.kubernetes.io/zone": at.zone },
  },
}));
// Always in order: a Segment that turns bad leaves what it said before, which depends on history (see segment-faults).
const segments = fc.constantFrom<Document>(
  { kind: "Segment", metadata: { name: "lab", namespace: "istio-system" }, spec: { domain: "lab.example" } },
  { kind: "Segment", metadata: { name: "lab", namespace: "a" }, spec: { domain: "lab.example" } },
  {
    kind: "Segment",
    metadata: { name: "dev", namespace: "istio-system" },
    spec: { domain: "dev.example", aliases: [{ pattern: "{labels['app']}.{namespace}.acme" }] },
  },
);
const gateways = fc.constantFrom<Document>(
  { kind: "Gateway", metadata: { name: "east", namespace: "g" }, spec: { gatewayClassName: "istio-eastwst" } },
  {
    kind: "Gateway",
    metadata: { name: "east", namespace: "g", labels: { "topology.istio.io/network": "network1" } },
    spec: { gatewayClassName: "istio-eastwest" },
  },
  { kind: "GatewayClass", metadata: { name: "istio-eastwst" }, spec: { controllerName: "example.com/other" } },
);
const refusedPods = fc
  .constantFrom({}, { "tombolo/refused-policies": '{"policies":["a/web"],"message":"no"}' })
  .map((annotations) => ({
    kind: "Pod",
    metadata: { name: "web-0", namespace: "a", labels: { app: "web" }, annotations },
    spec: { nodeName: "n1", containers: [] },
    status: { phase: "Running", podIP: "10.1.0.1" },
  }));
const entries = fc
  .record({
    name,
    namespace,
    created,
    host: fc.constantFrom("x.example", "web.a.svc.cluster.local", "web.a.mesh.internal"),
    addresses,
    status: addresses,
    generated: fc.boolean(),
  })
  .map((entry) => ({
    kind: "ServiceEntry",
    metadata: {
      name: entry.name,
      namespace: entry.namespace,
      creationTimestamp: entry.created,
      ...(entry.generated ? { labels: { "app.kubernetes.io/managed-by": "tombolo" } } : {}),
    },
    spec: {
      hosts: [entry.host],
      resolution: "STATIC",
      addresses: entry.addresses,
      workloadSelector: { labels: { app: "web" } },
      endpoints: [{ address: "192.0.2.9" }],
    },
    status: { addresses: entry.status.map((value) => ({ value, host: entry.host })) },
  }));
const written = fc.record({ namespace, name, status: addresses }).map((entry) => ({
  kind: "ServiceEntry",
  metadata: {
    name: `autogen.${entry.namespace}.${entry.name}`,
    namespace: "istio-system",
    labels: { "app.kubernetes.io/managed-by": "tombolo" },
  },
  spec: { hosts: [`${entry.name}.${entry.namespace}.mesh.internal`] },
  status: { addresses: entry.status.map((value) => ({ value })) },
}));
const workloadEntries = fc.record({ name, namespace }).map((entry) => ({
  kind: "WorkloadEntry",
  metadata: entry,
  spec: { address: "192.0.2.3", labels: { app: "web" } },
}));
const selector = fc.constantFrom({}, { selector: { matchLabels: { app: "web" } } });
const authorizations = fc
  .record({
    name,
    namespace: fc.constantFrom("a", "istio-system"),
    selector,
    action: fc.constantFrom("ALLOW", "DENY", "AUDIT"),
  })
  .map((row) => ({
    kind: "AuthorizationPolicy",
    metadata: { name: row.name, namespace: row.namespace },
    spec: {
      ...row.selector,
      action: row.action,
      rules: [{ to: [{ operation: { ports: ["80"], methods: ["GET"] } }] }],
    },
  }));
const authentications = fc
  .record({
    name,
    namespace: fc.constantFrom("a", "istio-system"),
    selector,
    created,
    mode: fc.constantFrom("STRICT", "PERMISSIVE", "UNSET"),
  })
  .map((row) => ({
    kind: "PeerAuthentication",
    metadata: { name: row.name, namespace: row.namespace, creationTimestamp: row.created },
    spec: { ...row.selector, mtls: { mode: row.mode }, portLevelMtls: { 80: { mode: "PERMISSIVE" } } },
  }));

const anyObject = fc.oneof<fc.Arbitrary<Document>[]>(
  namespaces,
  assignment,
  services,
  services,
  services,
  podSets,
  podSets,
  exported,
  exported,
  exported,
  peers,
  entries,
  written,
  workloadEntries,
  authorizations,
  authentications,
  nodes,
  segments,
  gateways,
  refusedPods,
);
const deletion = fc
  .record({
    of: fc.constantFrom("Service", "Export", "ServiceEntry", "PeerAuthentication", "AuthorizationPolicy"),
    namespace,
    name,
    cluster: fc.constantFrom("c2", "c3"),
  })
  .map((row): Document => ({
    kind: "Delete",
    of: row.of,
    key: `${row.of === "Export" ? `${row.cluster}/` : ""}${row.namespace}/${row.name}`,
  }));
const namedDeletion = fc.constantFrom<Document>(
  { kind: "Delete", of: "Gateway", key: "istio-gateways/istio-remote-peer-c2" },
  { kind: "Delete", of: "Gateway", key: "g/east" },
  { kind: "Delete", of: "GatewayClass", key: "istio-eastwst" },
  { kind: "Delete", of: "Segment", key: "istio-system/lab" },
  { kind: "Delete", of: "Node", key: "n1" },
  { kind: "Delete", of: "Pod", key: "a/web-0" },
);
const step = fc.oneof(
  { weight: 6, arbitrary: anyObject },
  { weight: 2, arbitrary: deletion },
  { weight: 1, arbitrary: namedDeletion },
  { weight: 3, arbitrary: fc.constant("commit" as const) },
);

const dev = {
  kind: "Segment",
  metadata: { name: "dev", namespace: "istio-system" },
  spec: { domain: "dev.example", aliases: [{ pattern: "{service}.acme" }] },
};

function begin(): Mesh {
  const mesh = wireMesh(settings);
  apply(mesh, dev);
  return mesh;
}

const dump = (mesh: Mesh): Record<string, unknown> =>
  Object.fromEntries(mesh.graph.collections.map((table) => [table.name, Object.fromEntries(sortedRows(table))]));

/** A mesh that never knew anything but what is true now. */
function builtFrom(lived: Mesh): Mesh {
  const fresh = wireMesh(settings);
  for (const [name, source] of Object.entries(lived.sources)) {
    // Both meshes have the same sources, of which each takes its own kind of rows.
    const target = fresh.sources[name as keyof Mesh["sources"]] as unknown as Source<unknown>;
    for (const [key, row] of source.rows) target.set(key, row);
  }
  fresh.graph.commit();
  return fresh;
}

test("a mesh that lives a history equals, after every commit, a mesh built fresh", () => {
  fc.assert(
    // Long ones: most mistakes need an object, a commit, and a change of another object of the same name.
    fc.property(fc.array(step, { minLength: 15, maxLength: 60, size: "max" }), (history) => {
      const lived = begin();
      for (const next of [...history, "commit" as const]) {
        if (next !== "commit") {
          apply(lived, next);
          continue;
        }
        lived.graph.commit();
        const [was, should] = [dump(lived), dump(builtFrom(lived))];
        // Comparing texts is ten times as fast, and tells all but the order of fields.
        if (JSON.stringify(was) !== JSON.stringify(should)) expect(was).toEqual(should);
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);

test("nothing is left behind when every object is withdrawn", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (history) => {
      const mesh = begin();
      for (const next of history)
        if (next === "commit") mesh.graph.commit();
        else apply(mesh, next);
      mesh.graph.commit();
      for (const source of Object.values(mesh.sources)) for (const key of source.rows.keys()) source.delete(key);
      mesh.graph.commit();
      for (const table of mesh.graph.collections)
        expect([table.name, table.rows.size, table.reads]).toEqual([table.name, 0, 0]);
    }),
    { numRuns: 100 },
  );
});

test(
  "every endpoint belongs to a service that exists, every policy key to a " +
    "policy, and no two services share an address",
  () => {
    fc.assert(
      fc.property(fc.array(anyObject, { maxLength: 40 }), (objects) => {
        const mesh = begin();
        for (const object of objects) apply(mesh, object);
        mesh.graph.commit();
        for (const workload of mesh.workloads.rows.values()) {
          const known = Object.keys(workload.services).filter((key) => mesh.services.rows.has(key));
          expect(known).toEqual(Object.keys(workload.services));
          for (const policy of workload.policies) expect([...mesh.policies.rows.keys()]).toContain(policy);
        }
        const desired = [...mesh.serviceEntryAddresses.rows.values()].flat().map((address) => address.value);
        expect(new Set(desired).size).toBe(desired.length);
      }),
      { numRuns: 200 },
    );
  },
);

test("explain leads from a workload back to the object it came from", () => {
  const mesh = begin();
  apply(mesh, { kind: "PodSet", name: "web", namespace: "a" });
  mesh.graph.commit();
  const chain: string[] = [];
  let at = "workloads[cluster1//Pod/a/web-0]";
  while (at !== "") {
    chain.push(at);
    const [, table = "", key = ""] = /^([^[]+)\[(.*)\]$/.exec(at) ?? [];
    at = mesh.graph.explain(table, key).input;
  }
  expect(chain).toEqual([
    "workloads[cluster1//Pod/a/web-0]",
    "localWorkloads[cluster1//Pod/a/web-0]",
    "localWorkloads.pods[cluster1//Pod/a/web-0]",
    "kube.pods[a/web-0]",
  ]);
});

test("a pod that only changes what the mesh does not look at changes nothing", () => {
  const mesh = begin();
  apply(mesh, { kind: "PodSet", name: "web", namespace: "a" });
  mesh.graph.commit();
  const heard: unknown[] = [];
  const outputs: readonly Collection<unknown>[] = [mesh.workloads, mesh.services, mesh.exports, mesh.conditions];
  for (const output of outputs) mesh.graph.watch(output, (changes) => heard.push(...changes));
  const pod = mesh.sources.pods.rows.get("a/web-0")!;
  mesh.sources.pods.set("a/web-0", { ...pod, metadata: { ...pod.metadata, resourceVersion: "2" } });
  mesh.graph.commit();
  expect(heard).toEqual([]);
});
