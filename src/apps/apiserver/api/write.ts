/**
 * The one way into the store: every create, update, patch and apply ends here. Prunes, defaults, validates, counts the
 * generation, tracks owners of fields, and skips writes that change nothing (A11, A15-A20).
 */
import type { AnyObject } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { Ref } from "../../../io/kube/client.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Cause, Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { bucketOf, keyOf, readAs, storedApiVersion } from "./context.ts";
import { alreadyExists, badRequest, invalid } from "./errors.ts";
import { clone, isEqual } from "./json.ts";
import type { Identity, Manager } from "./managed-fields.ts";
import { formatManagers, parseManagers, trackUpdate } from "./managed-fields.ts";
import { checkMetadata, checkNamespace, checkTypes, keepServerFields } from "./metadata.ts";
import { strategyOf } from "./strategies.ts";

export interface WriteOptions {
  readonly subresource?: string | undefined;
  readonly fieldManager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
  /** Problems of the body that only its text shows, such as keys given twice. */
  readonly bodyProblems?: readonly string[] | undefined;
  /** For server-side apply; it has worked out the owners itself. */
  readonly managers?: readonly Manager[] | undefined;
  /** Heard with each `Warning` for the client. */
  readonly warn?: ((text: string) => void) | undefined;
}

export interface Written {
  readonly object: AnyObject;
  readonly isCreated: boolean;
}

/** Characters of generated names: no vowels, no digits that look like letters. */
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789";
const generateTries = 8;

const randomName = (context: ApiContext, length = 5): string =>
  Array.from({ length }, () => nameAlphabet[context.host.random.below(nameAlphabet.length)]).join("");

export async function createObject(
  context: ApiContext,
  kind: Kind,
  where: { readonly namespace: string | undefined },
  body: unknown,
  options: WriteOptions,
): Promise<Written> {
  const object = checkTypes(kind, body);
  const prefix = object.metadata.generateName ?? "";
  const isGenerated = (object.metadata.name ?? "") === "" && prefix !== "";
  for (let tries = 1; ; tries += 1) {
    if (isGenerated) object.metadata.name = `${prefix.slice(0, 58)}${randomName(context)}`;
    try {
      return await createNamed(context, kind, where, object, options);
    } catch (error) {
      const isTaken = error instanceof KubeError && error.reason === "AlreadyExists";
      if (!isGenerated || !isTaken || tries === generateTries) throw error;
    }
  }
}

async function createNamed(
  context: ApiContext,
  kind: Kind,
  where: { readonly namespace: string | undefined },
  body: AnyObject,
  options: WriteOptions,
): Promise<Written> {
  const object = clone(body);
  refuseUnreadable(kind, object);
  const metadata = checkMetadata(kind, object, where.namespace);
  if ((metadata.resourceVersion ?? "") !== "") {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  const ref: Ref = { name: metadata.name, namespace: metadata.namespace };
  checkNamespace(context, kind, ref);
  for (const name of ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]) {
    delete object.metadata[name as keyof typeof metadata];
  }
  metadata.uid = context.host.random.uuid();
  metadata.creationTimestamp = isoSeconds(context.host.clock.now());
  if (kind.hasGeneration) metadata.generation = 1;
  if (kind.subresources.includes("status")) delete object["status"];
  const strategy = strategyOf(kind);
  refuseUnknownFields(kind, object, options);
  if (kind.inert !== undefined) options.warn?.(kind.inert);
  kind.fillDefaults(object, undefined);
  // Before anything is allocated: its own address would look taken to an object that is there already.
  const bucket = bucketOf(kind.type);
  if (context.store.get(bucket, keyOf(ref)) !== undefined) throw alreadyExists(kind.type, ref.name);
  strategy.normalize?.(object);
  // What the server itself adds belongs to nobody.
  const managers = options.managers ?? trackedManagers(context, kind, undefined, object, options);
  strategy.prepareCreate?.(context, object);
  refuseInvalid(kind, object, undefined);
  strategy.allocate?.(context, object);
  setManagers(object, managers);
  if (options.dryRun) return { object, isCreated: true };
  const stored = context.store.put(bucket, keyOf(ref), { ...object, apiVersion: storedApiVersion(kind) });
  await context.store.durable();
  return { object: readAs(kind, stored), isCreated: true };
}

/** Replaces `live` by `body`, as far as the subresource allows. */
export async function updateObject(
  context: ApiContext,
  kind: Kind,
  live: AnyObject,
  body: unknown,
  options: WriteOptions,
): Promise<Written> {
  const next = nextOf(context, kind, live, body, options);
  if (next === undefined) {
    // Another's write may have made it so, and still be on its way to the disk.
    await context.store.durable();
    return { object: live, isCreated: false };
  }
  if (options.dryRun) return { object: next, isCreated: false };
  const bucket = bucketOf(kind.type);
  const stored = { ...next, apiVersion: storedApiVersion(kind) };
  const written = isFinished(kind, stored)
    ? context.store.remove(bucket, keyOf(live.metadata), stored)
    : context.store.put(bucket, keyOf(live.metadata), stored);
  await context.store.durable();
  return { object: readAs(kind, written), isCreated: false };
}

