/** Server-side apply (A30-A36): merges what a manager applies into the live object, or says whose fields it fights. Pure. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Schema } from "../kind.ts";
import type { FieldSet } from "./field-set.ts";
import { changedPaths, difference, emptySet, intersection, isEqualSet, pathText, paths, union } from "./field-set.ts";
import type { Fields } from "./json.ts";
import { clone, isFields } from "./json.ts";
import type { Manager, Tracked } from "./managed-fields.ts";
import { fieldsOwnedBy, isSameIdentity, ownable, withFields } from "./managed-fields.ts";
import {
  fieldSchema,
  indexOfElement,
  isAtomicMap,
  isSameItem,
  listTypeOf,
  mapKeysOf,
  rootSchema,
} from "./schema-walk.ts";

export interface Applied {
  readonly object: AnyObject;
  readonly managers: readonly Manager[];
}

/** `live` is absent when the apply creates. Throws the conflict, unless forced. */
export function applyTo(
  live: AnyObject | undefined,
  applied: AnyObject,
  managers: readonly Manager[],
  options: Tracked & { readonly isForced: boolean },
): Applied {
  const { kind, identity, now, isForced } = options;
  const schema = rootSchema(kind);
  const nextFields = ownable(fieldsOwnedBy(applied, kind, "Apply"), kind, identity.subresource);
  const mine = managers.find((manager) => isSameIdentity(manager, identity));
  let others = managers.filter((manager) => !isSameIdentity(manager, identity));
  // The merge of two objects of one kind is an object of that kind.
  const merged = (live === undefined ? clone(applied) : merge(live, applied, schema)) as AnyObject;
  if (live !== undefined) {
    const changed = changedPaths(nextFields, merged, live, schema);
    const fought = others.filter((manager) => hasPaths(intersection(manager.fields, changed)));
    if (fought.length > 0 && !isForced) throw applyConflict(fought, changed);
    others = others.map((manager) => withFields(manager, difference(manager.fields, changed), now));
    const kept = others.reduce((sum, manager) => union(sum, manager.fields), nextFields);
    if (mine !== undefined) remove(merged, mine.fields, kept, schema, []);
  }
  const entry = withFields(mine ?? { ...identity, time: now, fields: emptySet }, nextFields, now);
  const versioned =
    entry.apiVersion === identity.apiVersion ? entry : { ...entry, apiVersion: identity.apiVersion, time: now };
  return { object: merged, managers: [...others, versioned] };
}

const hasPaths = (set: FieldSet): boolean => !isEqualSet(set, emptySet) && paths(set).length > 0;

function applyConflict(fought: readonly Manager[], changed: FieldSet): KubeError {
  const rows = fought.flatMap((manager) => {
    const using = manager.operation === "Update" ? ` using ${manager.apiVersion}` : "";
    const who = `conflict with ${JSON.stringify(manager.manager)}${subresourceText(manager)}${using}`;
    const fields = paths(intersection(manager.fields, changed)).map(pathText);
    return fields.map((field) => ({ who, field }));
  });
  return new KubeError(409, "Conflict", conflictText(rows), {
    causes: rows.map(({ who, field }) => ({ reason: "FieldManagerConflict", message: who, field })),
  });
}

const subresourceText = (manager: Manager): string =>
  manager.subresource === undefined ? "" : ` with subresource ${JSON.stringify(manager.subresource)}`;

function conflictText(rows: readonly { who: string; field: string }[]): string {
  const start = `Apply failed with ${rows.length} conflict${rows.length === 1 ? "" : "s"}: `;
  if (rows.length === 1) return `${start}${rows[0]?.who}: ${rows[0]?.field}`;
  const byWho = new Map<string, string[]>();
  for (const { who, field } of rows) byWho.set(who, [...(byWho.get(who) ?? []), field]);
  const parts = [...byWho].map(([who, fields]) => `${who}:\n${fields.map((field) => `- ${field}`).join("\n")}`);
  return `${start}${parts.length === 1 ? parts[0] : parts.join("\n")}`;
}

/** What the applied value makes of the live one; neither is changed. */
function merge(live: unknown, applied: unknown, schema: Schema | undefined): unknown {
  if (isFields(applied) && isFields(live) && !isAtomicMap(schema)) {
    const merged: Fields = clone(live);
    for (const [name, value] of Object.entries(applied)) {
      merged[name] = name in live ? merge(live[name], value, fieldSchema(schema, name)) : clone(value);
    }
    return merged;
  }
  if (Array.isArray(applied) && Array.isArray(live) && listTypeOf(schema) !== "atomic") {
    return mergeLists(live, applied, schema);
  }
  return clone(applied);
}

/** The applied order wins; items that only the live list has keep their place before the next shared one. */
function mergeLists(live: readonly unknown[], applied: readonly unknown[], schema: Schema | undefined): unknown[] {
  const merged: unknown[] = [];
  let next = 0;
  const mergedItem = (item: unknown) => {
    const old = live.find((candidate) => isSameItem(candidate, item, schema));
    return old === undefined ? clone(item) : merge(old, item, schema?.items);
  };
  for (const item of live) {
    const index = applied.findIndex((candidate) => isSameItem(candidate, item, schema));
    if (index < 0) merged.push(clone(item));
    while (next <= index) merged.push(mergedItem(applied[next++]));
  }
  while (next < applied.length) merged.push(mergedItem(applied[next++]));
  return merged;
}

/**
 * Takes out of `value`, in place, what only this manager owned and no longer applies (A34). Keys of a list item that
 * stays are never taken out, and what becomes empty by this goes too.
 */
function remove(
  value: unknown,
  owned: FieldSet,
  kept: FieldSet | undefined,
  schema: Schema | undefined,
  keys: readonly string[],
): void {
  for (const [element, child] of owned.below) {
    const keptChild = kept?.below.get(element);
    if (element.startsWith("f:")) {
      const name = element.slice(2);
      if (isFields(value) && name in value && !keys.includes(name)) {
        removeField(value, name, { child, keptChild, schema: fieldSchema(schema, name) });
      }
    } else if (Array.isArray(value)) {
      const index = indexOfElement(value, schema, element);
      if (index < 0) continue;
      if (keptChild === undefined) value.splice(index, 1);
      else remove(value[index], child, keptChild, schema?.items, mapKeysOf(schema));
    }
  }
}

function removeField(
  value: Fields,
  name: string,
  below: { child: FieldSet; keptChild: FieldSet | undefined; schema: Schema | undefined },
): void {
  const { child, keptChild, schema } = below;
  if (child.below.size === 0) {
    if (keptChild === undefined) delete value[name];
    return;
  }
  remove(value[name], child, keptChild, schema, []);
  if (keptChild === undefined && isEmptyContainer(value[name])) delete value[name];
}

const isEmptyContainer = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isFields(value) && Object.keys(value).length === 0;
