/** PATCH in its four forms (A16): JSON patch, merge patch, strategic merge patch, server-side apply. */
import jsonPatch from "fast-json-patch";
import type { AnyObject } from "../../../core/api/kube.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { Patch, Ref } from "../../../io/kube/client.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Kind } from "../kind.ts";
import { applyTo } from "./apply.ts";
import type { ApiContext } from "./context.ts";
import { findLive } from "./context.ts";
import { badRequest, invalid, notFound, unsupportedMediaType } from "./errors.ts";
import { clone, isFields } from "./json.ts";
import { parseManagers } from "./managed-fields.ts";
import { mergePatch, strategicMerge } from "./merge-patch.ts";
import { checkTypes } from "./metadata.ts";
import { rootSchema } from "./schema-walk.ts";
import type { WriteOptions, Written } from "./write.ts";
import { createObject, identityOf, updateObject } from "./write.ts";

export async function patchObject(
  context: ApiContext,
  kind: Kind,
  ref: Ref,
  patch: Patch,
  options: WriteOptions,
): Promise<Written> {
  const live = findLive(context, kind, ref);
  if (patch.type === "apply") return applyObject(context, kind, { ref, live }, patch, options);
  if (live === undefined) throw notFound(kind.type, ref.name);
  return updateObject(context, kind, live, patched(kind, live, patch), options);
}

/** What the patch makes of the object, before anything is checked. */
function patched(kind: Kind, live: AnyObject, patch: Exclude<Patch, { type: "apply" }>): unknown {
  switch (patch.type) {
    case "json":
      return jsonPatched(kind, live, patch.body);
    case "merge":
      if (!isFields(patch.body)) throw badRequest("the body of a merge patch is an object");
      return mergePatch(live, patch.body);
    case "strategic":
      if (kind.isCustom) {
        throw unsupportedMediaType(
          "the body of the request was in an unknown format - accepted media types include: " +
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        );
      }
      return strategicMerge(live, patch.body, rootSchema(kind)) ?? {};
  }
}

export function jsonPatched(kind: Kind, live: AnyObject, operations: readonly unknown[]): unknown {
  if (!Array.isArray(operations)) throw badRequest("the body of a JSON patch is a list of operations");
  try {
    // The library checks each operation because the third argument asks it to.
    return jsonPatch.applyPatch(clone(live), operations as jsonPatch.Operation[], true).newDocument;
  } catch (cause) {
    const isTest = cause instanceof jsonPatch.JsonPatchError && cause.name === "TEST_OPERATION_FAILED";
    const message = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
    if (isTest)
      throw invalid(kind.type, live.metadata.name, [
        { field: "patch", reason: "FieldValueInvalid", message: `Invalid value: ${message}` },
      ]);
    throw new KubeError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`);
  }
}

async function applyObject(
  context: ApiContext,
  kind: Kind,
  target: { readonly ref: Ref; readonly live: AnyObject | undefined },
  patch: Extract<Patch, { type: "apply" }>,
  options: WriteOptions,
): Promise<Written> {
  const { ref, live } = target;
  if (options.fieldManager === "") {
    throw badRequest("PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch");
  }
  if (!isFields(patch.body)) throw badRequest("the body of an apply is an object");
  const applied = clone(checkTypes(kind, patch.body));
  if (patch.body["apiVersion"] === undefined || patch.body["kind"] === undefined) {
    throw badRequest("the body of an apply must name its apiVersion and kind");
  }
  if (applied.metadata.managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
  applied.metadata.name ??= ref.name;
  if (ref.namespace !== undefined) applied.metadata.namespace ??= ref.namespace;
  const unknown = kind.prune(clone(applied));
  if (unknown.length > 0 && options.fieldValidation !== "Ignore") {
    const list = unknown.map((path) => `field not declared in schema: ${JSON.stringify(path)}`).join(", ");
    throw badRequest(
      `failed to create typed patch object (${ref.namespace ?? ""}/${ref.name}; ${applied.apiVersion}, Kind=${applied.kind}): ${list}`,
    );
  }
  kind.prune(applied);
  const managers = parseManagers(live?.metadata.managedFields) ?? [];
  const identity = identityOf(kind, options, "Apply");
  const now = isoSeconds(context.host.clock.now());
  const result = applyTo(live, applied, managers, { kind, identity, now, isForced: patch.force === true });
  const next = { ...options, managers: result.managers };
  if (live !== undefined) return updateObject(context, kind, live, result.object, next);
  if (options.subresource !== undefined) throw notFound(kind.type, ref.name);
  return createObject(context, kind, { namespace: ref.namespace }, result.object, next);
}
