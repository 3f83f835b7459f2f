/**
 * The exports that one peer sent, as they are in use here: refuses what is not the peer's to say, and older generations
 * than the one in use. Tells the sink of each change; never drops a row because the peer fell silent.
 */
import type { Export } from "../../core/mesh/model.ts";
import { decodeExport } from "../../core/proto/codec.ts";
import { exportName } from "../../core/proto/wire.ts";
import type { Host } from "../host/host.ts";
import type { DeltaUpdate } from "../xds/delta-client.ts";

/**
 * A replica of the peer that lags behind catches up well within this time. If the peer still stands by an older
 * generation then, its word counts: a clock there was set back, or it was restored.
 */
const olderRefusedMs = 30_000;
/** More services than the largest Kubernetes cluster can have. */
const exportsMax = 100_000;

export interface ExportSink {
  setExport(peerKey: string, row: Export): void;
  /** `name` as `exportName` makes it. */
  removeExport(peerKey: string, name: string): void;
}

export class PeerRows {
  readonly #host: Host;
  readonly #key: string;
  readonly #sink: ExportSink;
  readonly #generationsByName = new Map<string, number>();
  readonly #cancelHeldByName = new Map<string, () => void>();

  constructor(host: Host, key: string, sink: ExportSink) {
    this.#host = host;
    this.#key = key;
    this.#sink = sink;
  }

  get size(): number {
    return this.#generationsByName.size;
  }

  /** A bad row is logged and passed over, so that it cannot hold up the others. */
  take(update: DeltaUpdate, cluster: string): void {
    for (const { name, bytes } of update.upserts) {
      const row = decodeExport(bytes);
      const problem = row.ok ? this.#problemOf(row.value, name, cluster) : row.problem;
      if (row.ok && problem === undefined) this.#offer(name, row.value);
      else this.#host.log.warn("peering.row.refused", { peer: this.#key, name, cause: problem });
    }
    for (const name of update.removals) {
      this.#letGo(name);
      if (this.#generationsByName.delete(name)) this.#sink.removeExport(this.#key, name);
    }
  }

  /** Forgets the timers; the rows in the sink are the sink's to drop. */
  close(): void {
    for (const cancel of this.#cancelHeldByName.values()) cancel();
    this.#cancelHeldByName.clear();
    this.#generationsByName.clear();
  }

  #problemOf(row: Export, name: string, cluster: string): string | undefined {
    if (row.cluster !== cluster) return `Cluster ${cluster} may not export for cluster ${row.cluster}.`;
    if (exportName(row) !== name) return `The row is named ${name} but says that it is ${exportName(row)}.`;
    if (this.size >= exportsMax && !this.#generationsByName.has(name)) return `More than ${exportsMax} exports.`;
    return undefined;
  }

  #offer(name: string, row: Export): void {
    this.#letGo(name);
    const current = this.#generationsByName.get(name);
    if (current === undefined || row.generation === 0 || row.generation >= current) return this.#accept(name, row);
    this.#host.log.warn("peering.generation.old", { peer: this.#key, name, has: current, offered: row.generation });
    const cancel = this.#host.clock.after(olderRefusedMs, () => {
      this.#cancelHeldByName.delete(name);
      this.#accept(name, row);
    });
    this.#cancelHeldByName.set(name, cancel);
  }

  #accept(name: string, row: Export): void {
    this.#generationsByName.set(name, row.generation);
    this.#sink.setExport(this.#key, row);
  }

  #letGo(name: string): void {
    this.#cancelHeldByName.get(name)?.();
    this.#cancelHeldByName.delete(name);
  }
}
