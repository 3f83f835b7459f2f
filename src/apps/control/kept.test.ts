/** What the control plane keeps of objects gives the same mesh as the whole objects, and is far smaller. */
import { expect, test } from "vitest";
import { objectKey, type KubeObject, type Service } from "../../core/api/kube.ts";
import type { ServiceEntry, WorkloadEntry } from "../../core/api/mesh-kinds.ts";
import { annotation, label } from "../../core/api/names.ts";
import type { Pod } from "../../core/api/pod.ts";
import type { Collection } from "../../core/graph/collection.ts";
import { sortedRows } from "../../core/graph/order.ts";
import { type Mesh, wireMesh } from "../../core/mesh/mesh.ts";
import type { Export } from "../../core/mesh/model.ts";
import { Kept } from "./kept.ts";
import { digestOf } from "./writers/written.ts";

const settings = {
  cluster: "c1",
  network: "n1",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
};

const large = {
  managedFields: [{ manager: "kubectl", fieldsV1: { "f:spec": {} } }],
  annotations: { "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(1000), note: "1" },
};

const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop", labels: { [label.serviceScope]: "global" }, ...large },
  spec: {
    type: "ClusterIP",
    clusterIP: "10.96.0.1",
    clusterIPs: ["10.96.0.1"],
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: "http" }],
    publishNotReadyAddresses: true,
    trafficDistribution: "PreferClose",
  },
};

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    ...large,
    name: "web-7d9c-1",
    namespace: "shop",
    uid: "u1",
    labels: { app: "web", "pod-template-hash": "7d9c" },
    annotations: { [annotation.redirection]: "enabled", ...large.annotations },
    ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-7d9c", uid: "r1", controller: true }],
  },
  spec: {
    nodeName: "node-1",
    serviceAccountName: "web",
    containers: [{ name: "app", image: "app", command: ["serve"], ports: [{ name: "http", containerPort: 8080 }] }],
  },
  status: {
    phase: "Running",
    podIP: "10.1.0.1",
    podIPs: [{ ip: "10.1.0.1" }],
    conditions: [{ type: "Ready", status: "True" }],
  },
};

const exported: Export = {
  cluster: "c2",
  network: "n2",
  trustDomain: "cluster.local",
  segment: "default",
  segmentDomain: "mesh.internal",
  namespace: "shop",
  name: "web",
  scope: "global",
  takeover: false,
  ports: [{ name: "http", port: 80, protocol: "http" }],
  identities: ["spiffe://cluster.local/ns/shop/sa/web"],
  aliases: ["web.test"],
  trafficDistribution: "Any",
  ready: [{ locality: { region: "r", zone: "z", subzone: "" }, pods: 2 }],
  endpoints: [],
  generation: 7,
};

function dump(mesh: Mesh): unknown {
  mesh.graph.commit();
  const { workloads, services, exports, generatedServiceEntries, serviceEntryAddresses } = mesh;
  const all: readonly Collection<unknown>[] = [
    workloads,
    services,
    exports,
    generatedServiceEntries,
    serviceEntryAddresses,
  ];
  return all.map((rows) => sortedRows(rows));
}

function meshOf(kept: Pick<Kept, "pod" | "service" | "serviceEntry" | "export">, entry?: ServiceEntry): Mesh {
  const mesh = wireMesh(settings);
  mesh.sources.pods.set(objectKey(pod), kept.pod(pod));
  mesh.sources.services.set(objectKey(service), kept.service(service));
  mesh.sources.peerExports.set("c2/shop/web", kept.export(exported));
  if (entry !== undefined) mesh.sources.serviceEntries.set(objectKey(entry), kept.serviceEntry(entry));
  return mesh;
}

const same = <T>(object: T): T => object;
const whole = { pod: same, service: same, serviceEntry: same, export: same };

test("the mesh of what is kept is the mesh of the whole, before and after its objects came back", () => {
  const [mesh] = [meshOf(whole)];
  expect(dump(meshOf(new Kept()))).toEqual(dump(mesh));
  const [key, entry] = [...mesh.generatedServiceEntries.rows][0] ?? [];
  if (key === undefined || entry === undefined) throw new Error("no ServiceEntry was generated");
  const addresses = [...(mesh.serviceEntryAddresses.rows.get(key) ?? [])];
  expect(addresses).toHaveLength(2);
  for (const written of [addresses, addresses.map(({ value }) => ({ value }))]) {
    const back = { ...entry, metadata: { ...entry.metadata, uid: "e1" }, status: { addresses: written } };
    expect(dump(meshOf(new Kept(), back))).toEqual(dump(meshOf(whole, back)));
  }
});

test("notes of clients and servers are dropped; what pods of one Deployment share is kept once", () => {
  const kept = new Kept();
  const [one, other] = [kept.pod(pod), kept.pod({ ...pod, metadata: { ...pod.metadata, name: "web-7d9c-2" } })];
  expect(other.metadata.labels).toBe(one.metadata.labels);
  expect(other.spec.containers).toBe(one.spec.containers);
  for (const object of [one, kept.service(service), kept.whole(service)] satisfies KubeObject[]) {
    expect(JSON.stringify(object).length).toBeLessThan(1000);
    expect(object.metadata.managedFields).toBeUndefined();
  }
  expect(kept.service(service).metadata.annotations).toEqual({ note: "1" });
});

test("of generated objects a digest is kept, which sees every difference in what we write", () => {
  const entry: WorkloadEntry = {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name: "a", namespace: "istio-system", uid: "u", labels: { [label.managedBy]: "tombolo", b: "1" } },
    spec: { network: "n2", weight: 2, labels: { x: "1", y: "2" } },
  };
  const { digest } = new Kept().workloadEntry(entry);
  expect(digest).toBe(digestOf({ ...entry, spec: { labels: { y: "2", x: "1" }, weight: 2, network: "n2" } }));
  expect(digest).not.toBe(digestOf({ ...entry, spec: { ...entry.spec, weight: 3 } }));
  const relabelled = { ...entry.metadata, labels: { ...entry.metadata.labels, b: "2" } };
  expect(digest).not.toBe(digestOf({ ...entry, metadata: relabelled }));
  const noted = { ...entry.metadata, annotations: { note: "of somebody else" } };
  expect(digest).toBe(digestOf({ ...entry, metadata: noted }));
  const foreign = { ...entry, metadata: { name: "a", namespace: "istio-system" } };
  expect(new Kept().workloadEntry(foreign)).toEqual(foreign);
});
