/** A synthetic world for the scale bench: N services with two pods each in this cluster, and the same from two peers. */
import { objectKey, type Service } from "../../src/core/api/kube.ts";
import type { Gateway } from "../../src/core/api/mesh-kinds.ts";
import { annotation, gatewayClass, label } from "../../src/core/api/names.ts";
import { Kept } from "../../src/apps/control/kept.ts";
import type { Pod } from "../../src/core/api/pod.ts";
import type { Mesh } from "../../src/core/mesh/mesh.ts";
import { spiffeId, type Export, type MeshSettings } from "../../src/core/mesh/model.ts";

export const settings: MeshSettings = {
  cluster: "cluster1",
  network: "network1",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
};
export const podsPerService = 2;
const peers = ["cluster2", "cluster3"];
const servicesPerNamespace = 50;
const nodes = 100;

/** The service whose pods really run, on one node beside their client. */
export const live = {
  namespace: "shop",
  service: "web",
  address: "10.96.0.10",
  port: 80,
  node: "n1",
  pods: { a: "10.41.1.2", b: "10.41.1.3", c: "10.41.1.4" },
} as const;

/** As an informer gives it: parsed from JSON, sharing nothing with others. */
const parsed = <T>(object: T): T => {
  // The same shape comes back that went in.
  return JSON.parse(JSON.stringify(object)) as T;
};

const nth = (base: string, at: number): string => `${base}.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`;
const uid = (at: number): string => `5f0c7a52-8f0d-4d3e-9f57-${at.toString(16).padStart(12, "0")}`;

export function liveService(version: "a" | "b"): Service {
  return parsed({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: live.service, namespace: live.namespace },
    spec: {
      selector: { app: "web", version },
      clusterIP: live.address,
      ports: [{ name: "tcp", port: live.port, targetPort: 8080 }],
    },
  });
}

const service = (name: string, namespace: string, at: number): Service =>
  kept.service(
    parsed({
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        name,
        namespace,
        uid: uid(at),
        resourceVersion: String(at),
        labels: { app: name, [label.serviceScope]: "global" },
      },
      spec: {
        type: "ClusterIP",
        selector: { app: name },
        clusterIP: nth("10", 0x600000 + 256 + at),
        clusterIPs: [nth("10", 0x600000 + 256 + at)],
        ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }],
      },
      status: { loadBalancer: {} },
    }),
  );

interface PodSpec {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly ip: string;
  readonly labels: Record<string, string>;
  readonly account: string;
  readonly serial: number;
}

const madeAt = "2026-01-01T00:00:00Z";

/** About what a Deployment's pod with one container has. */
const wholePod = ({ name, namespace, node, ip, labels, account, serial }: PodSpec): Pod =>
  parsed({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      uid: uid(serial),
      resourceVersion: String(serial),
      creationTimestamp: madeAt,
      labels: { ...labels, "pod-template-hash": "7d9c5b6f4d" },
      annotations: { [annotation.redirection]: "enabled" },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `${account}-7d9c5b6f4d`,
          uid: uid(serial),
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: node,
      serviceAccountName: account,
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      containers: [
        {
          name: "app",
          image: "registry.example/app:1.0",
          ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
          env: [
            { name: "LOG_LEVEL", value: "info" },
            { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          volumeMounts: [{ name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true }],
          readinessProbe: { httpGet: { path: "/healthz", port: "http", scheme: "HTTP" }, periodSeconds: 5 },
          resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
        },
      ],
      volumes: [{ name: "token", emptyDir: {} }],
    },
    status: {
      phase: "Running" as const,
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: "172.18.0.2",
      startTime: madeAt,
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
        type,
        status: "True" as const,
        lastTransitionTime: madeAt,
      })),
      containerStatuses: [
        {
          name: "app",
          image: "registry.example/app:1.0",
          imageID: "",
          ready: true,
          restartCount: 0,
          started: true,
          state: { running: { startedAt: madeAt } },
        },
      ],
    },
  });

/** What the control plane's informers and links keep of what they are given. */
const kept = new Kept();

const pod = (spec: PodSpec): Pod => kept.pod(wholePod(spec));

