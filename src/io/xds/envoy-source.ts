/**
 * The encoded resources of one Envoy: keeps what the Envoy has or asked for, makes it again when the model, the pods or
 * the certificates change, and pushes only what came out different.
 */
import { chmodSync, rmSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { envoyPushOrder, envoyType, type EnvoyResource, type TypeUrl } from "../../core/envoy/resource.ts";
import type { ResourceSet } from "../../core/envoy/resource-set.ts";
import type { ReplicaChange } from "../../core/mesh/replica.ts";
import type { Host } from "../host/host.ts";
import { DeltaServer, type Rejection } from "./delta-server.ts";
import type { StreamRejection } from "./delta-stream.ts";
import { versionOf, type ResourceSource, type VersionedResource } from "./resource-source.ts";
import type { EnvoySchema } from "./schema.ts";

interface Held extends VersionedResource {
  /** To see without encoding that nothing changed. */
  readonly text: string;
}

interface Demand {
  held: Held | undefined;
  /** Streams that asked: two during a hot restart. */
  streams: number;
}

export interface EnvoyPush {
  changed(typeUrl: string, names: Iterable<string>): void;
  resend(typeUrl: string, names: Iterable<string>): void;
  withdraw(typeUrl: string, names: Iterable<string>): void;
}

/** Who hears of what is closed while Envoy refuses it (`isClosedWhenRefused`). */
export interface ClosedListener {
  closed(name: string, message: string): void;
  accepted(name: string): void;
}

/**
 * On-demand names of one type that an Envoy may have: a pod that calls thousands of addresses, or a stranger who makes up names
 * at a gateway, takes a bounded part of the memory. A cluster takes about 50 KiB.
 */
const demandsMax = 20_000;

/** What Envoy refused and therefore lost is offered again after so long, in case the refusal was of something older. */
const refusedMs = 15_000;

export type ResourceEncoder = Pick<EnvoySchema, "encodeResource">;

/** A cluster that is needed for a moment stays so long. */
const passingMs = 5_000;

export class EnvoySource implements ResourceSource {
  readonly #host: Host;
  readonly #schema: ResourceEncoder;
  readonly #resources: ResourceSet;
  readonly #push: EnvoyPush;
  readonly #alwaysByType = new Map<TypeUrl, Map<string, Held>>(envoyPushOrder.map((type) => [type, new Map()]));
  readonly #demandsByType = new Map<TypeUrl, Map<string, Demand>>(envoyPushOrder.map((type) => [type, new Map()]));

  /** Name → the text that Envoy refused and that it must not have in an older form either. */
  readonly #refused = new Map<string, string>();

  /** Set by who wants to know. */
  closedListener: ClosedListener | undefined;

  constructor(host: Host, schema: ResourceEncoder, resources: ResourceSet, push: EnvoyPush) {
    this.#host = host;
    this.#schema = schema;
    this.#resources = resources;
    this.#push = push;
    this.refresh();
  }

  names(typeUrl: string): Iterable<string> {
    return this.#always(typeUrl).keys();
  }

  isListed(typeUrl: string, name: string): boolean {
    return this.#always(typeUrl).has(name);
  }

  get(typeUrl: string, name: string): VersionedResource | undefined {
    return this.#always(typeUrl).get(name) ?? this.#demands(typeUrl).get(name)?.held;
  }

  asked(typeUrl: string, name: string): void {
    const type = envoyPushOrder.find((one) => one === typeUrl);
    if (type === undefined || this.isListed(type, name)) return;
    const demands = this.#demands(type);
    const demand = demands.get(name) ?? { held: undefined, streams: 0 };
    demand.streams += 1;
    demands.set(name, demand);
    demand.held = this.#make(this.#resources.onDemand(type, name), demand.held);
    this.#takeGrown();
    if (type === envoyType.cluster && this.#resources.isPassing(name)) {
      this.#host.clock.after(passingMs, () => this.#takeBack(type, name));
    }
  }

  /** Connections that are under way through the cluster go on. */
  #takeBack(type: TypeUrl, name: string): void {
    if (this.#demands(type).delete(name)) this.#push.changed(type, [name]);
  }

  released(typeUrl: string, name: string): void {
    const demand = this.#demands(typeUrl).get(name);
    if (!demand) return;
    demand.streams -= 1;
    if (demand.streams <= 0) this.#demands(typeUrl).delete(name);
  }

  /** On-demand Envoy clusters that Envoy holds. */
  demandedClusters(): readonly string[] {
    return [...this.#demands(envoyType.cluster).keys()];
  }

  /** Takes on-demand Envoy clusters away; Envoy asks again when a connection needs one. */
  evict(names: Iterable<string>): void {
    const demands = this.#demands(envoyType.cluster);
    const gone = [...names].filter((name) => demands.delete(name));
    if (gone.length > 0) this.#push.withdraw(envoyType.cluster, gone);
  }

  /** The pods or the certificates changed: everything is made again. */
  refresh(): void {
    this.#refreshAlways();
    this.#refreshDemands(() => true);
  }

  /** Envoy did not take these names, and says in the message which it means. */
  refused({ typeUrl, names, message }: StreamRejection): void {
    const held = this.#always(typeUrl);
    const closing = names.filter((name) => held.has(name) && this.#resources.isClosedWhenRefused(name));
    const meant = closing.filter((name) => message.includes(name));
    for (const name of meant.length > 0 ? meant : closing) {
      this.#refused.set(name, held.get(name)?.text ?? "");
      this.#tellClosed(name, message);
      this.#host.clock.after(refusedMs, () => {
        if (this.#refused.delete(name)) this.#refreshAlways();
      });
    }
    if (closing.length > 0) this.#refreshAlways();
  }

  /** Envoy took these names. */
  accepted(names: readonly string[]): void {
    for (const name of names) if (this.#resources.isClosedWhenRefused(name)) this.closedListener?.accepted(name);
  }

  #tellClosed(name: string, message: string): void {
    this.#host.log.error("envoy.closed", { name, hint: "Envoy refused it; until it changes, nobody passes." });
    this.closedListener?.closed(name, message);
  }

  #isRefused({ name, resource }: EnvoyResource): boolean {
    const text = this.#refused.get(name);
    if (text === undefined) return false;
    if (text === JSON.stringify(resource)) return true;
    this.#refused.delete(name);
    return false;
  }

  /** For `MeshReplica.onChange`. */
  replicaChanged(change: ReplicaChange): void {
    if (this.#resources.isAlwaysAffected(change)) this.#refreshAlways();
    this.#refreshDemands((name) => this.#resources.isAffected(name, change));
  }

  #refreshAlways(): void {
    const wanted = this.#resources.always();
    const namesByType = new Map<TypeUrl, Set<string>>(envoyPushOrder.map((type) => [type, new Set()]));
    const changedByType = new Map<TypeUrl, string[]>();
    const note = (type: TypeUrl, name: string) => {
      changedByType.set(type, [...(changedByType.get(type) ?? []), name]);
    };
    for (const resource of wanted) {
      const { type, name } = resource;
      if (this.#isRefused(resource)) continue;
      const before = this.#always(type).get(name);
      const after = this.#make(resource, before);
      if (!after) continue;
      namesByType.get(type)?.add(name);
      if (after === before) continue;
      this.#always(type).set(name, after);
      note(type, name);
    }
    for (const [type, held] of this.#alwaysByType) {
      for (const name of held.keys()) {
        if (namesByType.get(type)?.has(name) === true) continue;
        held.delete(name);
        note(type, name);
      }
    }
    for (const [type, names] of changedByType) this.#push.changed(type, names);
  }

  /** What was asked for changed something else: only that is made again. */
  #takeGrown(): void {
    for (const resource of this.#resources.takeGrown()) {
      const { type, name } = resource;
      const held = this.#always(type);
      const before = held.get(name);
      if (before === undefined || this.#isRefused(resource)) continue;
      const after = this.#make(resource, before);
      if (!after || after === before) continue;
      held.set(name, after);
      this.#push.changed(type, [name]);
    }
  }

  #refreshDemands(isAffected: (name: string) => boolean): void {
    for (const [type, demands] of this.#demandsByType) {
      const changed: string[] = [];
      const updated: string[] = [];
      for (const [name, demand] of demands) {
        if (!isAffected(name)) continue;
        const before = demand.held;
        demand.held = this.#make(this.#resources.onDemand(type, name), before);
        if (demand.held === before) continue;
        changed.push(name);
        if (before && demand.held) updated.push(name);
      }
      if (changed.length > 0) this.#push.changed(type, changed);
      // Envoy keeps the updated cluster waiting until its endpoints come once more.
      if (type === envoyType.cluster && updated.length > 0) this.#push.resend(envoyType.endpoints, updated);
    }
    this.#takeGrown();
  }

  /**
   * The same object when nothing changed. A resource that does not fit the schema keeps its last good form, unless it is
   * better gone.
   */
  #make(made: EnvoyResource | undefined, before: Held | undefined): Held | undefined {
    if (!made) return undefined;
    const text = JSON.stringify(made.resource);
    if (before?.text === text) return before;
    try {
      const bytes = this.#schema.encodeResource(made.type, made.resource);
      return { text: made.type === envoyType.secret ? "" : text, version: versionOf(bytes), bytes };
    } catch (cause) {
      this.#host.log.error("envoy.resource", { name: made.name, cause: String(cause) });
      if (!this.#resources.isClosedWhenRefused(made.name)) return before;
      this.#tellClosed(made.name, String(cause));
      return undefined;
    }
  }

  #always(typeUrl: string): Map<string, Held> {
    return this.#alwaysByType.get(knownType(typeUrl)) ?? new Map();
  }

  #demands(typeUrl: string): Map<string, Demand> {
    return this.#demandsByType.get(knownType(typeUrl)) ?? new Map();
  }
}

