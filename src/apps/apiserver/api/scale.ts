/** The `scale` subresource of built-in workloads and of custom kinds that declare its paths (A18). */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Patch, Ref } from "../../../io/kube/client.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { getDurable, getLive } from "./context.ts";
import { badRequest, invalid, methodNotAllowed, modified } from "./errors.ts";
import type { Fields } from "./json.ts";
import { at, clone, fieldsOf, isFields, setAt, textOf } from "./json.ts";
import { mergePatch } from "./merge-patch.ts";
import { jsonPatched } from "./patch.ts";
import { selectorText } from "./selectors.ts";
import type { WriteOptions } from "./write.ts";
import { updateObject } from "./write.ts";

interface ScalePaths {
  readonly spec: string;
  readonly status: string;
  readonly selector?: string;
}

const builtinPaths: ScalePaths = { spec: ".spec.replicas", status: ".status.replicas", selector: ".spec.selector" };

/** `.spec.replicas` as steps. */
const stepsOf = (path: string): string[] => path.split(".").filter((step) => step !== "");

function scaleOf(kind: Kind, object: AnyObject): AnyObject {
  const paths = kind.scalePaths ?? builtinPaths;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = at(object, ...stepsOf(paths.spec));
  const selected = paths.selector === undefined ? undefined : at(object, ...stepsOf(paths.selector));
  const selector = isFields(selected) ? selectorText(selected) : textOf(selected);
  const metadata = { name, namespace, uid, resourceVersion, creationTimestamp };
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    // The object is from the store, where all of these are set.
    metadata: metadata as AnyObject["metadata"],
    spec: typeof replicas === "number" && replicas !== 0 ? { replicas } : {},
    status: {
      replicas: at(object, ...stepsOf(paths.status)) ?? 0,
      ...(selector === undefined ? {} : { selector }),
    },
  };
}

export const getScale = (context: ApiContext, kind: Kind, ref: Ref): AnyObject =>
  scaleOf(kind, getDurable(context, kind, ref));

/** PUT of a Scale. */
export async function updateScale(
  context: ApiContext,
  kind: Kind,
  ref: Ref,
  scale: unknown,
  options: WriteOptions,
): Promise<AnyObject> {
  const live = getLive(context, kind, ref);
  if (!isFields(scale)) throw badRequest("the body of a scale request is a Scale");
  const wanted = fieldsOf(scale["spec"])["replicas"] ?? 0;
  if (typeof wanted !== "number" || !Number.isInteger(wanted) || wanted < 0) {
    throw invalid({ group: "autoscaling", plural: "scales", kind: "Scale" }, ref.name, [
      {
        field: "spec.replicas",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(wanted)}: must be greater than or equal to 0`,
      },
    ]);
  }
  const version = textOf(fieldsOf(scale["metadata"])["resourceVersion"]) ?? "";
  if (version !== "" && version !== live.metadata.resourceVersion) throw modified(kind.type, ref.name);
  const next: Fields = clone(live);
  setAt(next, stepsOf((kind.scalePaths ?? builtinPaths).spec), wanted);
  // An update of the whole object: the scale path may lie anywhere in it. The subresource only names the owner.
  const written = await updateObject(context, kind, live, next, { ...options, subresource: "scale" });
  return scaleOf(kind, written.object);
}

export async function patchScale(
  context: ApiContext,
  kind: Kind,
  ref: Ref,
  patch: Patch,
  options: WriteOptions,
): Promise<AnyObject> {
  const scale = getScale(context, kind, ref);
  if (patch.type === "apply") throw methodNotAllowed();
  const next = patch.type === "json" ? jsonPatched(kind, scale, patch.body) : mergePatch(scale, patch.body);
  return updateScale(context, kind, ref, next, options);
}
