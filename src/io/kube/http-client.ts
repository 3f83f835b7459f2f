/**
 * `KubeClient` over HTTPS, for every program that talks to a real API server. Keeps no state but connections.
 * Only reads are repeated by themselves; a write whose answer was lost is the caller's to judge.
 */
import type { IncomingMessage } from "node:http";
import { apiVersionOf } from "../../core/api/kube.ts";
import type { KubeObject, ResourceType } from "../../core/api/kube.ts";
import type { Host } from "../host/host.ts";
import { backoffMs } from "./backoff.ts";
import { KubeError, isReason } from "./client.ts";
import type {
  DeleteOptions,
  KubeClient,
  List,
  ListOptions,
  Patch,
  Ref,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import type { KubeEndpoint } from "./endpoint.ts";
import { linesOf } from "./lines.ts";
import { Transport, isReset } from "./transport.ts";
import type { Answer, Exchange } from "./transport.ts";

export interface HttpKubeClient extends KubeClient {
  readonly endpoint: KubeEndpoint;
  /** Any path of the server, for what has no kind: `/version`, discovery, pod logs. Rejects unless the status is 2xx. */
  read(path: string, options?: { accept?: string; signal?: AbortSignal }): Promise<string>;
  /** As `read`, for an answer without end. The caller destroys the response. */
  stream(path: string, options?: { accept?: string; signal?: AbortSignal }): Promise<IncomingMessage>;
  /** Lets go of idle connections. */
  close(): void;
}

const requestTimeoutMs = 30_000;
const pageSize = 500;
const maxLineBytes = 16 * 1024 * 1024;
const maxReadAttempts = 4;
const readRetry = { baseMs: 100, maxMs: 2_000 };
/** The server ends a watch after this long; the client gives up `watchGraceMs` later, should it have gone silent. */
const watchSeconds = { least: 120, spread: 60 };
const watchGraceMs = 15_000;

const patchTypes: Readonly<Record<Patch["type"], string>> = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};

type Query = Readonly<Record<string, string | undefined>>;

type Address = Pick<ResourceType, "group" | "version" | "plural" | "namespaced">;

/** `/api…` or `/apis…` path of a collection (no name), an object or a subresource. */
function pathOf(type: Address, ref: Partial<Ref>, subresource?: string, query: Query = {}): string {
  const root = type.group === "" ? "/api" : `/apis/${type.group}`;
  const scope = type.namespaced && ref.namespace !== undefined ? ["namespaces", ref.namespace] : [];
  const parts = [type.version, ...scope, type.plural, ref.name, subresource].filter((part) => part !== undefined);
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, value);
  const text = search.toString();
  return `${root}/${parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/")}${text && `?${text}`}`;
}

export function httpKubeClient(host: Host, endpoint: KubeEndpoint): HttpKubeClient {
  return new OverHttp(host, endpoint);
}

class OverHttp implements HttpKubeClient {
  readonly endpoint: KubeEndpoint;
  private readonly host: Host;
  private readonly transport: Transport;

  constructor(host: Host, endpoint: KubeEndpoint) {
    this.host = host;
    this.endpoint = endpoint;
    this.transport = new Transport(host, endpoint);
  }

  close(): void {
    this.transport.close();
  }

