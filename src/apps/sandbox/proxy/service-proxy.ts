/**
 * Keeps the rules of every node of a cluster, and the LoadBalancer addresses on their uplinks, equal to Services and their
 * endpoints. What changes while rules are being written is written in the next round, all at once.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { EndpointSlice, Node, Service } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { runOrThrow } from "../../../io/host/processes.ts";
import type { Informer } from "../../../io/kube/informer.ts";
import { isLoadBalancerAddress, netnsPath } from "../network/addresses.ts";
import type { ClusterPlan, NodePlan } from "../network/addresses.ts";
import { forgetNeighbours, setUplinkAddresses } from "../network/links.ts";
import { isNodeReady, placeAddresses } from "./balancer-addresses.ts";
import { proxiedPorts } from "./ports.ts";
import type { ProxiedPort } from "./ports.ts";
import { nodeRules } from "./rules.ts";

export interface ProxyInformers {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
}

const retryMs = 1_000;

/** Resolves once every node has its first rules. */
export async function startServiceProxy(
  host: Host,
  plan: ClusterPlan,
  informers: ProxyInformers,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([informers.services.synced, informers.endpointSlices.synced, informers.nodes.synced]);
  const proxy = new ServiceProxy(host, plan, informers, signal);
  const hear = () => proxy.changed();
  informers.services.onChange(hear);
  informers.endpointSlices.onChange(hear);
  informers.nodes.onChange(hear);
  proxy.changed();
  await proxy.idle();
}

class ServiceProxy {
  private readonly host: Host;
  private readonly plan: ClusterPlan;
  private readonly informers: ProxyInformers;
  private readonly signal: AbortSignal;
  /** Text of each node's rules as the kernel has them. */
  private readonly written = new Map<string, string>();
  private placed = new Map<string, string>();
  private isDirty = false;
  private working: Promise<void> | undefined;

  constructor(host: Host, plan: ClusterPlan, informers: ProxyInformers, signal: AbortSignal) {
    this.host = host;
    this.plan = plan;
    this.informers = informers;
    this.signal = signal;
  }

  changed(): void {
    this.isDirty = true;
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
  }

  async idle(): Promise<void> {
    await this.working;
  }

  private async work(): Promise<void> {
    // The changes of one moment (a Service and its slice, say) become one round.
    await Promise.resolve();
    while (this.isDirty && !this.signal.aborted) {
      this.isDirty = false;
      try {
        await this.round();
      } catch (error) {
        if (this.signal.aborted) return;
        const cause = errorText(error);
        this.host.log.warn("proxy.failed", { cluster: this.plan.cluster, cause, retryMs });
        this.isDirty = true;
        await this.host.clock.sleep(retryMs, this.signal).catch(() => undefined);
      }
    }
  }

  private async round(): Promise<void> {
    const { services, endpointSlices } = this.informers;
    const ports = proxiedPorts(services.objects.values(), endpointSlices.objects.values());
    await Promise.all(this.plan.nodes.map((node) => this.writeRules(node, ports)));
    await this.placeAddresses(ports);
  }

  private async writeRules(node: NodePlan, ports: readonly ProxiedPort[]): Promise<void> {
    const rules = nodeRules(this.plan, node, ports);
    if (this.written.get(node.name) === rules) return;
    await runOrThrow("nft", ["-f", "-"], { input: rules, inside: { net: netnsPath(node.netns) }, signal: this.signal });
    this.written.set(node.name, rules);
  }

  private async placeAddresses(ports: readonly ProxiedPort[]): Promise<void> {
    const { nodes } = this.informers;
    const isReady = (name: string) => {
      const node = nodes.objects.get(name);
      return node !== undefined && isNodeReady(node);
    };
    const names = this.plan.nodes.map(({ name }) => name);
    // An address of somebody else's making must not be taken from the underlay.
    const own = ports.map((port) => ({
      ...port,
      balancerAddresses: port.balancerAddresses.filter((address) => isLoadBalancerAddress(this.plan, address)),
    }));
    const placed = placeAddresses(own, names, isReady, this.placed);
    const moved = [...placed].flatMap(([address, name]) => (this.placed.get(address) === name ? [] : [address]));
    for (const node of this.plan.nodes) {
      const add = moved.filter((address) => placed.get(address) === node.name);
      const remove = [...this.placed].flatMap(([address, name]) =>
        name === node.name && placed.get(address) !== node.name ? [address] : [],
      );
      await setUplinkAddresses(node, { add, remove });
    }
    this.placed = placed;
    if (moved.length > 0)
      await forgetNeighbours(
        moved,
        this.plan.nodes.map(({ netns }) => netns),
      );
  }
}
