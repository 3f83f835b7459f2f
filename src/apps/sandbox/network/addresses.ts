/** The address plan of a sandbox, and the names of everything it makes on the machine. Pure arithmetic. */
import { isDnsLabel } from "../../../core/api/dns-names.ts";

export interface ClusterPlan {
  /** Random, 4 hex digits; part of every name on the machine. */
  readonly sandboxId: string;
  readonly cluster: string;
  /** From 1. */
  readonly index: number;
  /** First two octets of the underlay, such as "198.18". */
  readonly underlay: string;
  readonly nodes: readonly NodePlan[];
}

export interface NodePlan {
  /** Name of the Node object. */
  readonly name: string;
  /** From 1. */
  readonly index: number;
  readonly address: string;
  readonly podCidr: string;
  /** Network namespace. */
  readonly netns: string;
  /** Host end of the node's uplink. */
  readonly uplink: string;
}

/** Underlays in order of preference: benchmark ranges first, then corners of the shared address space. */
export const underlays = ["198.18", "198.19", "100.88", "100.89", "100.90", "100.91"] as const;

export const serviceCidr = "10.96.0.0/16";
export const apiServiceAddress = "10.96.0.1";
export const dnsServiceAddress = "10.96.0.10";
/** Every pod's default gateway: an address of its own end of the node. */
export const podGateway = "169.254.1.1";
/** Hardware address of the node's end of every pod's link, so that pods never need to ask for it. */
export const podGatewayMac = "ee:ee:ee:ee:ee:ee";

export const limits = { clusters: 99, nodes: 99 } as const;

export const bridgeName = (sandboxId: string): string => `tmb-${sandboxId}`;
export const hostAddress = (underlay: string): string => `${underlay}.0.1`;
/** Nodes and LoadBalancer addresses of a cluster. */
export const clusterCidr = (underlay: string, index: number): string => `${underlay}.${index}.0/24`;
/** All pods of a cluster. */
export const clusterPodCidr = (index: number): string => `10.${10 + index}.0.0/16`;
/** All nodes share one machine: what a pod sees of its node's /run is a directory of the node's own. */
export const nodeRunDirectory = (nodeNetns: string): string => `/run/tombolo/${nodeNetns}`;

/** In it, folders of the node's own that are not below /run. */
export const nodeDisk = ".node";

/**
 * Where a hostPath of a node is on this machine. Paths below /run and the folders of CNI are the node's own, but for the
 * network namespaces, which are the machine's; everything else is the machine's, too.
 */
export function machinePath(nodeNetns: string, path: string): string {
  const clean = path.replace(/^\/var\/run(?=\/|$)/, "/run");
  if (/^\/(etc|opt)\/cni(\/|$)/.test(clean)) return `${nodeRunDirectory(nodeNetns)}/${nodeDisk}${clean}`;
  if (!/^\/run(\/|$)/.test(clean) || /^\/run\/netns(\/|$)/.test(clean)) return clean;
  return `${nodeRunDirectory(nodeNetns)}${clean.slice("/run".length)}`;
}

export const netnsPath = (name: string): string => `/run/netns/${name}`;

export function planCluster(options: {
  readonly sandboxId: string;
  readonly cluster: string;
  readonly index: number;
  readonly underlay: string;
  readonly nodes: number;
}): ClusterPlan {
  const { sandboxId, cluster, index, underlay, nodes } = options;
  if (index < 1 || index > limits.clusters) throw new Error(`A sandbox has at most ${limits.clusters} clusters.`);
  if (nodes < 1 || nodes > limits.nodes) throw new Error(`A cluster has 1 to ${limits.nodes} nodes, not ${nodes}.`);
  return {
    sandboxId,
    cluster,
    index,
    underlay,
    nodes: Array.from({ length: nodes }, (_, at) => planNode(sandboxId, cluster, underlay, index, at + 1)),
  };
}

const planNode = (sandboxId: string, cluster: string, underlay: string, index: number, node: number): NodePlan => ({
  name: `${cluster}-node${node}`,
  index: node,
  address: `${underlay}.${index}.${node}`,
  podCidr: `10.${10 + index}.${node}.0/24`,
  netns: `tmb-${sandboxId}-${cluster}-node${node}`,
  uplink: `tmb-${sandboxId}-${index}-${node}`,
});

/** First and last address that Services of type LoadBalancer get. */
export const loadBalancerPool = (plan: ClusterPlan): { readonly first: string; readonly last: string } => ({
  first: `${plan.underlay}.${plan.index}.200`,
  last: `${plan.underlay}.${plan.index}.250`,
});

export const isLoadBalancerAddress = (plan: ClusterPlan, address: string): boolean => {
  const prefix = `${plan.underlay}.${plan.index}.`;
  const last = Number(address.slice(prefix.length));
  return address.startsWith(prefix) && last >= 200 && last <= 250;
};

const shortUid = (uid: string): string => uid.replaceAll("-", "").slice(0, 12);

export const podNetns = (plan: ClusterPlan, uid: string): string =>
  `tmb-${plan.sandboxId}-${plan.cluster}-pod-${shortUid(uid)}`;

/** In the node's namespace; 15 characters are all the kernel allows. */
export const podLink = (uid: string): string => `pod${shortUid(uid)}`;

/** Pod addresses are .2 to .254 of the node's range. */
export function freePodAddress(node: NodePlan, taken: ReadonlySet<string>, start: number): string | undefined {
  const prefix = node.podCidr.slice(0, node.podCidr.lastIndexOf(".") + 1);
  const count = 253;
  for (let step = 0; step < count; step += 1) {
    const address = `${prefix}${2 + ((start + step) % count)}`;
    if (!taken.has(address)) return address;
  }
  return undefined;
}

const clusterNameCharactersMax = 32;

/** A sentence when the name cannot be a cluster's. */
export const clusterNameProblem = (name: string): string | undefined =>
  isDnsLabel(name) && name.length <= clusterNameCharactersMax
    ? undefined
    : `"${name}" cannot name a cluster: use up to ${clusterNameCharactersMax} lower-case letters, digits and dashes, beginning and ending with a letter or digit.`;