  async get<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options?: { signal?: AbortSignal }): Promise<T> {
    return this.object<T>({ method: "GET", path: pathOf(type, ref), signal: options?.signal });
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    try {
      return await this.pages(type, options, pageSize);
    } catch (error) {
      // The snapshot behind the pages is gone: one list without pages always has one.
      if (!isReason(error, "Expired")) throw error;
      return this.pages(type, options, undefined);
    }
  }

  private async pages<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions,
    limit: number | undefined,
  ): Promise<List<T>> {
    const items: T[] = [];
    let from: string | undefined;
    for (;;) {
      const query = { ...selectors(options), limit: limit?.toString(), continue: from };
      const path = pathOf(type, { namespace: options.namespace }, undefined, query);
      const page = await this.object<RawList<T>>({ method: "GET", path, signal: options.signal });
      for (const item of page.items ?? []) items.push(withKind(type, item));
      from = page.metadata?.continue === "" ? undefined : page.metadata?.continue;
      if (from === undefined) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
    }
  }

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const timeoutSeconds = watchSeconds.least + this.host.random.below(watchSeconds.spread);
    const query = {
      ...selectors(options),
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: options.resourceVersion,
      timeoutSeconds: timeoutSeconds.toString(),
    };
    const path = pathOf(type, { namespace: options.namespace }, undefined, query);
    const request: Exchange = { method: "GET", path, signal: options.signal, timeoutMs: requestTimeoutMs };
    const response = await this.opened(request);
    const silent = () => response.destroy(new Error("the watch did not end when it should have"));
    const cancel = this.host.clock.after(timeoutSeconds * 1000 + watchGraceMs, silent);
    try {
      for await (const line of linesOf(response, maxLineBytes)) {
        if (line.trim() !== "") yield eventOf(type, line);
      }
    } catch (error) {
      throw this.transport.explained(error, request);
    } finally {
      cancel();
      response.destroy();
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { name, namespace } = object.metadata;
    const ref = options.subresource === undefined ? { namespace } : { name, namespace };
    const path = pathOf(type, ref, options.subresource, writing(options));
    return this.object<T>({ method: "POST", path, body: withKind(type, object), signal: options.signal });
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const path = pathOf(type, object.metadata, options.subresource, writing(options));
    return this.object<T>({ method: "PUT", path, body: withKind(type, object), signal: options.signal });
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    const force = patch.type === "apply" && patch.force === true ? "true" : undefined;
    const path = pathOf(type, ref, options.subresource, { ...writing(options), force });
    const contentType = patchTypes[patch.type];
    return this.object<T>({ method: "PATCH", path, body: patch.body, contentType, signal: options.signal });
  }

  async delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy } = options;
    const hasPrecondition = uid !== undefined || resourceVersion !== undefined;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      gracePeriodSeconds,
      propagationPolicy,
      ...(hasPrecondition && { preconditions: { uid, resourceVersion } }),
    };
    await this.object({ method: "DELETE", path: pathOf(type, ref), body, signal: options.signal });
  }

  async post<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    return this.object({ method: "POST", path: pathOf(type, ref, subresource), body });
  }

  async read(path: string, options: { accept?: string; signal?: AbortSignal } = {}): Promise<string> {
    return this.answered({ method: "GET", path, timeoutMs: requestTimeoutMs, ...options });
  }

  async stream(path: string, options: { accept?: string; signal?: AbortSignal } = {}): Promise<IncomingMessage> {
    return this.opened({ method: "GET", path, timeoutMs: requestTimeoutMs, ...options });
  }

  private async object<T>(request: Omit<Exchange, "timeoutMs">): Promise<T> {
    const text = await this.answered({ ...request, timeoutMs: requestTimeoutMs });
    // The API server answers 2xx with the kind that was asked for; that is its contract, not checked field by field.
    return parsed(text, this.endpoint) as T;
  }

  /** The text of a 2xx answer; any other status as `KubeError`. */
  private async answered(request: Exchange): Promise<string> {
    const attempts = request.method === "GET" ? maxReadAttempts : 1;
    let hasRenewed = false;
    for (let attempt = 1; ; attempt += 1) {
      let answer: Answer;
      try {
        answer = await this.transport.exchange(request);
      } catch (error) {
        if (!isReset(error) || attempt >= attempts) throw error;
        await this.host.clock.sleep(backoffMs(this.host.random, attempt, readRetry), request.signal);
        continue;
      }
      if (answer.status >= 200 && answer.status < 300) return answer.text;
      if (answer.status === 401 && !hasRenewed) {
        hasRenewed = true;
        this.endpoint.credentials.refused();
        continue;
      }
      if (answer.retryAfterMs === undefined || attempt >= attempts) throw errorOf(answer, request, this.endpoint);
      await this.host.clock.sleep(Math.min(answer.retryAfterMs, readRetry.maxMs), request.signal);
    }
  }

  private async opened(request: Exchange): Promise<IncomingMessage> {
    const response = await this.transport.stream(request);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    if (status === 401) this.endpoint.credentials.refused();
    let text = "";
    try {
      for await (const line of linesOf(response, maxLineBytes)) text += line;
    } catch {
      // The status alone must do.
    }
    throw errorOf({ status, text, retryAfterMs: undefined }, request, this.endpoint);
  }
}

