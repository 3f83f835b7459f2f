/**
 * Writes the objects that the mesh derives: makes what is wanted, replaces what differs, deletes what is wanted no more.
 * Only objects that carry our managed-by label are ever changed; in those, edits of users do not last.
 */
import { isEqual } from "../../../core/graph/equal.ts";
import type { KubeObject, ResourceType } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { isReason } from "../../../io/kube/client.ts";
import { Reconciler } from "./reconciler.ts";
import { digestOf, isOwnAnnotation, managedByUs, type Remembered, type Specified } from "./written.ts";

export interface GeneratedOptions<T extends Specified> {
  readonly type: ResourceType<T>;
  /** By object key, as derived. */
  readonly wanted: ReadonlyMap<string, T>;
  /** By object key, as on the cluster. */
  readonly actual: ReadonlyMap<string, T & Remembered>;
  readonly failed?: (writer: string) => void;
}

export function generatedWriter<T extends Specified>(
  host: Host,
  client: KubeClient,
  options: GeneratedOptions<T>,
): Reconciler {
  const { type, wanted, actual, failed } = options;
  const reconcile = async (key: string, signal: AbortSignal): Promise<void> => {
    const want = wanted.get(key);
    const have = actual.get(key);
    // The model tells users of a name that somebody else has; once that object is gone, this is called again.
    if (have !== undefined && !managedByUs(have)) return;
    if (want === undefined) {
      if (have !== undefined) await remove(client, type, have, signal);
    } else if (have === undefined) {
      await client.create(type, ours(want), { signal });
    } else {
      const wanted = ours(want);
      if (have.digest !== undefined && have.digest === digestOf(wanted)) return;
      const { name, namespace } = have.metadata;
      // Others may have added to it what we do not remember.
      const whole = have.digest === undefined ? have : await client.get(type, { name, namespace }, { signal });
      if (!managedByUs(whole)) return;
      const next = replaced(whole, wanted);
      if (next !== undefined) await client.update(type, next, { signal });
    }
  };
  const keys = function* (): Iterable<string> {
    yield* wanted.keys();
    for (const [key, object] of actual) if (managedByUs(object) && !wanted.has(key)) yield key;
  };
  return new Reconciler(host, { name: `generated ${type.plural}`, keys, reconcile, ...(failed && { failed }) });
}

async function remove<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { metadata: { name, namespace, uid } }: T,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.delete(type, { name, namespace }, { uid, signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}

const ours = <T extends KubeObject>(object: T): T => ({
  ...object,
  metadata: { ...object.metadata, labels: { ...object.metadata.labels, [label.managedBy]: "tombolo" } },
});

/** `have` with all that is ours as wanted, or `undefined` when it is. Foreign annotations are left. */
function replaced<T extends Specified>(have: T, want: T): T | undefined {
  const foreign = Object.entries(have.metadata.annotations ?? {}).filter(([key]) => !isOwnAnnotation(key));
  const annotations = { ...Object.fromEntries(foreign), ...want.metadata.annotations };
  const isSame =
    isEqual(have.spec, want.spec) &&
    isEqual(have.metadata.labels ?? {}, want.metadata.labels ?? {}) &&
    isEqual(have.metadata.annotations ?? {}, annotations);
  if (isSame) return undefined;
  const metadata = { ...have.metadata, labels: { ...want.metadata.labels }, annotations };
  return { ...have, metadata, spec: want.spec };
}
