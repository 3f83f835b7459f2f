/** One HTTP request, from authentication to answer: which verb on which kind, and in which form the answer goes back. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Patch } from "../../../io/kube/client.ts";
import { KubeError, isReason } from "../../../io/kube/client.ts";
import type { User } from "../api/context.ts";
import { badRequest, methodNotAllowed, noSuchPath, unauthorized, unsupportedMediaType } from "../api/errors.ts";
import type { Listed } from "../api/list.ts";
import type { Verbs } from "../api/verbs.ts";
import { nameOfFieldSelector } from "../api/selectors.ts";
import { listBody } from "../api/verbs.ts";
import { actingUser } from "../auth/impersonation.ts";
import { authorize, refusal } from "../auth/rbac.ts";
import type { Identities } from "../auth/reviews.ts";
import { partialMetadata, renderTable } from "../tables/table.ts";
import { addWarning, sendError, sendObject } from "./answer.ts";
import type { Body } from "./body.ts";
import { mediaTypeOf, parseBody, readBytes } from "./body.ts";
import type { Form } from "./negotiate.ts";
import { negotiate } from "./negotiate.ts";
import { deleteRequestOf, flagParameter, selectionOf, writeOptionsOf } from "./parameters.ts";
import type { ResourcePath } from "./path.ts";
import { parsePath } from "./path.ts";
import { sendErrorEvent, sendWatch } from "./watch-response.ts";

/** A way of answering that comes before the kinds: discovery, OpenAPI, version, keys. False: not mine. */
export type Documents = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<boolean>;

/** Answers `GET …/pods/<name>/log`. */
export type LogAnswer = (call: Call) => Promise<void>;

export interface HandlerParts {
  readonly verbs: Verbs;
  readonly identities: Identities;
  readonly documents: Documents;
  readonly log: LogAnswer;
}

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly user: User;
}

const healthPaths = /^\/(healthz|livez|readyz)(\/.*)?$/;

