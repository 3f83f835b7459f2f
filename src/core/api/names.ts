/**
 * Every label, annotation, class, port and well-known object name of Tombolo, in one place.
 * Compatibility names keep their foreign prefixes (spec.md 1.2, 2.1, 1.10, 1.11).
 */

export const label = {
  /** Service, Namespace: `global`, `segment` or `global-only` (spec 1.2). */
  serviceScope: "solo.io/service-scope",
  /** Service, Namespace: `true` serves the local name from the global endpoint set (spec 1.5). */
  serviceTakeover: "solo.io/service-takeover",
  /** Namespace istio-system: name of the Segment of this cluster (spec 1.6). */
  segment: "admin.solo.io/segment",
  parentService: "solo.io/parent-service",
  parentServiceNamespace: "solo.io/parent-service-namespace",
  network: "topology.istio.io/network",
  cluster: "topology.istio.io/cluster",
  region: "topology.kubernetes.io/region",
  zone: "topology.kubernetes.io/zone",
  /** East-west Gateway and its Service: value is the discovery port, "15012". */
  exposeIstiod: "istio.io/expose-istiod",
  /** Namespace, Pod: `ambient` or `none`. */
  dataplaneMode: "istio.io/dataplane-mode",
  gatewayName: "gateway.networking.k8s.io/gateway-name",
  gatewayClassName: "gateway.networking.k8s.io/gateway-class-name",
  gatewayManaged: "gateway.istio.io/managed",
  autoallocateIp: "networking.istio.io/enable-autoallocate-ip",
  serviceName: "kubernetes.io/service-name",
  /** On every object that the control plane generates; value is `tombolo`. */
  managedBy: "app.kubernetes.io/managed-by",
  canonicalName: "service.istio.io/canonical-name",
  canonicalRevision: "service.istio.io/canonical-revision",
} as const;

export const annotation = {
  trafficDistribution: "networking.istio.io/traffic-distribution",
  serviceAliases: "solo.io/service-aliases",
  /** Remote Gateway: service account of the peer's east-west gateway. */
  gatewayServiceAccount: "gateway.istio.io/service-account",
  /** Remote Gateway: trust domain of the peer. */
  gatewayTrustDomain: "gateway.istio.io/trust-domain",
  dataPlaneServiceType: "peering.solo.io/preferred-data-plane-service-type",
  /** Pod: `enabled` once the agent has captured it (set by the agent only). */
  redirection: "ambient.istio.io/redirection",
  /** Pod: why Envoy refused its policies, as JSON (set by the agent only). */
  refusedPolicies: "tombolo/refused-policies",
  dnsCapture: "ambient.istio.io/dns-capture",
} as const;

export const gatewayClass = { eastWest: "istio-eastwest", remote: "istio-remote" } as const;

export const controllerName = {
  eastWest: "istio.io/eastwest-controller",
  remote: "istio.io/unmanaged-gateway",
} as const;

export const condition = {
  peerConnected: "gloo.solo.io/PeerConnected",
  peeringSucceeded: "gloo.solo.io/PeeringSucceeded",
  peerDataPlaneProgrammed: "gloo.solo.io/PeerDataPlaneProgrammed",
  /** Segment: whether every linked cluster has it too. */
  segmentShared: "SharedWithPeers",
} as const;

/** The root namespace of the mesh. */
export const systemNamespace = "istio-system";

export const defaultSegment = { name: "default", domain: "mesh.internal" } as const;
export const defaultTrustDomain = "cluster.local";
export const clusterDomain = "cluster.local";

/** Deployment, Service and ServiceAccount of the control plane, in istio-system. */
export const controlPlaneName = "tombolod";
/** DaemonSet and ServiceAccount of the agent, in istio-system. */
export const agentName = "tombolo-agent";
/** ConfigMap with key `root-cert.pem` in every namespace. */
export const rootCertConfigMap = "istio-ca-root-cert";
export const rootCertFile = "root-cert.pem";
/** Beside it, in istio-system only: fingerprint of the certificate that signs workloads now. */
export const issuerFile = "issuer";
/** ConfigMap in istio-system with the mesh settings of this cluster (key `mesh.json`). */
export const meshConfigMap = "tombolo";
/** Secret with the plugged-in intermediate, else the self-signed root (spec section 5). */
export const caSecret = { pluggedIn: "cacerts", selfSigned: "istio-ca-secret" } as const;
/** Audience of the service-account tokens that the CA and the model stream accept. */
export const tokenAudience = "istio-ca";

export const port = {
  /** What an agent holds and explains; on the loopback address only. */
  agentDebug: 15000,
  outbound: 15001,
  inbound: 15006,
  /** Cross-network mTLS passthrough (native), and HBONE where it is spoken. */
  crossNetwork: 15008,
  /** Model stream, CA and peering of the control plane. */
  controlPlane: 15012,
  controlPlaneMetrics: 15014,
  controlPlaneReadiness: 8080,
  /** What the model holds; on the loopback address only. */
  controlPlaneDebug: 15013,
  proxyMetrics: 15020,
  /** Answers the probes of links, by mutual TLS, on every node. */
  probe: 15016,
  readiness: 15021,
  dns: 15053,
} as const;

/** Server name by which a cluster's gateways lead to the agents of its nodes; too short to be that of a service. */
export const probeHostname = (cluster: string): string => `tombolo-probe.${cluster}`;

/** Socket mark of the proxy's own connections: never captured again. */
export const proxyMark = 1337;
/** Mark of what a proxy sends to an app under its client's address, and of the app's replies, which belong to the proxy. */
export const originalSourceMark = 273;
/** Source address that kubelet probes carry when they enter a pod. */
export const probeAddress = "169.254.7.127";
