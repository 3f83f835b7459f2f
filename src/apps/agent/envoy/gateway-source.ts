/** What an east-west gateway's Envoy sees over ADS: fixed listeners, and one cluster for each exported name in use. */
import { exportedPort, gatewayResources, sniCluster, sniEndpoints } from "../../../core/envoy/gateway.ts";
import { type EnvoyResource, envoyType } from "../../../core/envoy/resource.ts";
import type { GatewayView } from "../../../core/envoy/view.ts";
import type { ReplicaChange } from "../../../core/mesh/replica.ts";
import type { ResourceSource, VersionedResource } from "../../../io/xds/resource-source.ts";
import type { Encode, Push } from "./source.ts";

/** Names in use; a name is 300 bytes at most, and only exported ones are kept. */
const namesMax = 50_000;

export class GatewaySource implements ResourceSource {
  readonly #view: GatewayView;
  readonly #encode: Encode;
  readonly #fixed: readonly EnvoyResource[];
  /** Cluster name → the services behind it. */
  readonly #services = new Map<string, readonly string[]>();

  constructor(view: GatewayView, encode: Encode) {
    this.#view = view;
    this.#encode = encode;
    this.#fixed = gatewayResources(view);
  }

  names(typeUrl: string): Iterable<string> {
    return this.#fixed.filter(({ type }) => type === typeUrl).map(({ name }) => name);
  }

  isListed(typeUrl: string, name: string): boolean {
    return this.#fixed.some((one) => one.type === typeUrl && one.name === name);
  }

  get(typeUrl: string, name: string): VersionedResource | undefined {
    const resource = this.#resource(typeUrl, name);
    return resource === undefined ? undefined : this.#encode(resource);
  }

  released(typeUrl: string, name: string): void {
    if (typeUrl === envoyType.cluster) this.#services.delete(name);
  }

  /** A name that was unknown may be exported now, one that was known may lead elsewhere. */
  replicaChanged(change: ReplicaChange, push: Push): void {
    const names = [...this.#services].flatMap(([name, keys]) =>
      keys.some((key) => change.services.has(key)) ? [name] : [],
    );
    push.changed(envoyType.cluster, names);
    push.changed(envoyType.endpoints, names);
  }

  #resource(typeUrl: string, name: string): EnvoyResource | undefined {
    const fixed = this.#fixed.find((one) => one.type === typeUrl && one.name === name);
    if (fixed !== undefined) return fixed;
    if (typeUrl === envoyType.endpoints) return sniEndpoints(this.#view, name);
    if (typeUrl !== envoyType.cluster) return undefined;
    const found = exportedPort(this.#view, name);
    if (found !== undefined && this.#services.size < namesMax) this.#services.set(name, found.serviceKeys);
    return found === undefined ? undefined : sniCluster(this.#view, name);
  }
}
