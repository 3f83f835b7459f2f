/** LIST: selectors, pages, and what a requested revision means (A14, A21). */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { bucketOf, keyOf, readAs } from "./context.ts";
import { badRequest, expired, fromTheFuture } from "./errors.ts";
import { isFields } from "./json.ts";
import { both, fieldPredicate, labelPredicate, nameOfFieldSelector } from "./selectors.ts";

export interface ListRequest {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: string | undefined;
}

export interface Listed {
  readonly items: readonly AnyObject[];
  readonly resourceVersion: string;
  readonly continue?: string | undefined;
  readonly remainingItemCount?: number | undefined;
}

/** The items are shared with the store; do not change them. */
export function listObjects(context: ApiContext, kind: Kind, request: ListRequest): Listed {
  const { store } = context;
  const bucket = bucketOf(kind.type);
  const page = request.continue ? parseContinue(request.continue) : undefined;
  if (page === undefined) checkRevision(context, request);
  else {
    try {
      store.assertReachable(bucket, page.revision);
    } catch {
      throw expired(
        "The provided continue parameter is too old to display a consistent list result. Start again without it.",
      );
    }
  }
  const found = candidates(context, kind, request).map((stored) => readAs(kind, stored));
  const wanted = both(labelPredicate(request.labelSelector), fieldPredicate(kind, request.fieldSelector));
  const matching = wanted === undefined ? found : found.filter(wanted);
  const rest = page === undefined ? matching : matching.filter((object) => keyOf(object.metadata) > page.after);
  const limit = request.limit ?? 0;
  const revision = page?.revision ?? store.revision;
  if (limit <= 0 || rest.length <= limit) return { items: rest, resourceVersion: String(revision) };
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    resourceVersion: String(revision),
    continue: last === undefined ? undefined : continueText({ revision, after: keyOf(last.metadata) }),
    // With a selector upstream does not say how many are left, since it has not looked.
    remainingItemCount: wanted === undefined ? rest.length - limit : undefined,
  };
}

function candidates(context: ApiContext, kind: Kind, request: ListRequest): readonly AnyObject[] {
  const bucket = bucketOf(kind.type);
  const name = nameOfFieldSelector(request.fieldSelector);
  if (name !== undefined && (request.namespace !== undefined || !kind.type.namespaced)) {
    const object = context.store.read(bucket, keyOf({ name, namespace: request.namespace }));
    return object === undefined ? [] : [object];
  }
  return context.store.readAll(bucket, request.namespace === undefined ? "" : `${request.namespace}/`);
}

export function parseRevision(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion is a decimal number`);
}

function checkRevision(context: ApiContext, request: ListRequest): void {
  const asked = parseRevision(request.resourceVersion);
  const current = context.store.revision;
  if (asked === undefined) return;
  if (asked > current) throw fromTheFuture(asked, current);
  if (request.resourceVersionMatch === "Exact" && asked !== current) {
    throw expired(
      `The resourceVersion for the provided list is too old: ${asked}; only the newest one can be listed exactly.`,
    );
  }
}

interface Page {
  readonly revision: number;
  readonly after: string;
}

const continueText = (page: Page): string => Buffer.from(JSON.stringify(page)).toString("base64url");

function parseContinue(text: string): Page {
  try {
    const page: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (isFields(page) && typeof page["revision"] === "number" && typeof page["after"] === "string") {
      return { revision: page["revision"], after: page["after"] };
    }
  } catch {
    // Falls through to the refusal below.
  }
  throw badRequest("continue key is not valid: it is not one that this server gave out");
}
