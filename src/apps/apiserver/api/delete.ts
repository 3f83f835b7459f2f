/** Deleting: preconditions, finalizers, propagation, grace of pods, and what the answer is (A17). */
import type { AnyObject } from "../../../core/api/kube.ts";
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import type { DeleteOptions } from "../../../io/kube/client.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { bucketOf, keyOf, readAs, storedApiVersion } from "./context.ts";
import { badRequest, conflict } from "./errors.ts";
import { fieldsOf, textOf } from "./json.ts";
import { strategyOf } from "./strategies.ts";

export interface Deleted {
  readonly object: AnyObject;
  /** False: the object stays for now, marked. */
  readonly isGone: boolean;
}

export interface DeleteRequest extends Omit<DeleteOptions, "signal"> {
  readonly dryRun?: boolean | undefined;
}

const foreground = "foregroundDeletion";
const orphan = "orphan";
const podGraceSeconds = 30;

export async function deleteObject(
  context: ApiContext,
  kind: Kind,
  live: AnyObject,
  request: DeleteRequest,
): Promise<Deleted> {
  checkPreconditions(kind, live, request);
  const marked = markDeleted(context, kind, live, request);
  const { metadata } = marked;
  const waits =
    (metadata.finalizers ?? []).length > 0 ||
    strategyOf(kind).isHeld?.(marked) === true ||
    (metadata.deletionGracePeriodSeconds ?? 0) > 0;
  if (request.dryRun === true) return { object: marked, isGone: !waits };
  const bucket = bucketOf(kind.type);
  const stored = { ...marked, apiVersion: storedApiVersion(kind) };
  if (!waits) {
    const removed = context.store.remove(bucket, keyOf(live.metadata), { ...stored, metadata: unmarked(live, marked) });
    await context.store.durable();
    return { object: readAs(kind, removed), isGone: true };
  }
  if (marked === live) {
    await context.store.durable();
    return { object: live, isGone: false };
  }
  const written = context.store.put(bucket, keyOf(live.metadata), stored);
  await context.store.durable();
  return { object: readAs(kind, written), isGone: false };
}

/** An object that goes at once was never seen terminating. */
function unmarked(live: AnyObject, marked: AnyObject): AnyObject["metadata"] {
  return live.metadata.deletionTimestamp === undefined ? live.metadata : marked.metadata;
}

function checkPreconditions(kind: Kind, live: AnyObject, request: DeleteRequest): void {
  const { uid, resourceVersion } = live.metadata;
  if (request.uid !== undefined && request.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${request.uid}, UID in object meta: ${uid}`;
    throw conflict(kind.type, live.metadata.name, why);
  }
  if (request.resourceVersion !== undefined && request.resourceVersion !== resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${request.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`;
    throw conflict(kind.type, live.metadata.name, why);
  }
}

/** The object with its deletion's marks; `live` itself when it has them already. */
function markDeleted(context: ApiContext, kind: Kind, live: AnyObject, request: DeleteRequest): AnyObject {
  const finalizers = finalizersAfter(live, request);
  const grace = graceOf(kind, live, request);
  const { metadata } = live;
  const isFirst = metadata.deletionTimestamp === undefined;
  const isShorter = grace < (metadata.deletionGracePeriodSeconds ?? 0);
  if (!isFirst && !isShorter && finalizers === metadata.finalizers) return live;
  const marked: AnyObject = { ...live, metadata: { ...metadata } };
  if (finalizers !== undefined && finalizers.length > 0) marked.metadata.finalizers = [...finalizers];
  else delete marked.metadata.finalizers;
  if (isFirst || isShorter) {
    // A shorter grace counts from the moment of the first delete.
    const startMs = isFirst ? context.host.clock.now() : deletionStartMs(live);
    marked.metadata.deletionTimestamp = isoSeconds(startMs + grace * 1000);
    marked.metadata.deletionGracePeriodSeconds = grace;
  }
  if (isFirst && kind.hasGeneration) marked.metadata.generation = (metadata.generation ?? 1) + 1;
  if (kind.type.group === "" && kind.type.plural === "namespaces") {
    marked["status"] = { ...fieldsOf(live["status"]), phase: "Terminating" };
  }
  return marked;
}

function deletionStartMs(live: AnyObject): number {
  const endMs = msOfIso(live.metadata.deletionTimestamp ?? "") ?? 0;
  return endMs - (live.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
}

function finalizersAfter(live: AnyObject, request: DeleteRequest): readonly string[] | undefined {
  const { finalizers } = live.metadata;
  const wanted = { Foreground: foreground, Orphan: orphan, Background: undefined };
  if (request.propagationPolicy === undefined) return finalizers;
  if (!(request.propagationPolicy in wanted)) {
    throw badRequest(
      `propagationPolicy ${JSON.stringify(request.propagationPolicy)} is none of Foreground, Background, Orphan`,
    );
  }
  const added = wanted[request.propagationPolicy];
  const others = (finalizers ?? []).filter((finalizer) => finalizer !== foreground && finalizer !== orphan);
  const next = added === undefined ? others : [...others, added];
  return next.join() === (finalizers ?? []).join() ? finalizers : next;
}

/** Only pods have grace, and only while a node runs them. */
function graceOf(kind: Kind, live: AnyObject, request: DeleteRequest): number {
  if (kind.type.group !== "" || kind.type.plural !== "pods") return 0;
  const spec = fieldsOf(live["spec"]);
  const phase = textOf(fieldsOf(live["status"])["phase"]);
  if ((textOf(spec["nodeName"]) ?? "") === "" || phase === "Succeeded" || phase === "Failed") return 0;
  const own = spec["terminationGracePeriodSeconds"];
  return Math.max(0, request.gracePeriodSeconds ?? (typeof own === "number" ? own : podGraceSeconds));
}
