/**
 * How a Deployment moves its pods from old templates to the new one: which ReplicaSet to make, and how many replicas each
 * gets next. Pure; one call is one step, and the next change of a ReplicaSet leads to the next call.
 */
import type { RolledDeployment, CountedReplicaSet } from "./kinds.ts";
import { controlledBy } from "./pods.ts";
import { hashLabel, isSameTemplate, templateHash } from "./template.ts";

export const rolloutAnnotation = {
  revision: "deployment.kubernetes.io/revision",
  desired: "deployment.kubernetes.io/desired-replicas",
  max: "deployment.kubernetes.io/max-replicas",
} as const;

const revisionsKeptDefault = 10;

export interface RolloutView {
  readonly deployment: RolledDeployment;
  /** All that it owns. */
  readonly sets: readonly CountedReplicaSet[];
  /** Whether pods of old ReplicaSets still exist, on their way out included (for Recreate). */
  readonly hasOldPods: boolean;
}

export interface SetChange {
  readonly set: CountedReplicaSet;
  readonly replicas: number;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RolloutStep {
  readonly create?: CountedReplicaSet;
  readonly changes: readonly SetChange[];
  readonly remove: readonly CountedReplicaSet[];
  /** Of the template in force; absent while its ReplicaSet does not exist. */
  readonly revision?: string;
}

const nothing: RolloutStep = { changes: [], remove: [] };

export const replicasOf = (object: { readonly spec: { readonly replicas?: number } }): number =>
  object.spec.replicas ?? 1;
const availableOf = (set: CountedReplicaSet): number => Math.min(set.status?.availableReplicas ?? 0, replicasOf(set));
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
const revisionOf = (set: CountedReplicaSet): number =>
  Number(set.metadata.annotations?.[rolloutAnnotation.revision] ?? 0) || 0;

const oldestFirst = (one: CountedReplicaSet, other: CountedReplicaSet): number =>
  compareText(one.metadata.creationTimestamp ?? "", other.metadata.creationTimestamp ?? "") ||
  revisionOf(one) - revisionOf(other) ||
  compareText(one.metadata.name, other.metadata.name);
const compareText = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

/** The ReplicaSet of the template in force; of several the oldest, so that every call chooses the same. */
export const freshSet = ({ deployment, sets }: Omit<RolloutView, "hasOldPods">): CountedReplicaSet | undefined =>
  [...sets].sort(oldestFirst).find(({ spec }) => isSameTemplate(spec.template, deployment.spec.template));

/** Pods above and below the wanted number that a rolling update may have; never both 0, or nothing could move. */
export function rolloutBounds({ spec }: RolledDeployment): { readonly surge: number; readonly unavailable: number } {
  if (spec.strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const replicas = spec.replicas ?? 1;
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec.strategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(replicas, countOf(maxUnavailable, replicas, Math.floor));
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

export function countOf(value: number | string, whole: number, round: (count: number) => number): number {
  if (typeof value === "number") return value;
  const percent = Number(value.replace(/%$/, ""));
  return Number.isFinite(percent) ? round((percent * whole) / 100) : 0;
}

export function nextStep(view: RolloutView): RolloutStep {
  const { deployment, sets } = view;
  const fresh = freshSet(view);
  const old = sets.filter((set) => set !== fresh).sort(oldestFirst);
  const named = fresh === undefined ? nothing : { ...nothing, revision: String(nextRevision(sets, fresh)) };
  if (deployment.spec.paused === true || isScaled(view)) {
    return { ...named, changes: rescale(view, fresh, old) };
  }
  const step = deployment.spec.strategy?.type === "Recreate" ? recreate(view, fresh, old) : roll(view, fresh, old);
  const isSettled = step.create === undefined && step.changes.length === 0 && fresh !== undefined;
  return { ...named, ...step, remove: isSettled && isComplete(view, fresh) ? expired(deployment, old) : [] };
}

/** A template that is in force again (rollout undo) becomes the newest revision. */
function nextRevision(sets: readonly CountedReplicaSet[], fresh: CountedReplicaSet | undefined): number {
  const newestOther = Math.max(0, ...sets.filter((set) => set !== fresh).map(revisionOf));
  return Math.max(newestOther + 1, fresh === undefined ? 0 : revisionOf(fresh));
}

function isComplete({ deployment, sets }: RolloutView, fresh: CountedReplicaSet): boolean {
  const wanted = replicasOf(deployment);
  const counted = sum(sets.map((set) => set.status?.replicas ?? 0));
  return (fresh.status?.replicas ?? 0) === wanted && counted === wanted && availableOf(fresh) === wanted;
}

/** The replicas of the Deployment were changed since its ReplicaSets were last sized. */
const isScaled = ({ deployment, sets }: RolloutView): boolean =>
  sets.some((set) => {
    const desired = set.metadata.annotations?.[rolloutAnnotation.desired];
    return replicasOf(set) > 0 && desired !== undefined && Number(desired) !== replicasOf(deployment);
  });

function sized(view: RolloutView, set: CountedReplicaSet, replicas: number, isFresh: boolean): readonly SetChange[] {
  const { deployment, sets } = view;
  const annotations: Record<string, string> = {
    ...sizeAnnotations(deployment),
    ...(isFresh ? { [rolloutAnnotation.revision]: String(nextRevision(sets, set)) } : {}),
  };
  const isSame =
    (!isFresh || (set.spec.minReadySeconds ?? 0) === (deployment.spec.minReadySeconds ?? 0)) &&
    Object.entries(annotations).every(([name, value]) => set.metadata.annotations?.[name] === value);
  return isSame && replicasOf(set) === replicas ? [] : [{ set, replicas, annotations }];
}

const sizeAnnotations = (deployment: RolledDeployment): Record<string, string> => ({
  [rolloutAnnotation.desired]: String(replicasOf(deployment)),
  [rolloutAnnotation.max]: String(replicasOf(deployment) + rolloutBounds(deployment).surge),
});

function createSet({ deployment, sets }: RolloutView, replicas: number): CountedReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? "default",
      labels,
      annotations: {
        ...inheritedAnnotations(deployment),
        ...sizeAnnotations(deployment),
        [rolloutAnnotation.revision]: String(nextRevision(sets, undefined)),
      },
      ownerReferences: [controlledBy(deployment)],
    },
    spec: {
      replicas,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
    },
  };
}

