/** Merge patch (RFC 7386) and strategic merge patch (A29). Pure; nothing given is changed. */
import type { Schema } from "../kind.ts";
import { badRequest } from "./errors.ts";
import type { Fields } from "./json.ts";
import { clone, fieldsOf, isEqual, isFields, listOf } from "./json.ts";
import { fieldSchema } from "./schema-walk.ts";

export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return clone(patch);
  const merged: Fields = isFields(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    // As a key of an object it would be the object's prototype; no field of Kubernetes has this name.
    if (name === "__proto__") continue;
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

const directives = /^\$(patch$|retainKeys$|setElementOrder\/|deleteFromPrimitiveList\/)/;

/** Lists merge by the schema's patch strategy and merge key; `$patch` and its kin steer it. */
export function strategicMerge(target: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (!isFields(patch)) return clone(patch);
  const how = patch["$patch"];
  if (how === "replace") return withoutDirectives(patch);
  if (how === "delete") return undefined;
  if (how !== undefined && how !== "merge") throw badRequest(`Unrecognized $patch directive: ${JSON.stringify(how)}`);
  const merged: Fields = isFields(target) ? { ...target } : {};
  const retained = patch["$retainKeys"];
  if (Array.isArray(retained)) for (const name in merged) if (!retained.includes(name)) delete merged[name];
  for (const [name, value] of Object.entries(patch)) {
    if (directives.test(name) || name === "__proto__") continue;
    const inner = fieldSchema(schema, name);
    if (value === null) delete merged[name];
    else if (Array.isArray(value)) merged[name] = mergeList(merged[name], value, inner);
    else {
      const next = strategicMerge(merged[name], value, inner);
      if (next === undefined) delete merged[name];
      else merged[name] = next;
    }
  }
  for (const [name, value] of Object.entries(patch)) {
    const field = name.slice(name.indexOf("/") + 1);
    if (field === "__proto__") continue;
    if (name.startsWith("$deleteFromPrimitiveList/")) {
      const gone = listOf(value);
      const left = listOf(merged[field]).filter((item) => !gone.some((other) => isEqual(item, other)));
      merged[field] = left;
    }
    if (name.startsWith("$setElementOrder/") && Array.isArray(merged[field])) {
      merged[field] = inOrder(listOf(merged[field]), listOf(value), fieldSchema(schema, field));
    }
  }
  return merged;
}

function withoutDirectives(patch: Fields): Fields {
  return Object.fromEntries(
    Object.entries(patch)
      .filter(([name]) => !directives.test(name))
      .map(([k, v]) => [k, clone(v)]),
  );
}

const isMerged = (schema: Schema | undefined): boolean =>
  schema?.["x-kubernetes-patch-strategy"]?.split(",").includes("merge") ?? false;

function mergeList(target: unknown, patch: readonly unknown[], schema: Schema | undefined): unknown[] {
  const replaces = patch.some((item) => isFields(item) && item["$patch"] === "replace");
  const items = patch.filter((item) => !(isFields(item) && item["$patch"] === "replace"));
  if (replaces || !isMerged(schema)) return items.map((item) => clone(item));
  const key = schema?.["x-kubernetes-patch-merge-key"];
  const merged = [...listOf(target)];
  if (key === undefined) {
    for (const item of items) if (!merged.some((other) => isEqual(item, other))) merged.push(clone(item));
    return merged;
  }
  for (const item of items) {
    if (!isFields(item) || item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const index = merged.findIndex((other) => fieldsOf(other)[key] === item[key]);
    const next = strategicMerge(index < 0 ? undefined : merged[index], item, schema?.items);
    if (next === undefined) {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(next);
    else merged[index] = next;
  }
  return merged;
}

/** Items that the order names come in that order; the others keep their place relative to those before them. */
function inOrder(items: readonly unknown[], order: readonly unknown[], schema: Schema | undefined): unknown[] {
  const key = schema?.["x-kubernetes-patch-merge-key"];
  const idOf = (item: unknown) => JSON.stringify(key === undefined ? item : fieldsOf(item)[key]);
  const ranks = new Map(order.map((item, rank) => [idOf(item), rank]));
  const named = items.filter((item) => ranks.has(idOf(item)));
  named.sort((a, b) => (ranks.get(idOf(a)) ?? 0) - (ranks.get(idOf(b)) ?? 0));
  let next = 0;
  return items.map((item) => (ranks.has(idOf(item)) ? named[next++] : item));
}
