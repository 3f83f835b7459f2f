/**
 * What the resources of one Envoy are made from: the node or gateway it serves, the captured pods, a replica of the
 * model and the certificates. The agent owns all of it; the functions of this room only read.
 */
import type { MeshReplica } from "../mesh/replica.ts";
import type { GatewayAddress, Locality } from "../mesh/model.ts";

/** A captured pod of this node. */
export interface LocalPod {
  /** Kubernetes UID: never used again, so listeners are named by it. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** SPIFFE id. */
  readonly identity: string;
  readonly ip: string;
  /** Path that Envoy opens to enter the pod's network namespace. */
  readonly netnsPath: string;
  /** Being deleted: takes no new connections, open ones go on. */
  readonly isDraining: boolean;
  /** Ports that kubelet probes; informational, probes never pass through Envoy. */
  readonly probePorts?: readonly number[];
}

/** Where a node's probes start and end. */
export interface ProbeEnds {
  readonly nodeIp: string;
  /** Unix socket on which Envoy takes the agent's probes. */
  readonly doorPath: string;
  /** SPIFFE id of the agent. */
  readonly identity: string;
}

export interface NodeView {
  readonly node: string;
  readonly cluster: string;
  readonly network: string;
  readonly locality: Locality;
  readonly trustDomain: string;
  readonly podsByUid: ReadonlyMap<string, LocalPod>;
  readonly replica: MeshReplica;
  /** Absent where nobody probes. */
  readonly probe?: ProbeEnds;
  /** DNS names of peers' gateways → their addresses, as far as they are known. */
  readonly addressesByName?: ReadonlyMap<string, readonly string[]>;
}

/** The east-west gateway's Envoy: it has no pods and no certificates, it passes TLS through by SNI. */
export interface GatewayView {
  readonly cluster: string;
  readonly network: string;
  readonly replica: MeshReplica;
  /** Where port 15012 leads: the control plane's Service. */
  readonly controlPlane: GatewayAddress;
}

export interface KeyPair {
  /** PEM, leaf first. */
  readonly certificateChain: string;
  /** PEM; goes to Envoy over its unix socket and nowhere else. */
  readonly privateKey: string;
}

/** The agent's certificate store as the resources see it. */
export interface SecretSource {
  certificateOf(identity: string): KeyPair | undefined;
  /** Trust domain → PEM of its roots. */
  bundlesByTrustDomain(): ReadonlyMap<string, string>;
  /** Set when the mesh does not tell trust domains apart: PEM of the one root that vouches for identities of any. */
  rootOfAllDomains?(): string | undefined;
}