const notInherited: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  ...Object.values(rolloutAnnotation),
]);
const inheritedAnnotations = ({ metadata }: RolledDeployment): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([name]) => !notInherited.has(name)));

function recreate(
  view: RolloutView,
  fresh: CountedReplicaSet | undefined,
  old: readonly CountedReplicaSet[],
): RolloutStep {
  const stopping = old.filter((set) => replicasOf(set) > 0).flatMap((set) => sized(view, set, 0, false));
  if (stopping.length > 0) return { ...nothing, changes: stopping };
  if (view.hasOldPods) return nothing;
  const wanted = replicasOf(view.deployment);
  if (fresh === undefined) return { ...nothing, create: createSet(view, wanted) };
  return { ...nothing, changes: sized(view, fresh, wanted, true) };
}

function roll(view: RolloutView, fresh: CountedReplicaSet | undefined, old: readonly CountedReplicaSet[]): RolloutStep {
  const wanted = replicasOf(view.deployment);
  const { surge, unavailable } = rolloutBounds(view.deployment);
  const total = sum(view.sets.map(replicasOf));
  const current = fresh === undefined ? 0 : replicasOf(fresh);
  const room = Math.max(0, wanted + surge - total);
  const freshReplicas = current > wanted ? wanted : current + Math.min(room, wanted - current);
  if (fresh === undefined) return { ...nothing, create: createSet(view, freshReplicas) };
  const grown = sized(view, fresh, freshReplicas, true);
  if (grown.length > 0) return { ...nothing, changes: grown };

  const least = wanted - unavailable;
  const mayGo = total - least - (current - availableOf(fresh));
  if (mayGo <= 0) return nothing;
  const left = new Map(old.map((set) => [set, replicasOf(set)]));
  // Old pods that do not serve go first: taking them away costs nothing.
  const take = (budget: number, limitOf: (set: CountedReplicaSet) => number): void => {
    let rest = budget;
    for (const set of old) {
      const count = Math.max(0, Math.min(rest, limitOf(set), left.get(set) ?? 0));
      left.set(set, (left.get(set) ?? 0) - count);
      rest -= count;
    }
  };
  take(mayGo, (set) => replicasOf(set) - availableOf(set));
  const gone = sum(old.map((set) => replicasOf(set) - (left.get(set) ?? 0)));
  const spare = sum(view.sets.map(availableOf)) - least;
  take(Math.min(mayGo - gone, spare), replicasOf);
  const shrunk = old.filter((set) => left.get(set) !== replicasOf(set));
  return { ...nothing, changes: shrunk.flatMap((set) => sized(view, set, left.get(set) ?? 0, false)) };
}

