/** WATCH: a stream of changes from a revision on (A21-A23), through a bounded queue that cuts off who is too slow. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import type { Change } from "../store/history.ts";
import type { ApiContext } from "./context.ts";
import { bucketOf, readAs } from "./context.ts";
import { invalid } from "./errors.ts";
import type { ListRequest } from "./list.ts";
import { listObjects, parseRevision } from "./list.ts";
import type { Predicate } from "./selectors.ts";
import { both, fieldPredicate, labelPredicate } from "./selectors.ts";

export interface WatchRequest extends ListRequest {
  readonly allowWatchBookmarks?: boolean | undefined;
  readonly sendInitialEvents?: boolean | undefined;
  readonly timeoutSeconds?: number | undefined;
}

export interface ApiEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: AnyObject;
}

/** Events that a watcher may be behind; beyond that it is cut off and begins again. */
const queueMax = 10_000;
const bookmarkMs = 60_000;
const lifeMinMs = 30 * 60_000;

/** Ends when cut off, when its time is over, or when closed. Objects are shared with the store. */
export class WatchStream implements AsyncIterableIterator<ApiEvent> {
  readonly #queue: ApiEvent[] = [];
  readonly #queueMax: number;
  #head = 0;
  #waiting: ((result: IteratorResult<ApiEvent>) => void) | undefined;
  #isEnded = false;
  #wasCutOff = false;
  readonly #atEnd: (() => void)[] = [];

  constructor(bound = queueMax) {
    this.#queueMax = bound;
  }

  /** True when the reader was too slow; what it has read so far is no complete account. */
  get wasCutOff(): boolean {
    return this.#wasCutOff;
  }

  push(event: ApiEvent): void {
    if (this.#isEnded) return;
    if (this.#waiting !== undefined) {
      const give = this.#waiting;
      this.#waiting = undefined;
      give({ value: event, done: false });
      return;
    }
    this.#queue.push(event);
    if (this.#queue.length - this.#head <= this.#queueMax) return;
    this.#wasCutOff = true;
    this.#queue.length = 0;
    this.#head = 0;
    this.end();
  }

  /** What was pushed before is still read. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const act of this.#atEnd.splice(0)) act();
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  onEnd(act: () => void): void {
    if (this.#isEnded) act();
    else this.#atEnd.push(act);
  }

  next(): Promise<IteratorResult<ApiEvent>> {
    const event = this.#queue[this.#head];
    if (event !== undefined) {
      this.#head += 1;
      if (this.#head === this.#queue.length) {
        this.#queue.length = 0;
        this.#head = 0;
      }
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#isEnded) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  return(): Promise<IteratorResult<ApiEvent>> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Throws before anything is streamed: bad selectors, a revision that is too old. */
export function watchObjects(context: ApiContext, kind: Kind, request: WatchRequest, bound?: number): WatchStream {
  checkInitialEvents(request);
  const { store } = context;
  const asked = parseRevision(request.resourceVersion) ?? 0;
  const wanted = both(labelPredicate(request.labelSelector), fieldPredicate(kind, request.fieldSelector));
  const wantsInitial = request.sendInitialEvents ?? asked === 0;
  // The initial state is no backlog: however large, it comes before the bound counts.
  const listed = wantsInitial ? listObjects(context, kind, selection(request)).items : [];
  const stream = new WatchStream((bound ?? queueMax) + listed.length);
  for (const object of listed) stream.push({ type: "ADDED", object });
  const from = wantsInitial
    ? store.revision
    : request.sendInitialEvents === false && asked === 0
      ? store.revision
      : asked;
  if (request.sendInitialEvents === true) stream.push(bookmark(kind, store.revision, true));
  const prefix = request.namespace === undefined ? "" : `${request.namespace}/`;
  const stop = store.watch(bucketOf(kind.type), from, (change) => {
    if (!change.key.startsWith(prefix)) return;
    const event = eventOf(kind, change, wanted);
    if (event !== undefined) stream.push(event);
  });
  stream.onEnd(stop);
  keepTime(context, kind, stream, request);
  return stream;
}

const selection = ({ namespace, labelSelector, fieldSelector }: WatchRequest): ListRequest => ({
  namespace,
  labelSelector,
  fieldSelector,
});

function checkInitialEvents(request: WatchRequest): void {
  const isAsked = request.sendInitialEvents !== undefined;
  const { resourceVersionMatch } = request;
  if (isAsked === (resourceVersionMatch !== undefined) && (!isAsked || resourceVersionMatch === "NotOlderThan")) return;
  const type = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" };
  const message = isAsked
    ? "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    : "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
  throw invalid(type, "", [{ field: "resourceVersionMatch", reason: "FieldValueForbidden", message }]);
}

/** A change as a selector sees it: what begins to match is added, what ceases to match is deleted. */
function eventOf(kind: Kind, change: Change, wanted: Predicate | undefined): ApiEvent | undefined {
  const object = readAs(kind, change.object);
  if (wanted === undefined) return { type: change.type, object };
  const isIn = change.type !== "DELETED" && wanted(object);
  const wasIn = change.previous !== undefined && wanted(readAs(kind, change.previous));
  if (isIn) return { type: wasIn ? "MODIFIED" : "ADDED", object };
  if (!wasIn || change.previous === undefined) return undefined;
  if (change.type === "DELETED") return { type: "DELETED", object };
  // The last state that matched, at the revision at which it ceased to.
  const { resourceVersion } = object.metadata;
  const last = readAs(kind, change.previous);
  const metadata = { ...last.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  return { type: "DELETED", object: { ...last, metadata } };
}

function bookmark(kind: Kind, revision: number, endsInitial: boolean): ApiEvent {
  const annotations = endsInitial ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
  const object = { kind: kind.type.kind, apiVersion: apiVersionOf(kind.type), metadata };
  // A bookmark has no name by the API's own definition; its metadata is all that readers look at.
  return { type: "BOOKMARK", object: object as unknown as AnyObject };
}

function keepTime(context: ApiContext, kind: Kind, stream: WatchStream, request: WatchRequest): void {
  const { clock, random } = context.host;
  const asked = request.timeoutSeconds ?? 0;
  const lifeMs = asked > 0 ? asked * 1000 : lifeMinMs + random.below(lifeMinMs);
  const mark = () => {
    if (request.allowWatchBookmarks === true) stream.push(bookmark(kind, context.store.revision, false));
  };
  let cancelBookmark: () => void = () => {};
  const nextBookmark = () => {
    cancelBookmark = clock.after(bookmarkMs, () => {
      mark();
      nextBookmark();
    });
  };
  if (request.allowWatchBookmarks === true) nextBookmark();
  const cancelLife = clock.after(lifeMs, () => {
    mark();
    stream.end();
  });
  stream.onEnd(() => {
    cancelBookmark();
    cancelLife();
  });
}
