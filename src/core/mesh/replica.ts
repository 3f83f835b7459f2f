/**
 * An agent's copy of the model, indexed for the questions that Envoy resources and DNS ask. It owns the rows it was
 * given and tells its listeners which rows changed, once per batch. It never derives or guesses rows.
 */
import { Postings } from "../graph/postings.ts";
import { serviceKey, type MeshService, type PortMapping, type Policy, type Workload } from "./model.ts";

/** What one batch changed. A service counts as changed when its row or any of its endpoints did. */
export interface ReplicaChange {
  /** Service keys. */
  readonly services: ReadonlySet<string>;
  /** Workload uids. */
  readonly workloads: ReadonlySet<string>;
  /** `<network>/<address>` of which the owner may have changed. */
  readonly addresses: ReadonlySet<string>;
  /** Policy keys `<namespace>/<name>`. */
  readonly policies: ReadonlySet<string>;
}

export interface Endpoint {
  readonly workload: Workload;
  readonly ports: readonly PortMapping[];
}

export const addressKey = (network: string, address: string): string => `${network}/${address}`;
export const policyKey = (policy: { readonly namespace: string; readonly name: string }): string =>
  `${policy.namespace}/${policy.name}`;

interface Pending {
  readonly services: Set<string>;
  readonly workloads: Set<string>;
  readonly addresses: Set<string>;
  readonly policies: Set<string>;
}

export class MeshReplica {
  readonly #workloadsByUid = new Map<string, Workload>();
  readonly #servicesByKey = new Map<string, MeshService>();
  readonly #policiesByKey = new Map<string, Policy>();
  readonly #uidsByAddress = new AddressIndex();
  readonly #uidsByService = new Postings();
  readonly #servicesByAddress = new AddressIndex();
  readonly #servicesByHostname = new Postings();
  readonly #servicesByExport = new Postings();
  readonly #listeners = new Set<(change: ReplicaChange) => void>();
  #pending: Pending = emptyPending();
  #batchDepth = 0;

  setWorkload(workload: Workload): void {
    const before = this.#workloadsByUid.get(workload.uid);
    if (before === workload) return;
    if (before) this.#unindexWorkload(before);
    this.#workloadsByUid.set(workload.uid, workload);
    for (const address of workload.addresses) {
      this.#uidsByAddress.add(workload.network, address, workload.uid);
    }
    for (const key of Object.keys(workload.services)) this.#uidsByService.add(key, workload.uid);
    this.#noteWorkload(workload);
    this.#settle();
  }

  removeWorkload(uid: string): void {
    const before = this.#workloadsByUid.get(uid);
    if (!before) return;
    this.#unindexWorkload(before);
    this.#workloadsByUid.delete(uid);
    this.#settle();
  }

  setService(service: MeshService): void {
    const key = serviceKey(service);
    const before = this.#servicesByKey.get(key);
    if (before === service) return;
    if (before) this.#unindexService(key, before);
    this.#servicesByKey.set(key, service);
    for (const at of service.addresses) this.#servicesByAddress.add(at.network, at.address, key);
    for (const name of [service.hostname, ...service.aliases]) this.#servicesByHostname.add(name, key);
    if (service.exportedAs !== undefined) this.#servicesByExport.add(service.exportedAs, key);
    this.#noteService(key, service);
    this.#settle();
  }

  removeService(key: string): void {
    const before = this.#servicesByKey.get(key);
    if (!before) return;
    this.#unindexService(key, before);
    this.#servicesByKey.delete(key);
    this.#settle();
  }