export class Handler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      this.#logFault(request, error);
      // Whoever has gone away needs no answer.
      await sendError(request, response, error).catch(() => response.destroy());
    }
    // What is left of a body that nobody wanted would stand before the next request on this connection.
    request.resume();
  }

  /** Who asks, and about what; throws 401, 403 and 404. Also for requests that become streams. */
  admit(request: IncomingMessage, url: URL): { readonly user: User; readonly path: ResourcePath } {
    const caller = this.#parts.identities.authenticator.userOf(request.headers.authorization);
    if (caller === undefined) throw unauthorized();
    const { context } = this.#parts.verbs;
    const user = actingUser(context, caller, request.headers);
    const path = parsePath(context.registry, url.pathname);
    if (path === undefined) {
      const question = { verb: (request.method ?? "GET").toLowerCase(), path: url.pathname };
      if (authorize(context, user, question) === undefined) throw refusal(user, question);
      throw noSuchPath();
    }
    const { group, plural } = path.kind.type;
    const { subresource } = path;
    // A list or watch of one object by its name is asked for that object, so that a rule for it alone suffices.
    const name = path.name ?? nameOfFieldSelector(url.searchParams.get("fieldSelector") ?? undefined);
    const verb = rbacVerb(request.method ?? "GET", path, url.searchParams);
    // A namespace counts as being in itself, so that a Role in it may speak of it.
    const namespace = path.namespace ?? (group === "" && plural === "namespaces" ? name : undefined);
    const question = { verb, group, resource: plural, subresource, name, namespace };
    if (authorize(context, user, question) === undefined) {
      throw refusal(user, { ...question, namespace: path.namespace });
    }
    return { user, path };
  }

  /** What is refused is the client's matter; everything else is ours, and must be seen. */
  #logFault(request: IncomingMessage, error: unknown): void {
    if (error instanceof KubeError) return;
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const path = (request.url ?? "").split("?")[0];
    this.#parts.verbs.context.host.log.error("apiserver.request.failed", { method: request.method, path, cause });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "https://cluster.local");
    if (healthPaths.test(url.pathname)) {
      // Starting anew would mend no disk, so the process is alive all the same.
      const failure = url.pathname.startsWith("/livez") ? undefined : this.#parts.verbs.context.store.failure;
      const code = failure === undefined ? 200 : 500;
      response.writeHead(code, { "Content-Type": "text/plain; charset=utf-8" }).end(failure ?? "ok");
      return;
    }
    const isOpen = url.pathname === "/version" || url.pathname === "/version/";
    const { authenticator } = this.#parts.identities;
    if (!isOpen && authenticator.userOf(request.headers.authorization) === undefined) throw unauthorized();
    if (await this.#parts.documents(request, response, url)) return;
    const { user, path } = this.admit(request, url);
    const call: Call = { request, response, path, query: url.searchParams, user };
    if (path.subresource === "log" && request.method === "GET") return this.#parts.log(call);
    return this.#byMethod(call);
  }

  async #byMethod(call: Call): Promise<void> {
    switch (call.request.method ?? "GET") {
      case "GET":
      case "HEAD":
        return this.#read(call);
      case "POST":
        return this.#post(call);
      case "PUT":
        return this.#put(call);
      case "PATCH":
        return this.#patch(call);
      case "DELETE":
        return this.#delete(call);
      default:
        throw methodNotAllowed();
    }
  }

  async #read(call: Call): Promise<void> {
    const { path, query, request, response } = call;
    const form = negotiate(request.headers.accept);
    const { verbs } = this.#parts;
    if (isWatch(query)) return this.#watch(call, form);
    if (path.name !== undefined) {
      const object = verbs.get({ kind: path.kind, ref: refOf(path), subresource: path.subresource });
      return this.#sendOne(call, { code: 200, object, form });
    }
    return this.#sendList(call, verbs.list(path.kind, selectionOf(path, query)), form, response);
  }

  async #watch({ path, query, response }: Call, form: Form): Promise<void> {
    const { verbs } = this.#parts;
    const selection = selectionOf(path, query);
    let stream;
    try {
      stream = verbs.watch(path.kind, selection);
    } catch (error) {
      if (isReason(error, "Expired")) return sendErrorEvent(response, error);
      throw error;
    }
    const nowMs = () => verbs.context.host.clock.now();
    await sendWatch(response, stream, { kind: path.kind, form, includeObject: includeOf(query), nowMs });
  }

  async #post(call: Call): Promise<void> {
    const { path, request, user } = call;
    const { verbs } = this.#parts;
    const { value, problems } = await bodyOf(request);
    if (path.name !== undefined) {
      const target = { kind: path.kind, ref: refOf(path), subresource: path.subresource };
      const object = await verbs.post(target, value);
      return this.#sendOne(call, { code: 201, object, form: { encoding: "json" } });
    }
    const form = negotiate(request.headers.accept);
    const options = { ...writeOptions(call, problems, false), asker: user };
    const { object } = await verbs.create(path.kind, path.namespace, value, options);
    return this.#sendOne(call, { code: 201, object, form });
  }

  async #put(call: Call): Promise<void> {
    const { path, request } = call;
    const form = negotiate(request.headers.accept);
    const { value, problems } = await bodyOf(request);
    const target = { kind: path.kind, ref: refOf(path), subresource: path.subresource };
    const { object } = await this.#parts.verbs.update(target, value, writeOptions(call, problems, false));
    return this.#sendOne(call, { code: 200, object, form });
  }

  async #patch(call: Call): Promise<void> {
    const { path, request, query } = call;
    const form = negotiate(request.headers.accept);
    const type = patchTypes[mediaTypeOf(request)];
    if (type === undefined) {
      throw unsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " +
          Object.keys(patchTypes).join(", "),
      );
    }
    const { value, problems } = await bodyOf(request);
    const patch = patchOf(type, value, flagParameter(query, "force") === true);
    const target = { kind: path.kind, ref: refOf(path), subresource: path.subresource };
    const options = writeOptions(call, problems, type === "apply");
    const { object, isCreated } = await this.#parts.verbs.patch(target, patch, options);
    return this.#sendOne(call, { code: isCreated ? 201 : 200, object, form });
  }

  async #delete(call: Call): Promise<void> {
    const { path, request, query, response } = call;
    const form = negotiate(request.headers.accept);
    const { value } = await bodyOf(request);
    const wish = deleteRequestOf(value, query);
    const { verbs } = this.#parts;
    if (path.subresource !== undefined) throw methodNotAllowed();
    if (path.name !== undefined) {
      const object = await verbs.delete({ kind: path.kind, ref: refOf(path) }, wish);
      return this.#sendOne(call, { code: 200, object, form });
    }
    const deleted = await verbs.deleteCollection(path.kind, selectionOf(path, query), wish);
    return this.#sendList(call, deleted, form, response);
  }

  /** A Status is never shown as a table. */
  async #sendOne(
    { request, response, path, query }: Call,
    shown: { code: number; object: AnyObject; form: Form },
  ): Promise<void> {
    const { code, object, form } = shown;
    const as = object.kind === path.kind.type.kind ? form.as : undefined;
    const nowMs = this.#parts.verbs.context.host.clock.now();
    const body =
      as === "Table"
        ? renderTable(path.kind, [object], {
            nowMs,
            includeObject: includeOf(query),
            withColumns: true,
            listMetadata: { resourceVersion: object.metadata.resourceVersion ?? "" },
          })
        : as === "PartialObjectMetadata"
          ? partialMetadata(object)
          : object;
    await sendObject(request, response, { code, body, form });
  }

  async #sendList({ request, path, query }: Call, listed: Listed, form: Form, response: ServerResponse): Promise<void> {
    const { kind } = path;
    const list = listBody(kind, listed);
    const nowMs = this.#parts.verbs.context.host.clock.now();
    // `listBody` has just made this metadata: text and numbers by name.
    const listMetadata = list.metadata as unknown as Record<string, unknown>;
    const body =
      form.as === "Table"
        ? renderTable(kind, listed.items, { nowMs, includeObject: includeOf(query), withColumns: true, listMetadata })
        : form.as === "PartialObjectMetadata"
          ? {
              kind: "PartialObjectMetadataList",
              apiVersion: "meta.k8s.io/v1",
              metadata: listMetadata,
              items: listed.items.map(partialMetadata),
            }
          : list;
    await sendObject(request, response, { code: 200, body, form });
  }
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  return parseBody(await readBytes(request), mediaTypeOf(request));
}

