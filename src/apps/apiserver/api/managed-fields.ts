/** Who owns which field of an object: `metadata.managedFields`, kept true on every write (A31, A32, A35). Pure. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import type { Collecting, FieldSet } from "./field-set.ts";
import {
  changedPaths,
  difference,
  emptySet,
  fieldSetOf,
  formatFieldSet,
  isEmptySet,
  isEqualSet,
  parseFieldSet,
  union,
} from "./field-set.ts";
import { fieldsOf, isFields, listOf, textOf } from "./json.ts";
import { rootSchema } from "./schema-walk.ts";

export interface Identity {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}

export interface Manager extends Identity {
  readonly time: string;
  readonly fields: FieldSet;
}

export const isSameIdentity = (a: Identity, b: Identity): boolean =>
  a.manager === b.manager &&
  a.operation === b.operation &&
  a.subresource === b.subresource &&
  (a.operation === "Apply" || a.apiVersion === b.apiVersion);

/** Undefined when tracking is to begin anew: `[]` or `[{}]` in a write says so. */
export function parseManagers(raw: unknown): readonly Manager[] | undefined {
  const entries = listOf(raw);
  if (raw !== undefined && entries.every((entry) => Object.keys(fieldsOf(entry)).length === 0)) return undefined;
  return entries.filter(isFields).map((entry) => ({
    manager: textOf(entry["manager"]) ?? "",
    operation: entry["operation"] === "Apply" ? "Apply" : "Update",
    apiVersion: textOf(entry["apiVersion"]) ?? "",
    subresource: textOf(entry["subresource"]) || undefined,
    time: textOf(entry["time"]) ?? "",
    fields: parseFieldSet(entry["fieldsV1"]),
  }));
}

const orderOf = (manager: Manager): string =>
  [manager.operation, manager.time, manager.manager, manager.apiVersion, manager.subresource ?? ""].join("\n");

export function formatManagers(managers: readonly Manager[]): unknown[] {
  const keyed = managers
    .filter((manager) => !isEmptySet(manager.fields))
    .map((manager) => ({ order: orderOf(manager), manager }));
  keyed.sort((a, b) => (a.order < b.order ? -1 : 1));
  return keyed.map(({ manager }) => ({
    manager: manager.manager,
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(manager.time === "" ? {} : { time: manager.time }),
    fieldsType: "FieldsV1",
    fieldsV1: formatFieldSet(manager.fields),
    ...(manager.subresource === undefined ? {} : { subresource: manager.subresource }),
  }));
}

/** Parts of built-in objects that exist before anyone writes them, so that nobody owns them. */
const bareInBuiltins = new Set([
  "spec",
  "status",
  "spec.strategy",
  "spec.updateStrategy",
  "spec.containers",
  "spec.template",
  "spec.template.metadata",
  "spec.template.spec",
  "spec.template.spec.containers",
  "spec.jobTemplate",
  "spec.jobTemplate.metadata",
  "spec.jobTemplate.spec",
  "spec.jobTemplate.spec.template",
  "spec.jobTemplate.spec.template.metadata",
  "spec.jobTemplate.spec.template.spec",
  "spec.jobTemplate.spec.template.spec.containers",
  "spec.names",
  "spec.podSelector",
]);

const neverOwned = [
  "name",
  "namespace",
  "generateName",
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "generation",
  "managedFields",
  "selfLink",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
];

/** The part of a set that a write to `subresource` may own (A32). */
export function ownable(set: FieldSet, kind: Kind, subresource: string | undefined): FieldSet {
  const below = new Map(set.below);
  below.delete("f:apiVersion");
  below.delete("f:kind");
  if (subresource === "status") {
    const status = below.get("f:status");
    return { isMember: false, below: new Map(status === undefined ? [] : [["f:status", status]]) };
  }
  if (kind.subresources.includes("status")) below.delete("f:status");
  const metadata = below.get("f:metadata");
  if (metadata !== undefined) {
    const kept = new Map(metadata.below);
    for (const name of neverOwned) kept.delete(`f:${name}`);
    if (kept.size === 0) below.delete("f:metadata");
    else below.set("f:metadata", { isMember: false, below: kept });
  }
  return { isMember: false, below };
}

const collectingFor = (kind: Kind, isOwnedByUpdate: boolean): Collecting => ({
  isOwnedByUpdate,
  isBare: (path) => path === "metadata" || (!kind.isCustom && bareInBuiltins.has(path)),
});

export const fieldsOwnedBy = (object: unknown, kind: Kind, operation: Identity["operation"]): FieldSet =>
  fieldSetOf(object, rootSchema(kind), collectingFor(kind, operation === "Update"));

export interface Tracked {
  readonly kind: Kind;
  readonly identity: Identity;
  readonly now: string;
}

/** The managers after an update from `live` to `next`. */
export function trackUpdate(
  live: AnyObject | undefined,
  next: AnyObject,
  managers: readonly Manager[],
  { kind, identity, now }: Tracked,
): readonly Manager[] {
  const schema = rootSchema(kind);
  const nextSet = fieldsOwnedBy(next, kind, "Update");
  const liveSet = live === undefined ? emptySet : fieldsOwnedBy(live, kind, "Update");
  const changed = ownable(changedPaths(nextSet, next, live, schema), kind, identity.subresource);
  const removed = ownable(difference(liveSet, nextSet), kind, identity.subresource);
  const gone = union(difference(changed, difference(nextSet, liveSet)), removed);
  const others = managers
    .filter((manager) => !isSameIdentity(manager, identity))
    .map((manager) => withFields(manager, difference(manager.fields, gone), now));
  const mine = managers.find((manager) => isSameIdentity(manager, identity));
  const fields = difference(union(mine?.fields ?? emptySet, changed), removed);
  return [...others, withFields(mine ?? { ...identity, time: now, fields: emptySet }, fields, now)];
}

/** The time of an entry changes only when its fields do. */
export const withFields = (manager: Manager, fields: FieldSet, now: string): Manager =>
  isEqualSet(manager.fields, fields) ? manager : { ...manager, fields, time: now };