// A type that we do not make is simply not among the keys of the maps above.
const knownType = (typeUrl: string): TypeUrl => typeUrl as TypeUrl;

export interface EnvoyServerOptions {
  readonly socketPath: string;
  readonly resources: ResourceSet;
  rejected?(rejection: Rejection): void;
  connected?(nodeId: string): void;
}

export interface EnvoyServer {
  readonly source: EnvoySource;
  readonly streams: DeltaServer;
  close(): void;
}

/** Serves one Envoy over a unix socket that only this user can open. */
export async function serveEnvoy(host: Host, schema: EnvoySchema, options: EnvoyServerOptions): Promise<EnvoyServer> {
  const { socketPath, resources } = options;
  const streams = new DeltaServer(host, {
    pushOrder: envoyPushOrder,
    namesMax: demandsMax,
    open: (peer) => {
      options.connected?.(peer.node.id);
      return source;
    },
    accepted: (_typeUrl, names) => source.accepted(names),
    rejected: (rejection) => {
      source.refused(rejection);
      options.rejected?.(rejection);
    },
  });
  const source = new EnvoySource(host, schema, resources, streams);
  const server = new grpc.Server();
  streams.addTo(server);
  rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, grpc.ServerCredentials.createInsecure(), (cause) =>
      cause ? reject(cause) : resolve(),
    );
  });
  chmodSync(socketPath, 0o600);
  return {
    source,
    streams,
    close: () => {
      streams.endStreams();
      server.forceShutdown();
      rmSync(socketPath, { force: true });
    },
  };
}
