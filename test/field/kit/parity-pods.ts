/** The pods of the parity test: callers in and outside the mesh, and backends of which one is not in it. */
import { accounts, segmentDomain, segmentName } from "./random-world.ts";

export const namespace = "parity";
export const outside = "parity-outside";
export const clusters = ["cluster1", "cluster2"] as const;
export type Cluster = (typeof clusters)[number];
const prefixOf: Readonly<Record<Cluster, string>> = { cluster1: "c1", cluster2: "c2" };

export interface Client {
  readonly cluster: Cluster;
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
}

export const clientsOf = (cluster: Cluster): readonly Client[] => [
  { cluster, node: `${cluster}-node1`, namespace, pod: "alice" },
  { cluster, node: `${cluster}-node2`, namespace, pod: "bob" },
  { cluster, node: `${cluster}-node1`, namespace: outside, pod: "stranger" },
];
/** The last one is not in the mesh. */
export const backendsOf = (cluster: Cluster): readonly string[] =>
  [1, 2, 3, 4, 5].map((at) => `${prefixOf[cluster]}-b${at}`);
const isPlain = (backend: string): boolean => backend.endsWith("b5");

const clientYaml = ({ namespace: home, pod, node }: Client) => `
apiVersion: v1
kind: Pod
metadata: {name: ${pod}, namespace: ${home}}
spec:
  ${home === namespace ? `serviceAccountName: ${pod}` : ""}
  terminationGracePeriodSeconds: 1
  nodeSelector: {kubernetes.io/hostname: ${node}}
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
---
`;

const backendYaml = (cluster: Cluster, name: string, at: number) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: {role: none${isPlain(name) ? ", istio.io/dataplane-mode: none" : ""}}}
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: {kubernetes.io/hostname: ${cluster}-node${(at % 2) + 1}}
  containers:
    - name: web
      image: mccutchen/go-httpbin:2.18.3
      env: [{name: USE_REAL_HOSTNAME, value: "true"}]
      readinessProbe: {httpGet: {path: /status/200, port: 8080}, periodSeconds: 1}
---
`;

export const startYaml = (cluster: Cluster) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ${outside}}
---
${accounts.map((name) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: ${name}, namespace: ${namespace}}\n---\n`).join("")}
apiVersion: admin.solo.io/v1alpha1
kind: Segment
metadata: {name: ${segmentName}, namespace: istio-system}
spec: {domain: ${segmentDomain}}
---
${clientsOf(cluster).map(clientYaml).join("")}${backendsOf(cluster)
  .map((name, at) => backendYaml(cluster, name, at))
  .join("")}`;
