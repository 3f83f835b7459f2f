/** Writes one pod's status: the newest facts only, one write at a time, nothing when nothing changed. */
import { isDeepStrictEqual } from "node:util";
import { errorText } from "../../../core/api/error-text.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { statusOf } from "./pod-status.ts";
import type { PodFacts, PodStatus } from "./pod-status.ts";

type Facts = () => Omit<PodFacts, "nowText" | "startTime">;

const retryMs = 500;

export class StatusWriter {
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly pod: () => Pod;
  private readonly startTime: string;
  private readonly stopping = new AbortController();
  private written: PodStatus | undefined;
  private wanted: Facts | undefined;
  private writing: Promise<void> | undefined;

  constructor(host: Host, client: KubeClient, pod: () => Pod) {
    this.host = host;
    this.client = client;
    this.pod = pod;
    this.startTime = isoSeconds(host.clock.now());
  }

  write(facts: Facts): void {
    this.wanted = facts;
    if (this.stopping.signal.aborted) return;
    this.writing ??= this.drain().finally(() => {
      this.writing = undefined;
    });
  }

  async flush(): Promise<void> {
    await this.writing;
  }

  stop(): void {
    this.stopping.abort(new Error("The pod is gone."));
  }

  private async drain(): Promise<void> {
    // Several changes of one moment become one write.
    await Promise.resolve();
    while (this.wanted !== undefined && !this.stopping.signal.aborted) {
      const facts = this.wanted;
      this.wanted = undefined;
      const status = this.statusNow(facts);
      if (isDeepStrictEqual(status, this.written)) continue;
      try {
        await this.patch(status);
        this.written = status;
      } catch (error) {
        if (isReason(error, "NotFound") || isReason(error, "Conflict")) return;
        this.wanted ??= facts;
        const cause = errorText(error);
        this.host.log.warn("pod.status_failed", { pod: this.pod().metadata.name, cause });
        await this.host.clock.sleep(retryMs, this.stopping.signal).catch(() => undefined);
      }
    }
  }

  private statusNow(facts: Facts): PodStatus {
    const seen = this.pod().status;
    // The informer may lag behind our own write; other writers' conditions come from it.
    const own = new Map((this.written?.conditions ?? []).map((condition) => [condition.type, condition]));
    const conditions = (seen?.conditions ?? []).map((condition) => own.get(condition.type) ?? condition);
    const unseen = [...own.values()].filter(({ type }) => !conditions.some((condition) => condition.type === type));
    const before: PodStatus = { ...seen, conditions: [...conditions, ...unseen] };
    const nowText = isoSeconds(this.host.clock.now());
    return statusOf(this.pod(), { ...facts(), nowText, startTime: this.startTime }, before);
  }

  private async patch(status: PodStatus): Promise<void> {
    const { name, namespace, uid } = this.pod().metadata;
    const ref = { name, namespace };
    // Lists are replaced as a whole, so that a container's old state never lingers beside the new one.
    const body = { metadata: { uid }, status };
    await this.client.patch(
      builtin.pods,
      ref,
      { type: "merge", body },
      { subresource: "status", fieldManager: "kubelet" },
    );
  }
}