const exported = (cluster: string, namespace: string, name: string): Export =>
  kept.export(
    parsed({
      cluster,
      network: `network-${cluster}`,
      trustDomain: settings.trustDomain,
      segment: "default",
      segmentDomain: "mesh.internal",
      namespace,
      name,
      scope: "global" as const,
      takeover: false,
      ports: [{ name: "http", port: 80, protocol: "http" as const }],
      identities: [spiffeId(settings.trustDomain, namespace, name)],
      aliases: [],
      ready: [{ locality: { region: "", zone: "", subzone: "" }, pods: podsPerService }],
      endpoints: [],
      generation: 1,
    }),
  );

const remoteGateway = (cluster: string): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    name: `istio-remote-peer-${cluster}`,
    namespace: "istio-gateways",
    labels: { [label.network]: `network-${cluster}`, [label.cluster]: cluster },
  },
  spec: {
    gatewayClassName: gatewayClass.remote,
    addresses: [{ type: "IPAddress", value: "198.51.100.1" }],
    listeners: [
      { name: "cross-network", port: 15008, protocol: "HBONE", tls: { mode: "Passthrough" } },
      { name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } },
    ],
  },
});

/** Stages everything; the caller commits. */
export function fill({ sources }: Mesh, services: number): void {
  const namespace = (name: string) =>
    sources.namespaces.set(name, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  for (const name of ["istio-system", "istio-gateways", live.namespace]) namespace(name);
  for (let at = 0; at < nodes; at += 1) {
    const name = `node-${at}`;
    sources.nodes.set(name, { apiVersion: "v1", kind: "Node", metadata: { name } });
  }
  for (const cluster of peers) {
    const gateway = remoteGateway(cluster);
    sources.gateways.set(objectKey(gateway), gateway);
    sources.peerStates.set(cluster, { cluster, isConnected: true, isStale: false });
  }
  for (let at = 0; at < services; at += 1) {
    const home = `team-${Math.floor(at / servicesPerNamespace)}`;
    const name = `service-${at}`;
    if (at % servicesPerNamespace === 0) namespace(home);
    const object = service(name, home, at);
    sources.services.set(objectKey(object), object);
    for (let replica = 0; replica < podsPerService; replica += 1) {
      const serial = at * podsPerService + replica;
      const one = { name: `${name}-7d9c5b6f4d-${serial}`, namespace: home, labels: { app: name }, account: name };
      const made = pod({
        ...one,
        node: `node-${1 + (serial % (nodes - 1))}`,
        ip: nth("10", 0x800000 + serial),
        serial,
      });
      sources.pods.set(objectKey(made), made);
    }
    for (const cluster of peers) sources.peerExports.set(`${cluster}/${home}/${name}`, exported(cluster, home, name));
  }
  fillLive(sources);
}

function fillLive(sources: Mesh["sources"]): void {
  sources.services.set(`${live.namespace}/${live.service}`, liveService("a"));
  for (const [name, ip] of Object.entries(live.pods)) {
    const labels = { app: name === "c" ? "client" : "web", version: name };
    const where = { namespace: live.namespace, node: live.node, ip, labels, account: name };
    const made = pod({ ...where, name, serial: 0xffff00 + ip.length });
    sources.pods.set(objectKey(made), made);
  }
}

/** What the control plane writes comes back to it from the API server, with the addresses in the status. */
export function writeBack(mesh: Mesh): void {
  const { sources } = mesh;
  let serial = 0xa00000;
  const stored = <T extends { readonly metadata: object }>(object: T): T => {
    serial += 1;
    const metadata = {
      ...object.metadata,
      uid: uid(serial),
      resourceVersion: String(serial),
      creationTimestamp: madeAt,
    };
    return parsed({ ...object, metadata });
  };
  for (const [key, entry] of mesh.generatedServiceEntries.rows) {
    const addresses = mesh.serviceEntryAddresses.rows.get(key) ?? [];
    const written = stored({ ...entry, status: { addresses: [...addresses] } });
    sources.serviceEntries.set(key, kept.serviceEntry(written));
  }
  for (const [key, entry] of mesh.generatedWorkloadEntries.rows)
    sources.workloadEntries.set(key, kept.workloadEntry(stored(entry)));
}
