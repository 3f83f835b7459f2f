/** What clients may and may not say in `metadata`, `apiVersion` and `kind` of a body (A18, A20). */
import type { AnyObject, ObjectMeta } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import type { Ref } from "../../../io/kube/client.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { badRequest, conflict, forbidden, invalid, modified, notFound } from "./errors.ts";
import { fieldsOf, isFields } from "./json.ts";

/** The door for bodies: an object of this kind, or a refusal. Absent `apiVersion`, `kind`, `metadata` are filled in. */
export function checkTypes(kind: Kind, body: unknown): AnyObject {
  const apiVersion = apiVersionOf(kind.type);
  if (!isFields(body)) throw badRequest("the body of the request is not an object");
  const metadata = body["metadata"] ?? {};
  if (!isFields(metadata)) throw badRequest("metadata of the body is not an object");
  const given = { apiVersion: body["apiVersion"] ?? apiVersion, kind: body["kind"] ?? kind.type.kind };
  if (given.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${JSON.stringify(given.apiVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (given.kind !== kind.type.kind) {
    throw badRequest(
      `the kind in the data (${JSON.stringify(given.kind)}) does not match the expected kind (${kind.type.kind})`,
    );
  }
  // Checked by `checkMetadata`: that names are text; the rest of metadata is data that we only carry.
  return { ...body, apiVersion, kind: kind.type.kind, metadata: { ...metadata } as unknown as ObjectMeta };
}

const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const nameCharactersMax = 253;

const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character";

export function checkMetadata(kind: Kind, object: AnyObject, namespace: string | undefined): ObjectMeta {
  const { metadata } = object;
  const given = fieldsOf(metadata)["namespace"];
  if (kind.type.namespaced) {
    if (given !== undefined && given !== "" && given !== namespace) {
      throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
    }
    if (namespace !== undefined) metadata.namespace = namespace;
  } else if (given === "") delete metadata.namespace;
  else if (given !== undefined) throw badRequest("namespace is not allowed on this type");
  const name: unknown = metadata.name;
  if (typeof name !== "string" || name === "") {
    throw invalid(kind.type, "", [
      {
        field: "metadata.name",
        reason: "FieldValueRequired",
        message: "Required value: name or generateName is required",
      },
    ]);
  }
  const problem = nameProblem(kind, name);
  if (problem !== undefined) {
    throw invalid(kind.type, name, [
      {
        field: "metadata.name",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(name)}: ${problem}`,
      },
    ]);
  }
  return metadata;
}

/** Built-in kinds have their own rules for names, and check them themselves. */
function nameProblem(kind: Kind, name: string): string | undefined {
  if (!kind.isCustom) return undefined;
  return namePattern.test(name) && name.length <= nameCharactersMax ? undefined : subdomainText;
}

/** The namespace must exist and not be going away. */
export function checkNamespace(context: ApiContext, kind: Kind, ref: Ref): void {
  if (!kind.type.namespaced) return;
  const name = ref.namespace ?? "";
  const namespace = context.store.get("/namespaces", name);
  if (namespace === undefined) throw notFound({ group: "", plural: "namespaces" }, name);
  if (namespace.metadata.deletionTimestamp === undefined) return;
  throw forbidden(
    kind.type,
    ref.name,
    `unable to create new content in namespace ${name} because it is being terminated`,
    [{ reason: "NamespaceTerminating", message: `namespace ${name} is being terminated`, field: "metadata.namespace" }],
  );
}

/** Kinds whose status may be written together with labels, annotations and finalizers. */
const statusWithMetadata = new Set(["/pods", "/nodes", "/services", "/namespaces"]);

/** The body with all that a client cannot change set back, and with the parts that the subresource does not reach. */
export function keepServerFields(
  kind: Kind,
  body: AnyObject,
  live: AnyObject,
  subresource: string | undefined,
): AnyObject {
  const { type } = kind;
  const given = body.metadata;
  if (given.uid !== undefined && given.uid !== "" && given.uid !== live.metadata.uid) {
    throw conflict(
      type,
      live.metadata.name,
      `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${live.metadata.uid}`,
    );
  }
  if (given.name !== live.metadata.name) {
    throw badRequest(
      `the name of the object (${given.name}) does not match the name on the URL (${live.metadata.name})`,
    );
  }
  const isVersioned = given.resourceVersion !== undefined && given.resourceVersion !== "";
  if (isVersioned && given.resourceVersion !== live.metadata.resourceVersion) throw modified(type, live.metadata.name);
  const next = subresource === "status" ? withStatusOf(kind, body, live) : { ...body };
  if (subresource !== "status" && kind.subresources.includes("status")) {
    if (live["status"] === undefined) delete next["status"];
    else next["status"] = live["status"];
  }
  next.metadata = serverMetadata(next.metadata, live.metadata);
  return next;
}

function withStatusOf(kind: Kind, body: AnyObject, live: AnyObject): AnyObject {
  const next: AnyObject = { ...live, metadata: { ...live.metadata } };
  if (body["status"] === undefined) delete next["status"];
  else next["status"] = body["status"];
  if (statusWithMetadata.has(`${kind.type.group}/${kind.type.plural}`)) {
    const { labels, annotations, finalizers } = body.metadata;
    next.metadata = { ...next.metadata };
    for (const [name, value] of Object.entries({ labels, annotations, finalizers })) {
      if (value === undefined) delete next.metadata[name as "labels"];
      else Object.assign(next.metadata, { [name]: value });
    }
  }
  return next;
}

const serverSet = [
  "name",
  "namespace",
  "generateName",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

function serverMetadata(given: ObjectMeta, live: ObjectMeta): ObjectMeta {
  const metadata: ObjectMeta = { ...given };
  delete (metadata as { selfLink?: unknown }).selfLink;
  for (const name of serverSet) {
    if (live[name] === undefined) delete (metadata as Partial<ObjectMeta>)[name];
    else Object.assign(metadata, { [name]: live[name] });
  }
  // Empty maps and lists are the same as none; keeping them apart would make no-op writes look like changes.
  for (const name of ["labels", "annotations", "finalizers", "ownerReferences"] as const) {
    const value: unknown = metadata[name];
    if (value === null || (typeof value === "object" && Object.keys(value).length === 0)) delete metadata[name];
  }
  return metadata;
}
