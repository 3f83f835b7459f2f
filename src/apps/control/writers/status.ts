/**
 * Writes status: conditions, merged with those of others, and fields that are only ours. The object's revision goes with
 * each write, so that a list of conditions never overwrites a newer one.
 */
import { isEqual } from "../../../core/graph/equal.ts";
import type { Condition, KubeObject, ResourceType } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { isReason } from "../../../io/kube/client.ts";
import { mergeConditions } from "./merge-conditions.ts";
import type { WantedCondition } from "./merge-conditions.ts";
import { Reconciler } from "./reconciler.ts";

export interface WantedStatusOf {
  readonly conditions: readonly WantedCondition[];
  /** Other fields of the status that are ours; an absent value removes the field. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface StatusOptions<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly actual: ReadonlyMap<string, T>;
  /** `undefined` when nothing can be said about the object as it is now. */
  readonly wanted: (key: string, object: T) => WantedStatusOf | undefined;
  readonly ownTypes: readonly string[];
  readonly failed?: (writer: string) => void;
}

export function statusWriter<T extends KubeObject & { status?: object }>(
  host: Host,
  client: KubeClient,
  options: StatusOptions<T>,
): Reconciler {
  const { type, actual, wanted, ownTypes, failed } = options;
  const reconcile = async (key: string, signal: AbortSignal): Promise<void> => {
    const object = actual.get(key);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
    const want = wanted(key, object);
    if (want === undefined) return;
    const now = isoSeconds(host.clock.now());
    const status = statusPatch(object, want, { ownTypes, now });
    if (status === undefined) return;
    await patchStatus(client, type, object, status, signal);
  };
  return new Reconciler(host, {
    name: `status of ${type.plural}`,
    keys: () => actual.keys(),
    reconcile,
    ...(failed && { failed }),
  });
}

/** A merge patch of the status, or `undefined` when it is as wanted. */
export function statusPatch(
  object: KubeObject & { status?: object },
  wanted: WantedStatusOf,
  { ownTypes, now }: { readonly ownTypes: readonly string[]; readonly now: string },
): Record<string, unknown> | undefined {
  // A status is a record of fields; its conditions are checked by the schema of the kind.
  const before = (object.status ?? {}) as { conditions?: Condition[] } & Record<string, unknown>;
  const { generation } = object.metadata;
  const conditions = mergeConditions(before.conditions ?? [], wanted.conditions, { ownTypes, generation, now });
  const patch: Record<string, unknown> = {};
  if (conditions !== undefined) patch["conditions"] = conditions;
  for (const [field, value] of Object.entries(wanted.fields)) {
    if (!isEqual(before[field], value)) patch[field] = value ?? null;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

export async function patchStatus<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { metadata: { name, namespace, resourceVersion } }: T,
  status: unknown,
  signal: AbortSignal,
): Promise<void> {
  const body = { metadata: { resourceVersion }, status };
  try {
    await client.patch(type, { name, namespace }, { type: "merge", body }, { subresource: "status", signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}
