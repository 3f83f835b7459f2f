/**
 * The nouns of the mesh: what the control plane derives, streams to every agent, and exports to its peers.
 * Plain read-only data; a row names its owner by cluster and key. Nothing here knows of Kubernetes objects or of Envoy.
 */

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** How the proxy reaches a workload: `none` plaintext, `native` one mTLS connection per connection, `hbone` a ztunnel. */
export type Tunnel = "none" | "native" | "hbone";

export interface GatewayAddress {
  /** IP address or DNS name. */
  readonly host: string;
  readonly port: number;
}

/** One port of a service as one workload serves it. */
export interface PortMapping {
  readonly servicePort: number;
  readonly targetPort: number;
}

/**
 * One thing with addresses and an identity: a pod, a WorkloadEntry, or, when `remote` is set, "service X behind network Y"
 * (all ready pods of one service in one peer cluster, reached through that cluster's gateways).
 */
export interface Workload {
  /** `<cluster>//Pod/<ns>/<name>`, `<cluster>/networking.istio.io/WorkloadEntry/<ns>/<name>`, `<cluster>/Remote/<segment>/<ns>/<service>`. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly cluster: string;
  readonly network: string;
  /** Node name, "" when it is not a pod of this cluster. */
  readonly node: string;
  readonly addresses: readonly string[];
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly tunnel: Tunnel;
  readonly hostNetwork: boolean;
  readonly locality: Locality;
  readonly isHealthy: boolean;
  /** Weight: 1 for a pod, the number of ready pods for a remote row. */
  readonly capacity: number;
  /** Service key (`<ns>/<hostname>`) → ports, for every service this workload is an endpoint of. */
  readonly services: Readonly<Record<string, readonly PortMapping[]>>;
  readonly remote?: RemoteTarget;
  /** Keys (`<ns>/<name>`) of the AuthorizationPolicies that select this workload by label. */
  readonly policies: readonly string[];
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadName: string;
  readonly workloadType: "deployment" | "cronjob" | "pod" | "job";
}

/** Where a remote row leads: the peer's gateways, and the name they know the service by. */
export interface RemoteTarget {
  readonly gateways: readonly GatewayAddress[];
  /** Host in the SNI `outbound_.<port>_._.<hostname>`: the service's name in its owner's segment. */
  readonly hostname: string;
  /** SPIFFE ids any of which the far end may present. */
  readonly identities: readonly string[];
}

export type AppProtocol = "tcp" | "http" | "http2" | "grpc" | "tls" | "udp";

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: AppProtocol;
}

/** `SameNode` is the only one that leaves endpoints out: those of other nodes (internalTrafficPolicy Local). */
export type TrafficDistribution =
  | "Any"
  | "PreferNetwork"
  | "PreferRegion"
  | "PreferClose"
  | "PreferSameNode"
  | "SameNode";

export interface NetworkAddress {
  readonly network: string;
  readonly address: string;
}

/** A name with ports that selects workloads. Key: `<namespace>/<hostname>`. */
export interface MeshService {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** More names with the same addresses (Segment aliases, taken-over short names). */
  readonly aliases: readonly string[];
  readonly addresses: readonly NetworkAddress[];
  readonly ports: readonly ServicePort[];
  readonly subjectAltNames: readonly string[];
  readonly trafficDistribution: TrafficDistribution;
  readonly publishNotReady: boolean;
  readonly isHeadless: boolean;
  /**
   * Set when this cluster exports the service: the global hostname by which its own east-west gateway
   * accepts connections from peers.
   */
  readonly exportedAs?: string;
}

/** What a string in a policy matches; values are written without `spiffe://`. */
export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "suffix"; readonly value: string }
  | { readonly kind: "presence" };

/** Values of one list are ORed; lists that are set are ANDed. CIDRs as `10.0.0.0/8`. */
export interface PolicyMatch {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly sourceIps: readonly string[];
  readonly notSourceIps: readonly string[];
  readonly destinationIps: readonly string[];
  readonly notDestinationIps: readonly string[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
}

/** An L4 policy as istio.security.Authorization has it: groups are ORed, rules in a group ANDed, matches in a rule ORed. */
export interface Policy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: "global" | "namespace" | "workload";
  readonly action: "allow" | "deny";
  readonly groups: readonly (readonly (readonly PolicyMatch[])[])[];
}

/** A segment as clusters tell each other of it. */
export interface SegmentName {
  readonly name: string;
  readonly domain: string;
}

/** What one cluster tells its peers about one service. Key: `<cluster>/<namespace>/<name>`. */
export interface Export {
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly segment: string;
  readonly segmentDomain: string;
  readonly namespace: string;
  readonly name: string;
  readonly scope: "global" | "segment";
  readonly takeover: boolean;
  readonly ports: readonly ServicePort[];
  /** SPIFFE ids of the pods behind it. */
  readonly identities: readonly string[];
  readonly aliases: readonly string[];
  readonly trafficDistribution?: TrafficDistribution;
  readonly ready: readonly ReadyCount[];
  /** Pod addresses, only for peers on the same network (flat); empty otherwise. */
  readonly endpoints: readonly ExportedEndpoint[];
  /** Grows with every change of the row; receivers refuse older ones. */
  readonly generation: number;
}

export interface ReadyCount {
  readonly locality: Locality;
  readonly pods: number;
}

export interface ExportedEndpoint {
  readonly name: string;
  readonly address: string;
  readonly identity: string;
  readonly locality: Locality;
  readonly ports: readonly PortMapping[];
}

/** A link to a peer as this cluster's remote Gateway object describes it (spec 1.11). Key: the Gateway's `<ns>/<name>`. */
export interface Peer {
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  /** Service account of the peer's east-west gateway. */
  readonly gatewayServiceAccount: string;
  readonly region: string;
  readonly dataPlane: readonly GatewayAddress[];
  readonly controlPlane: readonly GatewayAddress[];
}

/** Settings of this cluster's mesh, from the install values (spec 1.13). */
export interface MeshSettings {
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly ipAutoallocate: boolean;
  readonly skipTrustDomainCheck: boolean;
}

export const spiffeId = (trustDomain: string, namespace: string, serviceAccount: string): string =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;

export const identityOf = (workload: Workload): string =>
  spiffeId(workload.trustDomain, workload.namespace, workload.serviceAccount);

export const serviceKey = (service: { readonly namespace: string; readonly hostname: string }): string =>
  `${service.namespace}/${service.hostname}`;
