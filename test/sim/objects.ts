/** What users, schedulers and kubelets of a simulated cluster write. */
import type { Namespace, Node, Service } from "../../src/core/api/kube.ts";
import type { AuthorizationPolicy, Gateway, PeerAuthentication, Segment } from "../../src/core/api/mesh-kinds.ts";
import { annotation, label, systemNamespace } from "../../src/core/api/names.ts";
import type { Pod } from "../../src/core/api/pod.ts";
import { trustDomainOf } from "./trust.ts";

export const appNamespaces = ["shop", "bank"] as const;
export const apps = ["web", "db"] as const;
export const segmentNames = ["red", "blue"] as const;
export const nodes = ["n1"] as const;

export const namespaceObject = (name: string, labels: Record<string, string> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});

export const nodeObject = (name: string, region: string): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels: { [label.region]: region, [label.zone]: `${region}-${name}` } },
});

export const serviceObject = (namespace: string, app: string, address: number): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: app, namespace },
  spec: {
    selector: { app },
    clusterIP: `10.96.0.${address}`,
    ports: [{ name: "http", port: 80, targetPort: 8080 }],
  },
});

export interface PodPlace {
  readonly namespace: string;
  readonly app: string;
  readonly serial: number;
  readonly node: string;
}

export const podObject = ({ namespace, app, serial, node }: PodPlace, clusterNumber: number): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: `${app}-${serial}`,
    namespace,
    labels: { app },
    annotations: { [annotation.redirection]: "enabled" },
  },
  spec: { nodeName: node, serviceAccountName: app, containers: [{ name: app, image: app }] },
  status: {
    phase: "Running",
    podIP: `10.${clusterNumber}.${serial >> 8}.${serial & 255}`,
    conditions: [{ type: "Ready", status: "True" }],
  },
});

export const withReady = (pod: Pod, isReady: boolean): Pod => ({
  ...pod,
  status: { ...pod.status, conditions: [{ type: "Ready", status: isReady ? "True" : "False" }] },
});

export const segmentObject = (name: string): Segment => ({
  apiVersion: "admin.solo.io/v1alpha1",
  kind: "Segment",
  metadata: { name, namespace: systemNamespace },
  spec: { domain: `${name}.mesh` },
});

export const gatewayNamespace = "istio-gateways";
export const remoteGatewayName = (cluster: string): string => `istio-remote-peer-${cluster}`;

/** By which the reader is linked to `cluster`. */
export const remoteGateway = (cluster: string, network: string): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    name: remoteGatewayName(cluster),
    namespace: gatewayNamespace,
    labels: { [label.network]: network, [label.cluster]: cluster },
    annotations: {
      [annotation.gatewayServiceAccount]: "istio-eastwest",
      [annotation.gatewayTrustDomain]: trustDomainOf(cluster),
    },
  },
  spec: {
    gatewayClassName: "istio-remote",
    addresses: [{ type: "IPAddress", value: gatewayAddress(cluster) }],
    listeners: [
      { name: "cross-network", port: 15008, protocol: "HBONE", tls: { mode: "Passthrough" } },
      { name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } },
    ],
  },
});

export const gatewayAddress = (cluster: string): string => `203.0.113.${cluster.slice(1)}`;

export const policyObject = (namespace: string, from: string, action: "ALLOW" | "DENY"): AuthorizationPolicy => ({
  apiVersion: "security.istio.io/v1",
  kind: "AuthorizationPolicy",
  metadata: { name: "access", namespace },
  spec: { action, rules: [{ from: [{ source: { namespaces: [from] } }] }] },
});

export const strictObject = (namespace: string): PeerAuthentication => ({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "strict", namespace },
  spec: { mtls: { mode: "STRICT" } },
});
