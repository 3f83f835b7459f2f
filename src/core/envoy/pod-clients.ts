/**
 * Which clients came to which pod of the node. Each gets a filter chain of its own before its first connection reaches
 * the app, so that a changed policy cuts the connections of those that it forbids, and nobody else's.
 */
import type { PodClient } from "./names.ts";

/** Chains cost memory; clients beyond this number share one, whose connections are cut together. */
const clientsPerPodMax = 256;

const keyOf = ({ port, identity }: PodClient): string => `${port}|${identity}`;

export class PodClients {
  readonly #clientsByPod = new Map<string, Map<string, PodClient>>();
  readonly #grown = new Set<string>();

  meet(podUid: string, client: PodClient): void {
    const clients = this.#clientsByPod.get(podUid) ?? new Map<string, PodClient>();
    const key = keyOf(client);
    if (clients.has(key) || clients.size >= clientsPerPodMax) return;
    clients.set(key, client);
    this.#clientsByPod.set(podUid, clients);
    this.#grown.add(podUid);
  }

  has(podUid: string, client: PodClient): boolean {
    return this.#clientsByPod.get(podUid)?.has(keyOf(client)) === true;
  }

  of(podUid: string): Iterable<PodClient> {
    return this.#clientsByPod.get(podUid)?.values() ?? [];
  }

  /** Pods that got clients since this was asked last. */
  takeGrown(): readonly string[] {
    const grown = [...this.#grown];
    this.#grown.clear();
    return grown;
  }

  /** Forgets the clients of pods that are gone. */
  retain(pods: { has(podUid: string): boolean }): void {
    for (const podUid of this.#clientsByPod.keys()) {
      if (pods.has(podUid)) continue;
      this.#clientsByPod.delete(podUid);
      this.#grown.delete(podUid);
    }
  }
}