/** After a change of the Deployment's replicas: in the middle of a rollout every ReplicaSet gets its share. */
function rescale(
  view: RolloutView,
  fresh: CountedReplicaSet | undefined,
  old: readonly CountedReplicaSet[],
): readonly SetChange[] {
  const wanted = replicasOf(view.deployment);
  const active = view.sets.filter((set) => replicasOf(set) > 0);
  const only = active.length <= 1 ? (active[0] ?? fresh ?? old.at(-1)) : undefined;
  if (only !== undefined) return sized(view, only, wanted, only === fresh);
  if (fresh !== undefined && replicasOf(fresh) === wanted && availableOf(fresh) === wanted) {
    return [
      ...sized(view, fresh, wanted, true),
      ...old.filter((set) => replicasOf(set) > 0).flatMap((set) => sized(view, set, 0, false)),
    ];
  }
  const shares = proportions(view, active);
  return active.flatMap((set) => sized(view, set, shares.get(set) ?? 0, set === fresh));
}

function proportions(view: RolloutView, active: readonly CountedReplicaSet[]): Map<CountedReplicaSet, number> {
  const { deployment } = view;
  const wanted = replicasOf(deployment);
  const allowed = wanted > 0 ? wanted + rolloutBounds(deployment).surge : 0;
  const total = sum(active.map(replicasOf));
  let rest = allowed - total;
  const sign = rest < 0 ? -1 : 1;
  // The largest first, so that the remainder of the rounding falls where it is felt least.
  const ordered = [...active].sort(
    (one, other) => replicasOf(other) - replicasOf(one) || -sign * oldestFirst(one, other),
  );
  const shares = new Map(ordered.map((set) => [set, replicasOf(set)]));
  for (const set of ordered) {
    const share = Math.round((replicasOf(set) * allowed) / total) - replicasOf(set);
    const part = sign * Math.max(0, Math.min(Math.abs(rest), sign * share));
    shares.set(set, replicasOf(set) + part);
    rest -= part;
  }
  const largest = ordered[0];
  if (largest !== undefined) shares.set(largest, Math.max(0, (shares.get(largest) ?? 0) + rest));
  return shares;
}

function expired(deployment: RolledDeployment, old: readonly CountedReplicaSet[]): readonly CountedReplicaSet[] {
  const kept = deployment.spec.revisionHistoryLimit ?? revisionsKeptDefault;
  const empty = old.filter(
    (set) =>
      replicasOf(set) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0) &&
      set.metadata.deletionTimestamp === undefined,
  );
  return empty.sort((one, other) => revisionOf(one) - revisionOf(other)).slice(0, Math.max(0, old.length - kept));
}
