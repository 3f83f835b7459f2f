/**
 * Says on a pod that Envoy refused its rules and that its gate is therefore closed, and takes that back once Envoy accepts
 * them. Owns what should stand on which pod; writes it with patience, since the API may be away.
 */
import { errorText } from "../../core/api/error-text.ts";
import { annotation } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import { podUidOfGate } from "../../core/envoy/names.ts";
import type { LocalPod } from "../../core/envoy/view.ts";
import { refusedGateText } from "../../core/mesh/refusals.ts";
import type { Host } from "../../io/host/host.ts";
import { isReason, type KubeClient } from "../../io/kube/client.ts";

/** Of Envoy's words; the rest is in the log. */
const messageMax = 1_000;
const policiesMax = 50;
const retry = { leastMs: 500, mostMs: 30_000 } as const;

export interface RefusedGatesOptions {
  readonly podsByUid: ReadonlyMap<string, LocalPod>;
  /** Keys of the policies whose rules are in the pod's gate. */
  policiesOf(pod: LocalPod): readonly string[];
  /** What stands on the pod now, perhaps from an earlier life of the agent. */
  saidOn(pod: LocalPod): string | undefined;
  readonly signal: AbortSignal;
}

interface Note {
  readonly pod: LocalPod;
  text: string | null;
}

export class RefusedGates {
  readonly #host: Host;
  readonly #client: KubeClient;
  readonly #options: RefusedGatesOptions;
  /** By pod UID: what is still to be written. */
  readonly #unwritten = new Map<string, Note>();
  readonly #closed = new Map<string, string>();
  readonly #writing = new Set<string>();

  constructor(host: Host, client: KubeClient, options: RefusedGatesOptions) {
    this.#host = host;
    this.#client = client;
    this.#options = options;
  }

  /** Envoy refused the gate of this name. */
  closed(name: string, message: string): void {
    const pod = this.#podOf(name);
    if (pod === undefined) return;
    const policies = this.#options.policiesOf(pod).slice(0, policiesMax);
    for (const uid of this.#closed.keys()) if (!this.#options.podsByUid.has(uid)) this.#closed.delete(uid);
    const text = refusedGateText({ policies, message: message.slice(0, messageMax) });
    if (this.#closed.get(pod.uid) === text) return;
    this.#closed.set(pod.uid, text);
    this.#write(pod, text);
  }

  /** Envoy has the gate of this name. */
  accepted(name: string): void {
    const pod = this.#podOf(name);
    if (pod === undefined) return;
    const wasClosed = this.#closed.delete(pod.uid);
    if (wasClosed || this.#options.saidOn(pod) !== undefined) this.#write(pod, null);
  }

  #podOf(name: string): LocalPod | undefined {
    const uid = podUidOfGate(name);
    const pod = uid === undefined ? undefined : this.#options.podsByUid.get(uid);
    if (uid !== undefined && pod === undefined) this.#closed.delete(uid);
    return pod;
  }

  #write(pod: LocalPod, text: string | null): void {
    this.#unwritten.set(pod.uid, { pod, text });
    if (this.#writing.has(pod.uid)) return;
    this.#writing.add(pod.uid);
    void this.#writeAll(pod.uid);
  }

  async #writeAll(uid: string): Promise<void> {
    const { signal } = this.#options;
    let waitMs: number = retry.leastMs;
    for (let note = this.#unwritten.get(uid); note !== undefined; note = this.#unwritten.get(uid)) {
      const { name, namespace } = note.pod;
      const body = { metadata: { uid, annotations: { [annotation.refusedPolicies]: note.text } } };
      try {
        await this.#client.patch(builtin.pods, { name, namespace }, { type: "merge", body }, { signal });
      } catch (error) {
        if (signal.aborted) return;
        // Gone, or another pod of that name.
        const isGone = isReason(error, "NotFound") || isReason(error, "Conflict") || isReason(error, "Invalid");
        if (!isGone) {
          this.#host.log.warn("gate.note", { pod: `${namespace}/${name}`, cause: errorText(error), retryMs: waitMs });
          await this.#host.clock.sleep(waitMs, signal).catch(() => undefined);
          waitMs = Math.min(waitMs * 2, retry.mostMs);
          if (signal.aborted) return;
          continue;
        }
      }
      if (this.#unwritten.get(uid) === note) this.#unwritten.delete(uid);
    }
    // Here and not when the promise has settled: what comes in between would be written by nobody.
    this.#writing.delete(uid);
  }
}
