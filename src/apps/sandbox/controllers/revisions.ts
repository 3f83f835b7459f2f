/**
 * The templates that a DaemonSet or StatefulSet had, kept as ControllerRevisions for `kubectl rollout history` and `undo`.
 * `planRevisions` is pure; the numbers of revisions grow, and a template that comes back gets a new number.
 */
import type { KubeObject } from "../../../core/api/kube.ts";
import type { LabelSelector, Pod, PodTemplate } from "../../../core/api/pod.ts";
import { claimRevisions } from "./claim.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { ControllerRevision } from "./kinds.ts";
import { controlledBy, isDeleting } from "./pods.ts";
import { isEqual, isSameTemplate, revisionHashLabel, templateHash } from "./template.ts";

const revisionsKeptDefault = 10;

export interface Revised extends KubeObject {
  spec: { selector: LabelSelector; template: PodTemplate; revisionHistoryLimit?: number };
}

export interface RevisionView {
  readonly owner: Revised;
  readonly revisions: readonly ControllerRevision[];
  /** Names of revisions that pods still carry. */
  readonly inUse: ReadonlySet<string>;
}

export interface RevisionPlan {
  readonly create?: ControllerRevision;
  readonly renumber?: { readonly revision: ControllerRevision; readonly number: number };
  readonly remove: readonly ControllerRevision[];
}

export const revisionName = (owner: Revised): string => `${owner.metadata.name}-${templateHash(owner.spec.template)}`;

/** The template that a revision holds, without the mark that makes its data a patch. */
export function templateIn({ data }: ControllerRevision): PodTemplate | undefined {
  const { $patch: _mark, ...template } = data?.spec?.template ?? {};
  return template.spec === undefined ? undefined : { ...template, spec: template.spec };
}

function planRevisions({ owner, revisions, inUse }: RevisionView): RevisionPlan {
  const sorted = revisions.toSorted((one, other) => one.revision - other.revision);
  const highest = sorted.at(-1)?.revision ?? 0;
  const known = sorted.findLast((revision) => {
    const template = templateIn(revision);
    return template !== undefined && isSameTemplate(template, owner.spec.template);
  });
  const kept = owner.spec.revisionHistoryLimit ?? revisionsKeptDefault;
  const old = sorted.filter((one) => one !== known && !inUse.has(one.metadata.name) && !isDeleting(one));
  const remove = old.slice(0, Math.max(0, old.length - kept));
  if (known === undefined) return { create: revisionOf(owner, highest + 1), remove };
  if (known.revision < highest) return { renumber: { revision: known, number: highest + 1 }, remove };
  return { remove };
}

function revisionOf(owner: Revised, revision: number): ControllerRevision {
  const { template } = owner.spec;
  const { "kubectl.kubernetes.io/last-applied-configuration": _applied, ...annotations } =
    owner.metadata.annotations ?? {};
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: revisionName(owner),
      namespace: owner.metadata.namespace ?? "default",
      labels: { ...template.metadata?.labels, [revisionHashLabel]: templateHash(template) },
      annotations,
      ownerReferences: [controlledBy(owner)],
    },
    // kubectl sends this back as a strategic merge patch: the mark makes it replace the whole template.
    data: { spec: { template: { ...structuredClone(template), $patch: "replace" } } },
    revision,
  };
}

/** Brings the revisions up to date; returns those there are now. */
export async function keepRevisions(
  cluster: Cluster,
  owner: Revised,
  pods: readonly Pod[],
): Promise<readonly ControllerRevision[]> {
  const mirror = cluster.mirrors.controllerRevisions;
  const revisions = await claimRevisions(cluster, owner, owner.spec.selector);
  if (isDeleting(owner) || !isNamespaceOpen(cluster, owner.metadata.namespace)) return revisions;
  const { name } = owner.metadata;
  // DaemonSets label their pods with the hash alone, StatefulSets with the whole name.
  const inUse = new Set(
    pods.flatMap(({ metadata }) => {
      const label = metadata.labels?.[revisionHashLabel];
      return label === undefined ? [] : [label, `${name}-${label}`];
    }),
  );
  const plan = planRevisions({ owner, revisions, inUse });
  if (plan.create !== undefined) await mirror.create(plan.create);
  if (plan.renumber !== undefined) {
    const { revision, number } = plan.renumber;
    await mirror.merge(revision, { revision: number });
  }
  await Promise.all(plan.remove.map((revision) => mirror.delete(revision)));
  return isEqual(plan, { remove: [] }) ? revisions : mirror.ownedBy(owner.metadata.uid);
}
