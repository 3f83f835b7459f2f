/** The two Gateway objects of multicluster: the east-west gateway of a cluster, and the picture a cluster has of a peer. */
import { isIp } from "../../../core/api/ip.ts";
import { annotation, gatewayClass, label, port } from "../../../core/api/names.ts";
import type { Gateway, GatewayListener } from "../../../core/api/mesh-kinds.ts";

const eastWestName = "istio-eastwest";
const remoteName = (peer: string): string => `istio-remote-peer-${peer}`;

const listeners = (): GatewayListener[] => [
  { name: "cross-network", port: port.crossNetwork, protocol: "HBONE", tls: { mode: "Passthrough" } },
  { name: "xds-tls", port: port.controlPlane, protocol: "TLS", tls: { mode: "Passthrough" } },
];

/** As the guide of multicluster prints it (spec.md 1.10). */
export const eastWestGateway = (namespace: string, network: string): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    labels: { [label.exposeIstiod]: String(port.controlPlane), [label.network]: network },
    name: eastWestName,
    namespace,
  },
  spec: { gatewayClassName: gatewayClass.eastWest, listeners: listeners() },
});

export interface PeerAddress {
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  /** IP addresses or DNS names of its east-west gateway. */
  readonly addresses: readonly string[];
  readonly region?: string | undefined;
}

/** As `link` writes it (spec.md 1.11). */
export const remoteGateway = (namespace: string, peer: PeerAddress): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    annotations: {
      [annotation.gatewayServiceAccount]: eastWestName,
      [annotation.gatewayTrustDomain]: peer.trustDomain,
      [annotation.dataPlaneServiceType]: "loadbalancer",
    },
    labels: {
      [label.cluster]: peer.cluster,
      [label.network]: peer.network,
      ...(peer.region === undefined ? {} : { [label.region]: peer.region }),
    },
    name: remoteName(peer.cluster),
    namespace,
  },
  spec: {
    addresses: peer.addresses.map((value) => ({ type: isIp(value) ? "IPAddress" : "Hostname", value })),
    gatewayClassName: gatewayClass.remote,
    listeners: listeners(),
  },
});