/** Undefined when nothing would change. */
function nextOf(
  context: ApiContext,
  kind: Kind,
  live: AnyObject,
  body: unknown,
  options: WriteOptions,
): AnyObject | undefined {
  const object = clone(checkTypes(kind, body));
  refuseUnreadable(kind, object);
  checkMetadata(kind, object, live.metadata.namespace);
  refuseUnknownFields(kind, object, options);
  if (kind.inert !== undefined && options.subresource === undefined) options.warn?.(kind.inert);
  const next = keepServerFields(kind, object, live, options.subresource);
  kind.fillDefaults(next, live);
  const strategy = strategyOf(kind);
  strategy.normalize?.(next);
  const given = object.metadata.managedFields ?? live.metadata.managedFields;
  const managers = options.managers ?? trackedManagers(context, kind, { live, given }, next, options);
  strategy.prepareUpdate?.(context, next, live, options.subresource);
  refuseInvalid(kind, next, live);
  if (options.subresource === undefined) strategy.allocate?.(context, next);
  if (kind.hasGeneration) next.metadata.generation = nextGeneration(live, next);
  setManagers(next, managers);
  return isSameButTimes(live, next) ? undefined : next;
}

/** An object that waits for nothing more goes. */
function isFinished(kind: Kind, object: AnyObject): boolean {
  const { metadata } = object;
  if (metadata.deletionTimestamp === undefined || (metadata.finalizers ?? []).length > 0) return false;
  if (strategyOf(kind).isHeld?.(object) === true) return false;
  return (metadata.deletionGracePeriodSeconds ?? 0) === 0;
}

function nextGeneration(live: AnyObject, next: AnyObject): number {
  const generation = live.metadata.generation ?? 1;
  const names = new Set([...Object.keys(live), ...Object.keys(next)]);
  for (const name of ["apiVersion", "kind", "metadata", "status"]) names.delete(name);
  return [...names].every((name) => isEqual(live[name], next[name])) ? generation : generation + 1;
}

function refuseUnreadable(kind: Kind, object: AnyObject): void {
  const problem = kind.decodeProblem?.(object);
  if (problem === undefined) return;
  const { kind: name, version } = kind.type;
  throw badRequest(`${name} in version ${JSON.stringify(version)} cannot be handled as a ${name}: ${problem}`);
}

function refuseUnknownFields(kind: Kind, object: AnyObject, options: WriteOptions): void {
  const unknown = kind.prune(object).map((path) => `unknown field ${JSON.stringify(path)}`);
  const problems = [...unknown, ...(options.bodyProblems ?? [])];
  if (problems.length === 0 || options.fieldValidation === "Ignore") return;
  if (options.fieldValidation === "Strict") {
    throw badRequest(
      `${kind.type.kind} in version ${JSON.stringify(kind.type.version)} cannot be handled as a ${kind.type.kind}: ` +
        `strict decoding error: ${problems.join(", ")}`,
    );
  }
  for (const problem of problems) options.warn?.(problem);
}

function refuseInvalid(kind: Kind, object: AnyObject, live: AnyObject | undefined): void {
  const causes: Cause[] = [...kind.validate(object, live)];
  const old = live?.metadata.finalizers ?? [];
  const added = (object.metadata.finalizers ?? []).filter((finalizer) => !old.includes(finalizer));
  if (live?.metadata.deletionTimestamp !== undefined && added.length > 0) {
    causes.push({
      field: "metadata.finalizers",
      reason: "FieldValueForbidden",
      message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
    });
  }
  if (causes.length > 0) throw invalid(kind.type, object.metadata.name, causes);
}

function trackedManagers(
  context: ApiContext,
  kind: Kind,
  before: { readonly live: AnyObject; readonly given: unknown } | undefined,
  next: AnyObject,
  options: WriteOptions,
): readonly Manager[] {
  const managers = parseManagers(before === undefined ? undefined : before.given);
  if (managers === undefined) return [];
  return trackUpdate(before?.live, next, managers, {
    kind,
    identity: identityOf(kind, options, "Update"),
    now: isoSeconds(context.host.clock.now()),
  });
}

export const identityOf = (kind: Kind, options: WriteOptions, operation: Identity["operation"]): Identity => ({
  manager: options.fieldManager,
  operation,
  apiVersion: apiVersionOf(kind.type),
  subresource: options.subresource,
});

function setManagers(object: AnyObject, managers: readonly Manager[]): void {
  const entries = formatManagers(managers);
  if (entries.length === 0) delete object.metadata.managedFields;
  else object.metadata.managedFields = entries;
}

const withoutTimes = (object: AnyObject): unknown => ({
  ...object,
  metadata: {
    ...object.metadata,
    managedFields: (object.metadata.managedFields ?? []).map((entry) => ({ ...(entry as object), time: "" })),
  },
});

const isSameButTimes = (live: AnyObject, next: AnyObject): boolean => isEqual(withoutTimes(live), withoutTimes(next));
