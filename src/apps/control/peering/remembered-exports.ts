/**
 * What peers exported, kept in ConfigMaps of istio-system: a control plane that starts while a peer's is away still knows
 * where the peer's services are. Written by the leader, some seconds behind; read once, at start.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { errorText } from "../../../core/api/error-text.ts";
import type { ConfigMap } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Export } from "../../../core/mesh/model.ts";
import { decodeExport, encodeExport } from "../../../core/proto/codec.ts";
import type { Host } from "../../../io/host/host.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { Reconciler } from "../writers/reconciler.ts";

const namePrefix = "tombolo-peer-";
const componentLabel = "app.kubernetes.io/component";
const component = "peer-exports";
const dataKey = "exports.gz";
/** Pods come and go all the time: a peer's rows are written at most this often. */
const writeEveryMs = 5_000;
/** A ConfigMap holds 1 MiB, and base64 takes a third more. */
const maxBytes = 700_000;
/** Of the unpacked rows, so that a bad ConfigMap cannot exhaust memory. */
const maxUnpackedBytes = 256 * 1024 * 1024;

/** Rows by cluster. Never rejects: without memory a control plane starts as if it were new. */
export async function recallExports(
  host: Host,
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Export[]>> {
  const rowsByCluster = new Map<string, readonly Export[]>();
  try {
    const labelSelector = `${componentLabel}=${component}`;
    const { items } = await client.list(builtin.configMaps, { namespace, labelSelector, signal });
    for (const { metadata, binaryData } of items) {
      if (!metadata.name.startsWith(namePrefix)) continue;
      const cluster = metadata.name.slice(namePrefix.length);
      try {
        rowsByCluster.set(cluster, unpacked(binaryData?.[dataKey] ?? "", cluster));
      } catch (error) {
        // One that somebody broke takes nothing from the others.
        host.log.warn("peering.recall", { peer: cluster, cause: errorText(error) });
      }
    }
  } catch (error) {
    const cause = errorText(error);
    host.log.warn("peering.recall", { cause });
  }
  return rowsByCluster;
}

export interface MemoryOptions {
  readonly namespace: string;
  /** Of the linked peers. */
  readonly clusters: () => readonly string[];
  readonly rowsOf: (cluster: string) => readonly Export[];
  readonly failed?: (writer: string) => void;
}

/** Keys are clusters. Touch one when its rows changed. */
export function exportMemory(host: Host, client: KubeClient, options: MemoryOptions): Reconciler {
  const { namespace, clusters, rowsOf, failed } = options;
  const written = new Map<string, { readonly data: string; readonly at: number }>();
  let term: AbortSignal | undefined;
  const reconcile = async (cluster: string, signal: AbortSignal): Promise<void> => {
    // Between two terms of ours another leader may have written something else.
    if (term !== signal) written.clear();
    term = signal;
    const before = written.get(cluster);
    // The first rows of a peer are not made to wait for the emptiness before them.
    if (before !== undefined && before.data !== nothing) {
      const waitMs = before.at + writeEveryMs - host.clock.elapsed();
      if (waitMs > 0) await host.clock.sleep(waitMs, signal);
    }
    const isLinked = clusters().includes(cluster);
    const data = isLinked ? packed(rowsOf(cluster)) : "";
    if (before?.data === data) return;
    if (!isLinked) await forget(client, namespace, cluster, signal);
    else if (data.length * 0.75 > maxBytes) host.log.warn("peering.memory.full", { peer: cluster, bytes: data.length });
    else await put(client, namespace, { cluster, data }, signal);
    written.set(cluster, { data, at: host.clock.elapsed() });
  };
  const name = "remembered exports";
  // Each key sleeps between writes, so all of them must be able to.
  return new Reconciler(host, { name, keys: clusters, reconcile, concurrency: 256, ...(failed && { failed }) });
}

async function put(
  client: KubeClient,
  namespace: string,
  { cluster, data }: { readonly cluster: string; readonly data: string },
  signal: AbortSignal,
): Promise<void> {
  const name = `${namePrefix}${cluster}`;
  const made: ConfigMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels: { [label.managedBy]: "tombolo", [componentLabel]: component } },
    binaryData: { [dataKey]: data },
  };
  const body = { binaryData: made.binaryData };
  try {
    await client.patch(builtin.configMaps, { name, namespace }, { type: "merge", body }, { signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    await client.create(builtin.configMaps, made, { signal });
  }
}

async function forget(client: KubeClient, namespace: string, cluster: string, signal: AbortSignal): Promise<void> {
  try {
    await client.delete(builtin.configMaps, { name: `${namePrefix}${cluster}`, namespace }, { signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}

const nothing = packed([]);

/** Rows one after the other, each behind its length in four bytes; gzip; base64. */
function packed(rows: readonly Export[]): string {
  const parts = rows.flatMap((row) => {
    const bytes = encodeExport(row);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return gzipSync(Buffer.concat(parts)).toString("base64");
}

/** Rows that cannot be read, or speak for another cluster, are left out. */
export function unpacked(data: string, cluster: string): readonly Export[] {
  const bytes =
    data === "" ? Buffer.alloc(0) : gunzipSync(Buffer.from(data, "base64"), { maxOutputLength: maxUnpackedBytes });
  const rows: Export[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt32BE(at);
    // No row is empty; millions of empty ones would be a bad ConfigMap's way to keep us busy.
    if (length === 0) break;
    const end = at + 4 + length;
    const row = decodeExport(bytes.subarray(at + 4, end));
    if (row.ok && row.value.cluster === cluster) rows.push(row.value);
    at = end;
  }
  return rows;
}
