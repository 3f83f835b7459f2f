/**
 * Writes Kubernetes Events (what `kubectl describe` lists), repeated ones as a count on the first. Events are told, never
 * waited for: the recorder owns a short queue, and drops with a log line what does not fit or cannot be written.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { KubeObject } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { isReason } from "../../../io/kube/client.ts";
import { kinds, type KubeEvent } from "./kinds.ts";

/** Events remembered for counting; the longest unheard is forgotten first. */
const rememberedMax = 1_000;
const waitingMax = 500;
/** Kubernetes keeps events for an hour. */
const keptMs = 3_600_000;
const messageCharsMax = 1_024;

export type EventType = "Normal" | "Warning";

export interface EventRecorder {
  record(about: KubeObject, type: EventType, reason: string, message: string): void;
}

/** `component` is what describe shows in its column From. */
export function startEvents(host: Host, client: KubeClient, component: string, signal: AbortSignal): EventRecorder {
  return new Recorder(host, client, component, signal);
}

class Recorder implements EventRecorder {
  readonly #host: Host;
  readonly #client: KubeClient;
  readonly #component: string;
  readonly #signal: AbortSignal;
  /** By what makes two events the same; insertion order is the order of last hearing. */
  readonly #remembered = new Map<string, KubeEvent>();
  readonly #waiting = new Map<string, () => Promise<void>>();
  #isWriting = false;

  constructor(host: Host, client: KubeClient, component: string, signal: AbortSignal) {
    this.#host = host;
    this.#client = client;
    this.#component = component;
    this.#signal = signal;
  }

  record(about: KubeObject, type: EventType, reason: string, message: string): void {
    if (this.#signal.aborted) return;
    const id = [about.kind, about.metadata.uid, type, reason, message].join("|");
    const event = this.#next(id, about, { type, reason, message: message.slice(0, messageCharsMax) });
    this.#remembered.delete(id);
    this.#remembered.set(id, event);
    if (this.#remembered.size > rememberedMax) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    if (this.#waiting.size >= waitingMax && !this.#waiting.has(id)) {
      this.#host.log.warn("event.dropped", { kind: about.kind, name: about.metadata.name, reason });
      return;
    }
    this.#waiting.set(id, () => this.#write(id, event));
    if (!this.#isWriting) void this.#drain();
  }

  #next(id: string, about: KubeObject, what: Pick<KubeEvent, "type" | "reason" | "message">): KubeEvent {
    const nowText = isoSeconds(this.#host.clock.now());
    const known = this.#remembered.get(id);
    if (known !== undefined) return { ...known, count: known.count + 1, lastTimestamp: nowText };
    const { name, namespace, uid, resourceVersion } = about.metadata;
    const involved: KubeEvent["involvedObject"] = { apiVersion: about.apiVersion, kind: about.kind, name };
    if (namespace !== undefined) involved.namespace = namespace;
    if (uid !== undefined) involved.uid = uid;
    if (resourceVersion !== undefined) involved.resourceVersion = resourceVersion;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${hex(this.#host.random.bytes(8))}`, namespace: namespace ?? "default" },
      involvedObject: involved,
      ...what,
      count: 1,
      firstTimestamp: nowText,
      lastTimestamp: nowText,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: "",
    };
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    for (const [id, write] of this.#waiting) {
      this.#waiting.delete(id);
      await write();
      if (this.#signal.aborted) break;
    }
    this.#isWriting = false;
  }

  async #write(id: string, event: KubeEvent): Promise<void> {
    const { name, namespace } = event.metadata;
    const options = { signal: this.#signal };
    try {
      if (event.count > 1) {
        const body = { count: event.count, lastTimestamp: event.lastTimestamp };
        await this.#client.patch(kinds.events, { name, namespace }, { type: "merge", body }, options);
      } else await this.#client.create(kinds.events, event, options);
    } catch (error) {
      // Deleted meanwhile, or the namespace is going away: the next one of its sort starts a new count.
      this.#remembered.delete(id);
      if (this.#signal.aborted || isReason(error, "NotFound") || isReason(error, "Forbidden")) return;
      const cause = errorText(error);
      this.#host.log.warn("event.failed", { name, namespace, reason: event.reason, cause });
    }
  }
}

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Deletes events that have not been heard for an hour, each when its time has come. */
export function startEventExpiry(host: Host, client: KubeClient, signal: AbortSignal): void {
  const sweep = async (): Promise<void> => {
    const { items } = await client.list(kinds.events, { signal });
    const oldest = isoSeconds(host.clock.now() - keptMs);
    for (const { metadata, lastTimestamp } of items) {
      // Times of one form compare as text.
      if ((lastTimestamp ?? metadata.creationTimestamp ?? oldest) >= oldest) continue;
      await client.delete(kinds.events, { name: metadata.name, namespace: metadata.namespace }, { signal });
    }
  };
  const again = (): void => {
    const cancel = host.clock.after(keptMs / 6, () => {
      signal.removeEventListener("abort", cancel);
      sweep()
        .catch((error: unknown) => host.log.debug("event.sweep_failed", { cause: String(error) }))
        .finally(() => (signal.aborted ? undefined : again()));
    });
    signal.addEventListener("abort", cancel, { once: true });
  };
  if (!signal.aborted) again();
}
