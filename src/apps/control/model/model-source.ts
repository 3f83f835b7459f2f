/** The model's rows as resources of the model stream: the same for every agent, encoded when first asked for. */
import { encodePolicy, encodeService, encodeWorkload } from "../../../core/proto/codec.ts";
import { typeUrl } from "../../../core/proto/wire.ts";
import type { Collection } from "../../../core/graph/collection.ts";
import type { Graph } from "../../../core/graph/graph.ts";
import type { MeshService, Policy, Workload } from "../../../core/mesh/model.ts";
import { EncodedRows } from "../../../io/xds/encoded-rows.ts";
import type { ResourceSource, VersionedResource } from "../../../io/xds/resource-source.ts";

export interface ModelRows {
  /** By uid. */
  readonly workloads: Collection<Workload>;
  /** By uid, which no workload has. */
  readonly probes: Collection<Workload>;
  /** By `<namespace>/<hostname>`. */
  readonly services: Collection<MeshService>;
  /** By `<namespace>/<name>`. */
  readonly policies: Collection<Policy>;
}

/** Services go before workloads and policies before both, so that nothing refers to what is not there yet. */
export const modelPushOrder = [typeUrl.authorization, typeUrl.address];

export class ModelSource implements ResourceSource {
  private readonly rows: ModelRows;
  private readonly encoded = new EncodedRows();

  constructor(rows: ModelRows) {
    this.rows = rows;
  }

  *names(type: string): Iterable<string> {
    if (type === typeUrl.authorization) yield* this.rows.policies.rows.keys();
    if (type !== typeUrl.address) return;
    yield* this.rows.services.rows.keys();
    yield* this.rows.workloads.rows.keys();
    yield* this.rows.probes.rows.keys();
  }

  isListed(type: string, name: string): boolean {
    if (type === typeUrl.authorization) return this.rows.policies.rows.has(name);
    const { services, workloads, probes } = this.rows;
    return type === typeUrl.address && [services, workloads, probes].some(({ rows }) => rows.has(name));
  }

  /** Agents follow all rows of both types, and are told of every change. */
  isWhole(): boolean {
    return true;
  }

  get(type: string, name: string): VersionedResource | undefined {
    const { policies, services, workloads, probes } = this.rows;
    if (type === typeUrl.authorization) return this.resource(policies.rows.get(name), encodePolicy);
    if (type !== typeUrl.address) return undefined;
    const workload = workloads.rows.get(name) ?? probes.rows.get(name);
    return this.resource(services.rows.get(name), encodeService) ?? this.resource(workload, encodeWorkload);
  }

  private resource<Row extends object>(
    row: Row | undefined,
    encode: (row: Row) => Uint8Array,
  ): VersionedResource | undefined {
    return row === undefined ? undefined : this.encoded.resource(row, encode);
  }
}

/** Tells `changed` after each commit which resources moved. */
export function followModel(
  graph: Graph,
  rows: ModelRows,
  changed: (type: string, names: readonly string[]) => void,
): void {
  graph.watch(rows.policies, (changes) =>
    changed(
      typeUrl.authorization,
      changes.map(({ key }) => key),
    ),
  );
  graph.watch(rows.services, (changes) =>
    changed(
      typeUrl.address,
      changes.map(({ key }) => key),
    ),
  );
  for (const collection of [rows.workloads, rows.probes]) {
    graph.watch(collection, (changes) =>
      changed(
        typeUrl.address,
        changes.map(({ key }) => key),
      ),
    );
  }
}