interface RawList<T> {
  readonly items?: readonly T[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

const selectors = (options: ListOptions): Query => ({
  labelSelector: options.labelSelector,
  fieldSelector: options.fieldSelector,
});

const writing = (options: WriteOptions): Query => ({
  fieldManager: options.fieldManager,
  dryRun: options.dryRun === true ? "All" : undefined,
});

/** Items of a list come without their kind. */
const withKind = <T extends KubeObject>(type: ResourceType<T>, object: T): T => ({
  ...object,
  apiVersion: apiVersionOf(type),
  kind: type.kind,
});

function parsed(text: string, endpoint: KubeEndpoint): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const start = text.slice(0, 80);
    throw new KubeError(0, "BadAnswer", `${endpoint.server} did not answer with JSON (${start}); is it an API server?`);
  }
}

interface StatusLike {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: unknown;
}

const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  503: "ServiceUnavailable",
};

function statusError(status: StatusLike, fallback: { code: number; message: string }): KubeError {
  const code = status.code ?? fallback.code;
  // Both names of 410 mean that the revision is too old.
  const reason = code === 410 ? "Expired" : (status.reason ?? reasons[code] ?? "Unknown");
  return new KubeError(code, reason, status.message ?? fallback.message, status.details);
}

function errorOf(answer: Answer, request: Exchange, endpoint: KubeEndpoint): KubeError {
  const path = request.path.split("?")[0];
  const said = answer.text.trim().slice(0, 200);
  const message = `${endpoint.server} answered ${request.method} ${path} with ${answer.status}${said && `: ${said}`}`;
  let status: StatusLike = {};
  try {
    const body: unknown = JSON.parse(answer.text);
    // A body of kind Status is the API server's own word on the failure.
    const isStatus = typeof body === "object" && body !== null && "kind" in body && body.kind === "Status";
    if (isStatus) status = body as StatusLike;
  } catch {
    // Not from the API server itself, or cut off.
  }
  const hint = ` Log in again, or check the user of context ${endpoint.context} in the kubeconfig.`;
  const error = statusError(status, { code: answer.status, message });
  return error.code === 401 ? new KubeError(401, error.reason, `${error.message}.${hint}`, error.details) : error;
}

function eventOf<T extends KubeObject>(type: ResourceType<T>, line: string): WatchEvent<T> {
  let event: { type?: string; object?: unknown };
  try {
    // A watch answers with lines of {type, object}; what is neither a known type nor whole is refused below.
    event = JSON.parse(line) as { type?: string; object?: unknown };
  } catch {
    throw new KubeError(0, "ConnectionReset", `A watch of ${type.plural} broke off in the middle of an event.`);
  }
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type: event.type, object: withKind(type, event.object as T) };
    case "BOOKMARK":
      return { type: "BOOKMARK", object: event.object as { metadata: { resourceVersion: string } } };
    case "ERROR":
      throw statusError(event.object as StatusLike, { code: 500, message: `The watch of ${type.plural} failed.` });
    case undefined:
    default:
      throw new KubeError(0, "BadAnswer", `A watch of ${type.plural} sent an event of unknown type ${event.type}.`);
  }
}
