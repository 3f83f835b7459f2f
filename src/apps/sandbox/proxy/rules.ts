/**
 * The nft table of one node: Services to endpoints, refusal where there are none, and the source addresses that replies need.
 * The whole table is replaced in one transaction; connections that are under way keep the endpoint the kernel remembers.
 */
import { clusterPodCidr, serviceCidr } from "../network/addresses.ts";
import type { ClusterPlan, NodePlan } from "../network/addresses.ts";
import type { ProxiedEndpoint, ProxiedPort } from "./ports.ts";

const tableName = "tombolo-services";

export function nodeRules(plan: ClusterPlan, node: NodePlan, ports: readonly ProxiedPort[]): string {
  const table = new Table(plan, node);
  for (const port of ports) table.add(port);
  return table.text();
}

const destinationKey = "ip daddr . meta l4proto . th dport";

class Table {
  private readonly plan: ClusterPlan;
  private readonly node: NodePlan;
  private readonly chains: string[] = [];
  private readonly destinations = new Map<string, string>();
  private readonly nodePorts = new Map<string, string>();
  private readonly closed = new Set<string>();
  private readonly closedNodePorts = new Set<string>();
  private readonly hairpins = new Set<string>();
  private serial = 0;

  constructor(plan: ClusterPlan, node: NodePlan) {
    this.plan = plan;
    this.node = node;
  }

  add(port: ProxiedPort): void {
    const local = port.endpoints.filter(({ nodeName }) => nodeName === this.node.name);
    const internal = this.chain(port, port.isInternalLocal ? local : port.endpoints, "inside");
    const external = port.isExternalLocal ? this.externalChain(port, internal, local) : internal;
    this.destination(`${port.clusterIp} . ${port.protocol} . ${port.port}`, internal);
    for (const address of port.balancerAddresses) {
      this.destination(`${address} . ${port.protocol} . ${port.port}`, external);
    }
    if (port.nodePort !== undefined) {
      const key = `${port.protocol} . ${port.nodePort}`;
      if (external === undefined) this.closedNodePorts.add(key);
      else this.nodePorts.set(key, external);
    }
    for (const { address } of local) this.hairpins.add(`${address} . ${address}`);
  }

  private destination(key: string, chain: string | undefined): void {
    if (chain === undefined) this.closed.add(key);
    else this.destinations.set(key, chain);
  }

  private chain(port: ProxiedPort, endpoints: readonly ProxiedEndpoint[], says: string): string | undefined {
    if (endpoints.length === 0) return undefined;
    this.serial += 1;
    const name = `s${this.serial}`;
    const [only] = endpoints;
    const target =
      endpoints.length === 1 && only !== undefined
        ? `${only.address}:${only.port}`
        : `numgen random mod ${endpoints.length} map { ${endpoints
            .map(({ address, port: at }, index) => `${index} : ${address} . ${at}`)
            .join(", ")} }`;
    this.chains.push(
      `  chain ${name} {\n    meta l4proto ${port.protocol} dnat ip to ${target} comment "${port.name} ${says}"\n  }`,
    );
    return name;
  }

  /** From outside only endpoints of this node count; from the cluster's pods all do. */
  private externalChain(
    port: ProxiedPort,
    internal: string | undefined,
    local: readonly ProxiedEndpoint[],
  ): string | undefined {
    if (internal === undefined) return undefined;
    const outside = this.chain(port, local, "outside");
    this.serial += 1;
    const name = `s${this.serial}`;
    const inside = `    ip saddr ${clusterPodCidr(this.plan.index)} goto ${internal}\n`;
    this.chains.push(`  chain ${name} {\n${inside}    ${outside === undefined ? "drop" : `goto ${outside}`}\n  }`);
    return name;
  }

  text(): string {
    const goto = (map: ReadonlyMap<string, string>) => [...map].map(([key, chain]) => `${key} : goto ${chain}`);
    const type = "ipv4_addr . inet_proto . inet_service";
    return [
      // Made first, so that deleting it works the first time too.
      `table ip ${tableName} {}`,
      `delete table ip ${tableName}`,
      `table ip ${tableName} {`,
      ...this.chains,
      named("map", "destinations", `${type} : verdict`, goto(this.destinations)),
      named("map", "node-ports", "inet_proto . inet_service : verdict", goto(this.nodePorts)),
      named("set", "open", type, [...this.destinations.keys()]),
      named("set", "closed", type, [...this.closed]),
      named("set", "closed-node-ports", "inet_proto . inet_service", [...this.closedNodePorts]),
      named("set", "hairpins", "ipv4_addr . ipv4_addr", [...this.hairpins]),
      this.hooks(),
      "}",
      "",
    ].join("\n");
  }

  private hooks(): string {
    const pods = clusterPodCidr(this.plan.index);
    const { address, podCidr } = this.node;
    return `  chain services {
    ${destinationKey} vmap @destinations
    fib daddr type local meta l4proto . th dport vmap @node-ports
  }
  chain refuse {
    ct state != new return
    ${destinationKey} @open return
    ${destinationKey} @closed goto no
    ip daddr ${serviceCidr} goto no
    fib daddr type local meta l4proto . th dport @closed-node-ports goto no
  }
  chain no {
    meta l4proto tcp reject with tcp reset
    reject with icmp port-unreachable
  }
  chain refuse-routed { type filter hook prerouting priority -110; jump refuse; }
  chain refuse-own { type filter hook output priority -110; jump refuse; }
  chain routed { type nat hook prerouting priority dstnat; jump services; }
  chain own { type nat hook output priority -100; jump services; }
  chain leaving {
    type nat hook postrouting priority srcnat;
    ct status dnat ip saddr . ip daddr @hairpins snat to ${address}
    oifname "eth0" ip saddr ${pods} ip daddr != ${pods} snat to ${address}
    oifname "eth0" ip saddr != ${podCidr} ip daddr ${pods} ct status dnat snat to ${address}
  }`;
  }
}

function named(kind: "map" | "set", name: string, type: string, elements: readonly string[]): string {
  const list = elements.length === 0 ? "" : `\n    elements = { ${elements.join(",\n      ")} }`;
  return `  ${kind} ${name} {\n    type ${type}${list}\n  }`;
}
