/**
 * An agent without Envoy: the real model client, replica and translation, and a stand-in that holds what Envoy would hold and
 * asks for what connections would ask for.
 */
import type { AgentConfig } from "../../src/apps/agent/config.ts";
import { trustDomainsOf } from "../../src/apps/agent/certificates.ts";
import { modelClient } from "../../src/apps/agent/model.ts";
import { followReplica } from "../../src/apps/agent/follow-model.ts";
import { emptyModel } from "../../src/apps/agent/node-view.ts";
import { sniClusterName, sniOf, trustSecretName } from "../../src/core/envoy/names.ts";
import { envoyPushOrder, envoyType } from "../../src/core/envoy/resource.ts";
import type { EnvoyResource, JsonObject, TypeUrl } from "../../src/core/envoy/resource.ts";
import { gatewayResourceSet, nodeResourceSet } from "../../src/core/envoy/resource-set.ts";
import type { ResourceSet } from "../../src/core/envoy/resource-set.ts";
import type { LocalPod, SecretSource } from "../../src/core/envoy/view.ts";
import type { MeshReplica } from "../../src/core/mesh/replica.ts";
import type { DeltaClient } from "../../src/io/xds/delta-client.ts";
import { EnvoySource } from "../../src/io/xds/envoy-source.ts";
import type { OpenStream } from "../../src/io/xds/transport.ts";
import type { Process } from "./timeline.ts";

export interface AgentOptions {
  readonly mode: "node" | "gateway";
  readonly node: string;
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly open: OpenStream;
  readonly pods: readonly LocalPod[];
  /** For planted bugs. */
  readonly wrapResources: (resources: ResourceSet) => ResourceSet;
}

type Held = Map<TypeUrl, Map<string, JsonObject>>;

export class SimAgent {
  readonly process: Process;
  readonly options: AgentOptions;
  readonly replica: MeshReplica;
  readonly client: DeltaClient;
  /** What Envoy would hold. */
  readonly held: Held = new Map(envoyPushOrder.map((type) => [type, new Map()]));
  readonly resources: ResourceSet;
  readonly podsByUid: Map<string, LocalPod>;
  /** Something changed since this was last cleared. */
  isDirty = true;
  private readonly source: EnvoySource;
  private readonly asked = new Map<string, TypeUrl>();

  constructor(process: Process, options: AgentOptions) {
    this.process = process;
    this.options = options;
    const { node, cluster, network, trustDomain, mode } = options;
    const { replica, view, podsByUid } = emptyModel({ node, cluster, network, trustDomain });
    this.replica = replica;
    this.podsByUid = podsByUid;
    for (const pod of options.pods) podsByUid.set(pod.uid, pod);
    const made =
      mode === "node"
        ? nodeResourceSet(() => view, this.secrets())
        : gatewayResourceSet(() => ({ cluster, network, replica, controlPlane: { host: "tombolod", port: 15012 } }));
    this.resources = options.wrapResources(made);
    this.source = this.startSource();
    if (mode === "node") followReplica(replica, trustDomain, this.source);
    else replica.onChange((change) => this.source.replicaChanged(change));
    replica.onChange(() => (this.isDirty = true));
    const config: AgentConfig = {
      mode,
      node,
      cluster,
      network,
      trustDomain,
      nodeIp: "192.0.2.1",
      podName: `agent-${node}`,
      podNamespace: "istio-system",
      skipTrustDomainCheck: false,
      controlPlane: "tombolod.istio-system:15012",
      captureDns: true,
      logLevel: "info",
      accessLogPath: undefined,
      drainMs: 0,
      tokenPath: "",
      rootCertPath: "",
      stateDir: "",
      cni: undefined,
    };
    const token = () => `istio-system/tombolo-agent@${node}`;
    this.client = modelClient(process, config, replica, { open: options.open, token });
    void this.client.run(new AbortController().signal);
  }

  /** A pod of the node came, changed or went. */
  setPod(uid: string, pod: LocalPod | undefined): void {
    if (pod === undefined) this.podsByUid.delete(uid);
    else this.podsByUid.set(uid, pod);
    this.source.refresh();
    this.isDirty = true;
  }

  /** Connections of one pod to one service of the mesh, as the numbers choose. */
  dial(from: number, to: number): void {
    const names = this.dialNames();
    const name = names[(from * 31 + to) % Math.max(1, names.length)];
    if (name !== undefined) this.ask(name);
  }

  dialAll(): void {
    for (const name of this.dialNames()) this.ask(name);
  }