const writeOptions = ({ request, response, query }: Call, bodyProblems: readonly string[], isApply: boolean) =>
  writeOptionsOf({
    query,
    userAgent: request.headers["user-agent"],
    isApply,
    bodyProblems,
    warn: (text) => addWarning(response, text),
  });

function refOf(path: ResourcePath): { name: string; namespace: string | undefined } {
  if (path.name === undefined) throw methodNotAllowed();
  return { name: path.name, namespace: path.namespace };
}

const isWatch = (query: URLSearchParams): boolean => flagParameter(query, "watch") === true;

function includeOf(query: URLSearchParams): "Metadata" | "Object" | "None" {
  const asked = query.get("includeObject");
  return asked === "Object" || asked === "None" ? asked : "Metadata";
}

const patchTypes: Readonly<Record<string, Patch["type"]>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

function patchOf(type: Patch["type"], body: unknown, force: boolean): Patch {
  if (type === "apply") return { type, body, force };
  if (type !== "json") return { type, body };
  if (!Array.isArray(body)) throw badRequest("the body of a JSON patch is a list of operations");
  return { type, body };
}

function rbacVerb(method: string, path: ResourcePath, query: URLSearchParams): string {
  switch (method) {
    case "GET":
    case "HEAD":
      if (isWatch(query)) return "watch";
      return path.name === undefined ? "list" : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return path.name === undefined ? "deletecollection" : "delete";
    default:
      return method.toLowerCase();
  }
}
