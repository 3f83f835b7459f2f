/**
 * Reads and plays a golden story: YAML documents in, rows of chosen collections out. The first document says what is
 * shown; `step` documents end a commit. Apart from Kubernetes objects there are short kinds: PodSet (ready captured
 * pods), Peer (a remote Gateway and its state), Export (what a peer says), Delete.
 */
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../src/core/api/kube.ts";
import { objectKey } from "../../src/core/api/kube.ts";
import type { Pod } from "../../src/core/api/pod.ts";
import type { Collection, Source } from "../../src/core/graph/collection.ts";
import { compareKeys, sortedRows } from "../../src/core/graph/order.ts";
import { wireMesh, type Mesh } from "../../src/core/mesh/mesh.ts";
import type { Export, MeshSettings } from "../../src/core/mesh/model.ts";

type Fields = Record<string, unknown>;

/** Collection → fields to show; an empty list shows all. */
type Show = Record<string, readonly string[]>;

const defaults: MeshSettings = {
  cluster: "cluster1",
  network: "network1",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
};

const sourceOfKind: Readonly<Record<string, keyof Mesh["sources"]>> = {
  Namespace: "namespaces",
  Node: "nodes",
  Pod: "pods",
  Service: "services",
  ServiceEntry: "serviceEntries",
  WorkloadEntry: "workloadEntries",
  Gateway: "gateways",
  GatewayClass: "gatewayClasses",
  Segment: "segments",
  AuthorizationPolicy: "authorizationPolicies",
  PeerAuthentication: "peerAuthentications",
};

/** What a story shows, commit by commit: all rows first, then only changes. */
export function playStory(text: string): Fields {
  const documents = parseAllDocuments(text).map((document): Fields => document.toJS());
  const [head = {}, ...rest] = documents;
  const mesh = wireMesh({ ...defaults, ...(head["settings"] as Partial<MeshSettings> | undefined) });
  const show = head["show"] as Show;
  const out: Fields = {};
  let title = "start";
  const shown = new Map<string, Map<string, string>>();
  const finish = (): void => {
    mesh.graph.commit();
    const changes = Object.entries(show).map(
      ([name, fields]) => [name, changesOf(mesh, name, { fields, shown })] as const,
    );
    out[title] = Object.fromEntries(changes.filter(([, rows]) => Object.keys(rows).length > 0));
  };
  for (const document of rest) {
    if (typeof document["step"] === "string") {
      finish();
      title = document["step"];
    } else apply(mesh, document);
  }
  finish();
  return out;
}

function changesOf(
  mesh: Mesh,
  name: string,
  by: { fields: readonly string[]; shown: Map<string, Map<string, string>> },
): Fields {
  const collection = mesh[name as keyof Mesh] as unknown as Collection<unknown>;
  const before = by.shown.get(name) ?? new Map<string, string>();
  const after = new Map<string, string>();
  const rows: Fields = {};
  for (const [key, row] of sortedRows(collection)) {
    const picked = pick(row, by.fields) ?? {};
    after.set(key, JSON.stringify(picked));
    if (before.get(key) !== after.get(key)) rows[key] = picked;
  }
  for (const key of [...before.keys()].sort(compareKeys)) if (!after.has(key)) rows[key] = "gone";
  by.shown.set(name, after);
  return rows;
}