  setPolicy(policy: Policy): void {
    const key = policyKey(policy);
    if (this.#policiesByKey.get(key) === policy) return;
    this.#policiesByKey.set(key, policy);
    this.#pending.policies.add(key);
    this.#settle();
  }

  removePolicy(key: string): void {
    if (!this.#policiesByKey.delete(key)) return;
    this.#pending.policies.add(key);
    this.#settle();
  }

  /** Listeners hear of all that `change` does at once. */
  batch(change: () => void): void {
    this.#batchDepth += 1;
    try {
      change();
    } finally {
      this.#batchDepth -= 1;
      this.#settle();
    }
  }

  /** Returns what stops the hearing. */
  onChange(heard: (change: ReplicaChange) => void): () => void {
    this.#listeners.add(heard);
    return () => this.#listeners.delete(heard);
  }

  workload(uid: string): Workload | undefined {
    return this.#workloadsByUid.get(uid);
  }

  workloads(): Iterable<Workload> {
    return this.#workloadsByUid.values();
  }

  /** When several workloads claim one address (host network), the one with the smallest uid. */
  workloadByAddress(network: string, address: string): Workload | undefined {
    const uid = this.#uidsByAddress.first(network, address);
    return uid === undefined ? undefined : this.#workloadsByUid.get(uid);
  }

  service(key: string): MeshService | undefined {
    return this.#servicesByKey.get(key);
  }

  services(): Iterable<MeshService> {
    return this.#servicesByKey.values();
  }

  /** An address listed for the network "" is valid on every network. */
  serviceByAddress(network: string, address: string): MeshService | undefined {
    const key = this.#servicesByAddress.first(network, address) ?? this.#servicesByAddress.first("", address);
    return key === undefined ? undefined : this.#servicesByKey.get(key);
  }

  /** By hostname or alias. When several namespaces claim a name, the smallest key. */
  serviceByHostname(hostname: string): MeshService | undefined {
    return this.servicesByHostname(hostname)[0];
  }

  /** All claims of a name, by key. */
  servicesByHostname(hostname: string): readonly MeshService[] {
    return this.#rows(this.#servicesByHostname.of(hostname), this.#servicesByKey);
  }

  /** The services that this cluster exports under a global hostname. */
  servicesByExport(hostname: string): readonly MeshService[] {
    return this.#rows(this.#servicesByExport.of(hostname), this.#servicesByKey);
  }

  /** Every workload that lists the service, healthy or not, by uid. */
  endpointsOf(key: string): readonly Endpoint[] {
    return this.#rows(this.#uidsByService.of(key), this.#workloadsByUid).map((workload) => ({
      workload,
      ports: workload.services[key] ?? [],
    }));
  }

  policy(key: string): Policy | undefined {
    return this.#policiesByKey.get(key);
  }

  policies(): Iterable<Policy> {
    return this.#policiesByKey.values();
  }

  /** The mesh's, the namespace's and the workload's own policies, by key. */
  policiesFor(workload: { readonly namespace: string; readonly policies: readonly string[] }): readonly Policy[] {
    const applies = (key: string, policy: Policy): boolean =>
      policy.scope === "global" ||
      (policy.scope === "namespace" ? policy.namespace === workload.namespace : workload.policies.includes(key));
    return [...this.#policiesByKey]
      .filter(([key, policy]) => applies(key, policy))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, policy]) => policy);
  }

  #rows<T>(keys: readonly string[], rows: ReadonlyMap<string, T>): readonly T[] {
    return keys.flatMap((key) => {
      const row = rows.get(key);
      return row === undefined ? [] : [row];
    });
  }

  #unindexWorkload(workload: Workload): void {
    for (const address of workload.addresses) {
      this.#uidsByAddress.remove(workload.network, address, workload.uid);
    }
    for (const key of Object.keys(workload.services)) this.#uidsByService.remove(key, workload.uid);
    this.#noteWorkload(workload);
  }

  #noteWorkload(workload: Workload): void {
    this.#pending.workloads.add(workload.uid);
    for (const key of Object.keys(workload.services)) this.#pending.services.add(key);
    for (const address of workload.addresses) this.#pending.addresses.add(addressKey(workload.network, address));
  }

  #unindexService(key: string, service: MeshService): void {
    for (const at of service.addresses) this.#servicesByAddress.remove(at.network, at.address, key);
    for (const name of [service.hostname, ...service.aliases]) this.#servicesByHostname.remove(name, key);
    if (service.exportedAs !== undefined) this.#servicesByExport.remove(service.exportedAs, key);
    this.#noteService(key, service);
  }

  #noteService(key: string, service: MeshService): void {
    this.#pending.services.add(key);
    for (const at of service.addresses) this.#pending.addresses.add(addressKey(at.network, at.address));
  }

  #settle(): void {
    if (this.#batchDepth > 0) return;
    const change = this.#pending;
    if (change.services.size + change.workloads.size + change.policies.size === 0) return;
    this.#pending = emptyPending();
    for (const heard of this.#listeners) heard(change);
  }
}

const emptyPending = (): Pending => ({
  services: new Set(),
  workloads: new Set(),
  addresses: new Set(),
  policies: new Set(),
});

/** Keys by network and address. The two are not made one text: there are many, and rows have the addresses already. */
class AddressIndex {
  readonly #byNetwork = new Map<string, Postings>();

  add(network: string, address: string, key: string): void {
    const postings = this.#byNetwork.get(network) ?? new Postings();
    this.#byNetwork.set(network, postings);
    postings.add(address, key);
  }

  remove(network: string, address: string, key: string): void {
    const postings = this.#byNetwork.get(network);
    postings?.remove(address, key);
    if (postings?.size === 0) this.#byNetwork.delete(network);
  }

  first(network: string, address: string): string | undefined {
    return this.#byNetwork.get(network)?.of(address)[0];
  }
}
