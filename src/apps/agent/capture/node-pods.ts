/**
 * Keeps the captor told which pods of the node belong to the mesh, from the API's pods and namespaces and from what the
 * CNI plugin announces. Owns the announcements; forgets them with their pods.
 */
import type { Namespace } from "../../../core/api/kube.ts";
import { annotation } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { LocalPod } from "../../../core/envoy/view.ts";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { type Informer, startInformer } from "../../../io/kube/informer.ts";
import type { Announcement } from "../cni/request.ts";
import type { AnnouncementHandlers } from "../cni/requests.ts";
import type { Captor } from "./captor.ts";
import { findNetns } from "./netns.ts";
import { isInMesh, type WantedPod, wantedPod } from "./wanted.ts";

/** So long an announced pod is waited for until the API shows it; then the CNI plugin must ask again. */
const shownMsMax = 2_000;
const shownPollMs = 10;
/** Announcements of pods that never show up. */
const announcementsMax = 1_000;

export class NodePods implements AnnouncementHandlers {
  readonly #host: Host;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #announced = new Map<string, Announcement>();
  readonly synced: Promise<void>;
  #isSynced = false;
  /** Set once: the captor needs `netnsOf` and this needs the captor. */
  #captor: Captor | undefined;

  constructor(host: Host, client: KubeClient, options: { node: string; signal: AbortSignal }) {
    const { node, signal } = options;
    this.#host = host;
    this.#pods = startInformer(host, client, builtin.pods, { fieldSelector: `spec.nodeName=${node}`, signal });
    this.#namespaces = startInformer(host, client, builtin.namespaces, { signal });
    this.synced = Promise.all([this.#pods.synced, this.#namespaces.synced]).then(() => {
      this.#isSynced = true;
    });
    // Whoever does not wait for the caches must not see their end as a crash.
    this.synced.catch(() => undefined);
  }

  /**
   * Begins to tell the captor, once both caches are filled: a missing namespace must not look like a missing label.
   * `modelSynced`: before the model is there, pods would be sent past the mesh, since no address is known to be in it.
   */
  async run(captor: Captor, modelSynced: Promise<void>, signal: AbortSignal): Promise<void> {
    // The caches and the model may both never be filled; an agent that ends then captures nobody.
    await Promise.all([this.synced, modelSynced]).catch(() => undefined);
    if (signal.aborted) return;
    this.#captor = captor;
    this.#pods.onChange((changes) => {
      for (const { before, after } of changes) {
        if (after === undefined && before?.metadata.uid !== undefined) this.#announced.delete(before.metadata.uid);
      }
      this.#tell();
    });
    this.#namespaces.onChange(() => this.#tell());
    this.#tell();
  }

  netnsOf(uid: string): string | undefined {
    return this.#announced.get(uid)?.netns ?? findNetns(new Set([uid])).get(uid);
  }

  /** Of the pod as the API last showed it. */
  annotationOf({ namespace, name, uid }: LocalPod, key: string): string | undefined {
    const pod = this.#pods.objects.get(`${namespace}/${name}`);
    return pod?.metadata.uid === uid ? pod.metadata.annotations?.[key] : undefined;
  }

  async added(announcement: Announcement, signal: AbortSignal): Promise<boolean> {
    if (this.#announced.size >= announcementsMax) this.#announced.clear();
    this.#announced.set(announcement.uid, announcement);
    const pod = await this.#shown(announcement, signal);
    const name = `${announcement.namespace}/${announcement.name}`;
    if (pod === undefined) throw new Error(`The API server does not show pod ${name} to the agent yet; ask again.`);
    if (!isInMesh(pod, this.#namespaceOf(pod))) return false;
    const captor = await this.#captorWhenReady(signal);
    if (captor === undefined) {
      throw new Error(`Pod ${name} belongs to the mesh, whose model has not reached this node yet; ask again.`);
    }
    this.#tell();
    const isCaptured = await captor.captured(announcement.uid, signal);
    if (signal.aborted)
      throw new Error(`Pod ${name} belongs to the mesh and is not captured yet; see the agent's log.`);
    return isCaptured;
  }

  async #captorWhenReady(signal: AbortSignal): Promise<Captor | undefined> {
    while (this.#captor === undefined && !signal.aborted) {
      await this.#host.clock.sleep(shownPollMs, signal).catch(() => undefined);
    }
    return this.#captor;
  }

  removed(uid: string): void {
    this.#announced.delete(uid);
  }

  async #shown({ uid, namespace, name }: Announcement, signal: AbortSignal): Promise<Pod | undefined> {
    const end = this.#host.clock.elapsed() + shownMsMax;
    while (!signal.aborted) {
      const pod = this.#pods.objects.get(`${namespace}/${name}`);
      if (pod?.metadata.uid === uid && this.#isSynced) return pod;
      if (this.#host.clock.elapsed() > end) return undefined;
      await this.#host.clock.sleep(shownPollMs, signal).catch(() => undefined);
    }
    return undefined;
  }

  #namespaceOf(pod: Pod): Namespace | undefined {
    return this.#namespaces.objects.get(pod.metadata.namespace ?? "");
  }

  #tell(): void {
    const wanted = new Map<string, WantedPod>();
    for (const pod of this.#pods.objects.values()) {
      const announced = this.#announced.get(pod.metadata.uid ?? "");
      const found = wantedPod(pod, this.#namespaceOf(pod), annotation.redirection, announced);
      if (found !== undefined) wanted.set(found.uid, found);
    }
    this.#captor?.want(wanted);
  }
}
