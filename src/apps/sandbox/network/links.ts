/**
 * Makes and removes the sandbox's network on the machine: the bridge, one namespace per node with an uplink on it, one
 * namespace per pod with a point-to-point link to its node. Every name carries the sandbox id, and nothing else is touched.
 */
import { withNamespaces } from "../../../io/host/netns.ts";
import { listNow, writeNow } from "../../../io/host/files.ts";
import { run, runOrThrow } from "../../../io/host/processes.ts";
import {
  bridgeName,
  clusterPodCidr,
  hostAddress,
  netnsPath,
  podGateway,
  podGatewayMac,
  podLink,
  podNetns,
  serviceCidr,
} from "./addresses.ts";
import type { ClusterPlan, NodePlan } from "./addresses.ts";

/** One spawn for many commands; `netns` is where they run. */
async function ipBatch(lines: readonly string[], netns?: string): Promise<void> {
  const at = netns === undefined ? [] : ["-n", netns];
  await runOrThrow("ip", [...at, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

export const netnsExists = (name: string): boolean => listNow("/run/netns").includes(name);
const linkExists = (name: string): boolean => listNow("/sys/class/net").includes(name);

export async function makeBridge(sandboxId: string, underlay: string): Promise<void> {
  const bridge = bridgeName(sandboxId);
  if (!linkExists(bridge)) await ipBatch([`link add ${bridge} type bridge forward_delay 0`]);
  await ipBatch([`addr replace ${hostAddress(underlay)}/16 dev ${bridge}`, `link set ${bridge} up`]);
}

/** Makes the node anew: what an earlier run left under its name is removed first. */
export async function makeNode(plan: ClusterPlan, node: NodePlan): Promise<void> {
  await removeNode(node);
  await ipBatch([
    `netns add ${node.netns}`,
    `link add ${node.uplink} type veth peer name eth0 netns ${node.netns}`,
    `link set ${node.uplink} master ${bridgeName(plan.sandboxId)} up`,
  ]);
  withNamespaces({ net: netnsPath(node.netns) }, () => {
    writeNow("/proc/sys/net/ipv4/ip_forward", "1");
    writeNow("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
    writeNow("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
    // Node proxies bind to pods' addresses and reply to them; a probe may carry a link-local source.
    writeNow("/proc/sys/net/ipv4/conf/all/accept_local", "1");
    writeNow("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
  });
  const peers = plan.nodes.filter(({ index }) => index !== node.index);
  await ipBatch(
    [
      "link set lo up",
      `addr add ${podGateway}/32 dev lo scope link`,
      `addr add ${node.address}/16 dev eth0`,
      "link set eth0 up",
      // Services are rewritten before they leave; without a route a local connect would fail before that.
      `route add ${serviceCidr} dev eth0 src ${node.address}`,
      ...peers.map(({ podCidr, address }) => `route add ${podCidr} via ${address} src ${node.address}`),
    ],
    node.netns,
  );
}

const flatTable = "sandbox-flat";

/**
 * Makes the pod networks of these clusters one: pods reach each other by their own addresses. Can be done again at any time,
 * and must be when a cluster was started anew.
 */
export async function joinPodNetworks(plans: readonly ClusterPlan[]): Promise<void> {
  for (const plan of plans) {
    const others = plans.filter((other) => other !== plan);
    const routes = others.flatMap(({ nodes }) => nodes);
    // Without connection tracking nothing is rewritten on the way, so that pods are seen as who they are.
    const direct = others.map(({ index }) => clusterPodCidr(index)).join(", ");
    const rules = `table ip ${flatTable} {}
delete table ip ${flatTable}
table ip ${flatTable} {
  chain direct {
    type filter hook prerouting priority raw
    ip saddr ${clusterPodCidr(plan.index)} ip daddr { ${direct} } notrack
    ip saddr { ${direct} } ip daddr ${clusterPodCidr(plan.index)} notrack
  }
}
`;
    for (const node of others.length === 0 ? [] : plan.nodes) {
      await ipBatch(
        routes.map(({ podCidr, address }) => `route replace ${podCidr} via ${address} src ${node.address}`),
        node.netns,
      );
      await runOrThrow("ip", ["netns", "exec", node.netns, "nft", "-f", "-"], { input: rules });
    }
  }
}

async function removeNode(node: NodePlan): Promise<void> {
  if (linkExists(node.uplink)) await run("ip", ["link", "del", node.uplink]);
  await removeNetns(node.netns);
}

export async function removeNetns(name: string): Promise<void> {
  if (netnsExists(name)) await run("ip", ["netns", "del", name]);
}

export interface PodNetwork {
  readonly netns: string;
  readonly path: string;
  readonly address: string;
}

/** A namespace with one /32 address, whose every packet passes the node's own IP stack. */
export async function makePodNetwork(
  plan: ClusterPlan,
  node: NodePlan,
  pod: { readonly uid: string; readonly address: string },
): Promise<PodNetwork> {
  const netns = podNetns(plan, pod.uid);
  const link = podLink(pod.uid);
  await removePodNetwork(plan, node, pod.uid);
  await ipBatch([
    `netns add ${netns}`,
    `link add ${link} netns ${node.netns} address ${podGatewayMac} type veth peer name eth0 netns ${netns}`,
  ]);
  withNamespaces({ net: netnsPath(netns) }, () => {
    // As container runtimes do it: any user may bind low ports and send pings.
    writeNow("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    writeNow("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  });
  await Promise.all([
    ipBatch(
      [
        "link set lo up",
        `addr add ${pod.address}/32 dev eth0`,
        "link set eth0 up",
        `route add ${podGateway} dev eth0 scope link`,
        `neigh replace ${podGateway} lladdr ${podGatewayMac} dev eth0 nud permanent`,
        `route add default via ${podGateway} dev eth0`,
      ],
      netns,
    ),
    ipBatch([`link set ${link} up`, `route replace ${pod.address}/32 dev ${link} src ${node.address}`], node.netns),
  ]);
  withNamespaces({ net: netnsPath(node.netns) }, () => {
    writeNow(`/proc/sys/net/ipv4/conf/${link}/proxy_arp`, "1");
  });
  return { netns, path: netnsPath(netns), address: pod.address };
}

export async function removePodNetwork(plan: ClusterPlan, node: NodePlan, uid: string): Promise<void> {
  const netns = podNetns(plan, uid);
  if (!netnsExists(netns)) return;
  // The link goes first: the namespace itself lives until the last process in it is gone.
  if (netnsExists(node.netns)) await run("ip", ["-n", node.netns, "link", "del", podLink(uid)]);
  await removeNetns(netns);
}

/** LoadBalancer addresses that `node` answers for. */
export async function setUplinkAddresses(
  node: NodePlan,
  change: { readonly add: readonly string[]; readonly remove: readonly string[] },
): Promise<void> {
  const lines = [
    ...change.remove.map((address) => `addr del ${address}/32 dev eth0`),
    ...change.add.map((address) => `addr replace ${address}/32 dev eth0`),
  ];
  if (lines.length > 0) await ipBatch(lines, node.netns);
}

/** Lets neighbours ask anew who has `addresses`, after they have moved to another node. */
export async function forgetNeighbours(addresses: readonly string[], inNetns: readonly string[]): Promise<void> {
  for (const address of addresses) {
    await run("ip", ["neigh", "flush", "to", address]);
    for (const netns of inNetns) await run("ip", ["-n", netns, "neigh", "flush", "to", address]);
  }
}