  /** Names that were asked for once, whether there is such a thing or not. */
  demands(): Iterable<readonly [name: string, type: TypeUrl]> {
    return this.asked;
  }

  /** What the stand-in would hold had it been started now. */
  fresh(): Held {
    const fresh: Held = new Map(envoyPushOrder.map((type) => [type, new Map()]));
    const put = (one: EnvoyResource | undefined) => one && fresh.get(one.type)?.set(one.name, one.resource);
    for (const resource of this.resources.always()) put(resource);
    for (const key of this.asked.keys()) {
      const [type, name] = split(key);
      put(this.resources.onDemand(type, name));
    }
    return fresh;
  }

  private ask(name: string): void {
    const types = [envoyType.cluster, envoyType.endpoints];
    for (const type of types) {
      if (this.asked.has(`${type} ${name}`)) continue;
      this.asked.set(`${type} ${name}`, type);
      this.source.asked(type, name);
      this.take(type, [name]);
    }
    this.isDirty = true;
  }

  private dialNames(): readonly string[] {
    const services = [...this.replica.services()].sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
    if (this.options.mode === "gateway") {
      return services.flatMap(({ exportedAs }) =>
        exportedAs === undefined ? [] : [sniClusterName(sniOf(80, exportedAs))],
      );
    }
    const identities = [...new Set([...this.podsByUid.values()].map((pod) => pod.identity))].sort();
    const addresses = services.flatMap((service) => service.addresses.map(({ address }) => address));
    return identities.flatMap((identity) => addresses.map((address) => `s|${address}:80|${identity}`));
  }

  private startSource(): EnvoySource {
    const jsonByBytes = this.jsonByBytes;
    const encodeResource = (_type: string, json: object): Uint8Array => {
      // Nobody reads the bytes; only whose they are counts.
      this.encoded += 1;
      const bytes = Uint8Array.of(this.encoded, this.encoded >> 8, this.encoded >> 16, this.encoded >> 24);
      // Resources are JSON-shaped by their type.
      jsonByBytes.set(bytes, json as JsonObject);
      return bytes;
    };
    let source: EnvoySource | undefined = undefined;
    const push = {
      changed: (type: string, names: Iterable<string>) => {
        if (source !== undefined) this.take(type, names);
      },
      resend: () => undefined,
      withdraw: (type: string, names: Iterable<string>) => {
        for (const name of names) this.heldOf(type)?.delete(name);
      },
    };
    source = new EnvoySource(this.process, { encodeResource }, this.resources, push);
    const made = source;
    queueMicrotask(() => {
      for (const type of envoyPushOrder) this.take(type, made.names(type));
    });
    return source;
  }

  private encoded = 0;
  private readonly jsonByBytes = new WeakMap<Uint8Array, JsonObject>();

  private heldOf(type: string): Map<string, JsonObject> | undefined {
    // A type that is not held is simply not among the keys.
    return this.held.get(type as TypeUrl);
  }

  private take(type: string, names: Iterable<string>): void {
    const held = this.heldOf(type);
    for (const name of names) {
      const bytes = this.source.get(type, name)?.bytes;
      const json = bytes && this.jsonByBytes.get(bytes);
      if (json === undefined) held?.delete(name);
      else held?.set(name, json);
    }
    this.isDirty = true;
  }

  private secrets(): SecretSource {
    const { trustDomain } = this.options;
    return {
      certificateOf: (identity) =>
        [...this.podsByUid.values()].some((pod) => pod.identity === identity)
          ? { certificateChain: `chain of ${identity}`, privateKey: "key" }
          : undefined,
      bundlesByTrustDomain: () => new Map(trustDomainsOf(this.replica, trustDomain).map((domain) => [domain, "root"])),
    };
  }

  /** Secrets are asked for by the TLS of listeners and clusters. */
  askSecrets(): void {
    const identities = [...this.podsByUid.values()].map((pod) => pod.identity);
    for (const name of [trustSecretName, ...identities]) {
      const key = `${envoyType.secret} ${name}`;
      if (this.asked.has(key)) continue;
      this.asked.set(key, envoyType.secret);
      this.source.asked(envoyType.secret, name);
      this.take(envoyType.secret, [name]);
    }
  }
}

function split(key: string): readonly [TypeUrl, string] {
  const at = key.indexOf(" ");
  const type = envoyPushOrder.find((one) => one === key.slice(0, at));
  if (type === undefined) throw new Error(`No type in ${key}.`);
  return [type, key.slice(at + 1)];
}
