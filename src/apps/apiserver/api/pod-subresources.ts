/** POSTs below pods and namespaces that are more than a write: binding, eviction, finalize. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { Ref } from "../../../io/kube/client.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { bucketOf, getLive, keyOf } from "./context.ts";
import { deleteObject } from "./delete.ts";
import { checkBudgets } from "./disruption.ts";
import { badRequest, conflict, modified } from "./errors.ts";
import { fieldsOf, isFields, listOf, textOf } from "./json.ts";
import type { WriteOptions, Written } from "./write.ts";
import { updateObject } from "./write.ts";

export const success = (code = 200, details?: object): AnyObject => ({
  kind: "Status",
  apiVersion: "v1",
  // A Status has list metadata: empty, and without a name.
  metadata: {} as AnyObject["metadata"],
  status: "Success",
  ...(details === undefined ? {} : { details }),
  ...(code === 200 ? {} : { code }),
});

/** Puts a pod on a node. */
export async function bindPod(context: ApiContext, kind: Kind, ref: Ref, body: unknown): Promise<AnyObject> {
  const live = getLive(context, kind, ref);
  const node = textOf(fieldsOf(fieldsOf(body)["target"])["name"]) ?? "";
  if (node === "") throw badRequest("a Binding names its node in target.name");
  const spec = fieldsOf(live["spec"]);
  const bound = textOf(spec["nodeName"]) ?? "";
  if (bound !== "")
    throw conflict(kind.type, ref.name, `pod ${ref.name} is already assigned to node ${JSON.stringify(bound)}`);
  if (live.metadata.deletionTimestamp !== undefined) {
    throw conflict(kind.type, ref.name, `pod ${ref.name} is being deleted, cannot be assigned to a host`);
  }
  const status = fieldsOf(live["status"]);
  const scheduled = {
    type: "PodScheduled",
    status: "True",
    lastProbeTime: null,
    lastTransitionTime: isoSeconds(context.host.clock.now()),
  };
  const others = listOf(status["conditions"]).filter((condition) => fieldsOf(condition)["type"] !== "PodScheduled");
  context.store.put(bucketOf(kind.type), keyOf(ref), {
    ...live,
    spec: { ...spec, nodeName: node },
    status: { ...status, conditions: [...others, scheduled] },
  });
  await context.store.durable();
  return success(201);
}

/** An orderly delete, as far as disruption budgets allow it. */
export async function evictPod(context: ApiContext, kind: Kind, ref: Ref, body: unknown): Promise<AnyObject> {
  const live = getLive(context, kind, ref);
  const options = fieldsOf(fieldsOf(body)["deleteOptions"]);
  const preconditions = fieldsOf(options["preconditions"]);
  const grace = options["gracePeriodSeconds"];
  checkBudgets(context, live);
  await deleteObject(context, kind, live, {
    uid: textOf(preconditions["uid"]),
    resourceVersion: textOf(preconditions["resourceVersion"]),
    gracePeriodSeconds: typeof grace === "number" ? grace : undefined,
    dryRun: listOf(options["dryRun"]).includes("All"),
  });
  return success(201);
}

/** PUT of `namespaces/<name>/finalize`: only `spec.finalizers` counts. */
export async function finalizeNamespace(
  context: ApiContext,
  kind: Kind,
  ref: Ref,
  body: unknown,
  options: WriteOptions,
): Promise<Written> {
  const live = getLive(context, kind, ref);
  if (!isFields(body)) throw badRequest("the body is a Namespace");
  const version = textOf(fieldsOf(body["metadata"])["resourceVersion"]) ?? "";
  if (version !== "" && version !== live.metadata.resourceVersion) throw modified(kind.type, ref.name);
  const next = { ...live, spec: fieldsOf(body["spec"]) };
  return updateObject(context, kind, live, next, { ...options, subresource: "finalize" });
}