/** Leaves out what is empty, zero or false, and the resource types of conditions. */
function pick(value: unknown, fields: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((one) => pick(one) ?? {});
  if (typeof value !== "object" || value === null)
    return value === "" || value === false || value === 0 ? undefined : value;
  const kept = Object.entries(value)
    .filter(([key]) => key !== "resource" && (fields.length === 0 || fields.includes(key)))
    .map(([key, inner]) => [key, pick(inner)] as const)
    .filter(([, inner]) => inner !== undefined);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Makes one document true. Fields are trusted: stories are part of the tests. */
export function apply(mesh: Mesh, document: Fields): void {
  const { sources } = mesh;
  const kind = String(document["kind"]);
  if (kind === "Delete") return sourceOf(mesh, String(document["of"])).delete(String(document["key"]));
  if (kind === "PodSet") {
    for (const pod of podsOf(document)) sources.pods.set(objectKey(pod), pod);
    return;
  }
  if (kind === "Export") {
    const row = { ...exportDefaults(document), ...document } as unknown as Export & { kind?: string };
    delete row.kind;
    return sources.peerExports.set(`${row.cluster}/${row.namespace}/${row.name}`, row);
  }
  if (kind === "Peer") return applyPeer(mesh, document);
  const object = document as unknown as KubeObject;
  sourceOf(mesh, kind).set(objectKey(object), object);
}

function sourceOf(mesh: Mesh, kind: string): Source<unknown> {
  const name = kind === "Export" ? "peerExports" : sourceOfKind[kind];
  if (name === undefined) throw new Error(`A story cannot have kind ${kind}.`);
  return mesh.sources[name] as unknown as Source<unknown>;
}

function exportDefaults(document: Fields): Fields {
  const { cluster, namespace, name } = document;
  return {
    network: `network-${String(cluster)}`,
    trustDomain: "cluster.local",
    segment: "default",
    segmentDomain: "mesh.internal",
    scope: "global",
    takeover: false,
    ports: [{ name: "http", port: 80, protocol: "http" }],
    identities: [`spiffe://cluster.local/ns/${String(namespace)}/sa/${String(name)}`],
    aliases: [],
    ready: [{ locality: { region: "", zone: "", subzone: "" }, pods: 2 }],
    endpoints: [],
    generation: 1,
  };
}

function textOf(document: Fields, field: string, otherwise: string): string {
  const value = document[field];
  return typeof value === "string" ? value : otherwise;
}

function applyPeer(mesh: Mesh, document: Fields): void {
  const cluster = String(document["cluster"]);
  const network = textOf(document, "network", `network-${cluster}`);
  const name = `istio-remote-peer-${cluster}`;
  mesh.sources.gateways.set(`istio-gateways/${name}`, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      name,
      namespace: "istio-gateways",
      labels: { "topology.istio.io/network": network, "topology.istio.io/cluster": cluster },
    },
    spec: {
      gatewayClassName: "istio-remote",
      addresses: [{ type: "IPAddress", value: textOf(document, "address", "198.51.100.1") }],
      listeners: [
        { name: "cross-network", port: 15008, protocol: "HBONE" },
        { name: "xds-tls", port: 15012, protocol: "TLS" },
      ],
    },
  });
  mesh.sources.peerStates.set(cluster, {
    cluster,
    isConnected: true,
    isStale: false,
    ...(document["state"] as object),
  });
}

/** `replicas` pods `<name>-<n>`, the first `ready` of them ready, captured unless `mesh: false`. */
function podsOf(document: Fields): readonly Pod[] {
  const { name, namespace, labels, ports, node, account } = document as Record<string, string | undefined> & Fields;
  const replicas = Number(document["replicas"] ?? 1);
  const ready = Number(document["ready"] ?? replicas);
  const first = textOf(document, "ip", "10.1.0.");
  return Array.from({ length: replicas }, (_none, at) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${String(name)}-${at}`,
      namespace: String(namespace),
      labels: (labels as Record<string, string> | undefined) ?? { app: String(name) },
      annotations: document["mesh"] === false ? {} : { "ambient.istio.io/redirection": "enabled" },
    },
    spec: {
      containers: [
        { name: "app", image: "app", ports: (ports as { name: string; containerPort: number }[] | undefined) ?? [] },
      ],
      serviceAccountName: account ?? String(name),
      ...(node === undefined ? {} : { nodeName: node }),
    },
    status: {
      phase: "Running" as const,
      podIPs: [{ ip: `${first}${at + 1}` }],
      conditions: [{ type: "Ready", status: at < ready ? ("True" as const) : ("False" as const) }],
    },
  }));
}
