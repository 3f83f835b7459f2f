/** Conditions of ours into a list that others write too. Pure. */
import type { Condition } from "../../../core/api/kube.ts";

/** A condition as we want it; times and generations are added when it is written. */
export interface WantedCondition {
  readonly type: string;
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

export interface MergeOptions {
  /** Types that are ours: one of them that is not wanted any more is removed. Foreign types are kept as they are. */
  readonly ownTypes: readonly string[];
  readonly generation: number | undefined;
  /** RFC 3339. */
  readonly now: string;
}

/** `undefined` when the list is as wanted already. The order of what was there is kept; new ones come last. */
export function mergeConditions(
  existing: readonly Condition[],
  wanted: readonly WantedCondition[],
  { ownTypes, generation, now }: MergeOptions,
): Condition[] | undefined {
  const wantedByType = new Map(wanted.map((one) => [one.type, one]));
  const make = (one: WantedCondition, before: Condition | undefined): Condition => ({
    type: one.type,
    status: one.status,
    reason: one.reason,
    message: one.message,
    lastTransitionTime: before?.status === one.status ? before.lastTransitionTime : now,
    ...(generation !== undefined && { observedGeneration: generation }),
  });
  const merged: Condition[] = [];
  for (const before of existing) {
    const one = wantedByType.get(before.type);
    wantedByType.delete(before.type);
    if (one !== undefined) merged.push(make(one, before));
    else if (!ownTypes.includes(before.type)) merged.push(before);
  }
  for (const one of wantedByType.values()) merged.push(make(one, undefined));
  return isSame(existing, merged) ? undefined : merged;
}

const isSame = (a: readonly Condition[], b: readonly Condition[]): boolean =>
  a.length === b.length &&
  a.every((one, index) => {
    const other = b[index];
    return (
      other !== undefined &&
      one.type === other.type &&
      one.status === other.status &&
      one.reason === other.reason &&
      one.message === other.message &&
      one.lastTransitionTime === other.lastTransitionTime &&
      one.observedGeneration === other.observedGeneration
    );
  });
