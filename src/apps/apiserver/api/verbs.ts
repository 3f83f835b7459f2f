/** The verbs as one asker may use them, over HTTP or in process: which call leads to which work. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import type { Patch, Ref } from "../../../io/kube/client.ts";
import type { Identities } from "../auth/reviews.ts";
import { answerReview, isReview, requestToken } from "../auth/reviews.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext, User } from "./context.ts";
import { getDurable, getLive } from "./context.ts";
import type { DeleteRequest } from "./delete.ts";
import { deleteObject } from "./delete.ts";
import { methodNotAllowed, noSuchPath } from "./errors.ts";
import type { Listed, ListRequest } from "./list.ts";
import { listObjects } from "./list.ts";
import { patchObject } from "./patch.ts";
import { bindPod, evictPod, finalizeNamespace, success } from "./pod-subresources.ts";
import { getScale, patchScale, updateScale } from "./scale.ts";
import type { WatchRequest, WatchStream } from "./watch.ts";
import { watchObjects } from "./watch.ts";
import type { WriteOptions, Written } from "./write.ts";
import { createObject, updateObject } from "./write.ts";

/** What a call writes, and where. */
export interface Target {
  readonly kind: Kind;
  readonly ref: Ref;
  readonly subresource?: string | undefined;
}

/** Subresources that are the object itself, in part. */
const partial = new Set(["status", "ephemeralcontainers", "resize"]);
const workloads = new Set(["deployments", "replicasets", "statefulsets"]);

/** Kinds whose delete answers with the object even when it is gone (A17). */
const answeredInFull = new Set(["/pods", "/services", "/serviceaccounts", "/namespaces"]);

export class Verbs {
  readonly context: ApiContext;
  readonly #identities: Identities;

  constructor(context: ApiContext, identities: Identities) {
    this.context = context;
    this.#identities = identities;
  }

  get({ kind, ref, subresource }: Target): AnyObject {
    this.#allow(kind, "get");
    if (subresource === undefined || this.#isPart(kind, subresource)) return getDurable(this.context, kind, ref);
    if (subresource === "scale" && hasScale(kind)) return getScale(this.context, kind, ref);
    throw noSuchPath();
  }

  list(kind: Kind, request: ListRequest): Listed {
    this.#allow(kind, "list");
    return listObjects(this.context, kind, request);
  }

  watch(kind: Kind, request: WatchRequest): WatchStream {
    this.#allow(kind, "watch");
    return watchObjects(this.context, kind, request);
  }

  async create(
    kind: Kind,
    namespace: string | undefined,
    body: unknown,
    { asker, ...options }: WriteOptions & { readonly asker: User },
  ): Promise<Written> {
    this.#allow(kind, "create");
    if (isReview(kind)) return { object: answerReview(this.#identities, kind, asker, body), isCreated: true };
    const definition = kind.isCustom ? this.#definitionOf(kind) : undefined;
    if (definition?.metadata.deletionTimestamp !== undefined) throw methodNotAllowed();
    return createObject(this.context, kind, { namespace }, body, options);
  }

  /** POST below an object. */
  async post({ kind, ref, subresource }: Target, body: unknown): Promise<AnyObject> {
    switch (`${kind.type.group}/${kind.type.plural}/${subresource}`) {
      case "/pods/binding":
        return bindPod(this.context, kind, ref, body);
      case "/pods/eviction":
        return evictPod(this.context, kind, ref, body);
      case "/serviceaccounts/token":
        return requestToken(this.#identities, ref, body);
      default:
        throw subresource !== undefined && kind.subresources.includes(subresource) ? methodNotAllowed() : noSuchPath();
    }
  }

  async update(target: Target, body: unknown, options: WriteOptions): Promise<Written> {
    const { kind, ref, subresource } = target;
    this.#allow(kind, "update");
    if (subresource === "scale" && hasScale(kind)) {
      return { object: await updateScale(this.context, kind, ref, body, options), isCreated: false };
    }
    if (subresource === "finalize" && kind.type.plural === "namespaces") {
      return finalizeNamespace(this.context, kind, ref, body, options);
    }
    this.#checkPart(kind, subresource);
    return updateObject(this.context, kind, getLive(this.context, kind, ref), body, { ...options, subresource });
  }

  async patch(target: Target, patch: Patch, options: WriteOptions): Promise<Written> {
    const { kind, ref, subresource } = target;
    this.#allow(kind, "patch");
    if (subresource === "scale" && hasScale(kind)) {
      return { object: await patchScale(this.context, kind, ref, patch, options), isCreated: false };
    }
    this.#checkPart(kind, subresource);
    return patchObject(this.context, kind, ref, patch, { ...options, subresource });
  }

  /** The answer of a DELETE: the object while it stays or for some kinds, else a Status with its uid. */
  async delete({ kind, ref }: Target, request: DeleteRequest): Promise<AnyObject> {
    this.#allow(kind, "delete");
    const live = getLive(this.context, kind, ref);
    const { object, isGone } = await deleteObject(this.context, kind, live, request);
    const { group, plural } = kind.type;
    if (!isGone || answeredInFull.has(`${group}/${plural}`)) return object;
    const details = { name: ref.name, ...(group === "" ? {} : { group }), kind: plural, uid: live.metadata.uid };
    return success(200, details);
  }

  async deleteCollection(kind: Kind, selection: ListRequest, request: DeleteRequest): Promise<Listed> {
    this.#allow(kind, "deletecollection");
    const listed = listObjects(this.context, kind, selection);
    const items: AnyObject[] = [];
    for (const object of listed.items) items.push((await deleteObject(this.context, kind, object, request)).object);
    return { items, resourceVersion: String(this.context.store.revision) };
  }

  #definitionOf({ type }: Kind): AnyObject | undefined {
    return this.context.store.get("apiextensions.k8s.io/customresourcedefinitions", `${type.plural}.${type.group}`);
  }

  #allow(kind: Kind, verb: string): void {
    if (!kind.verbs.includes(verb)) throw methodNotAllowed();
  }

  #isPart(kind: Kind, subresource: string): boolean {
    return partial.has(subresource) && kind.subresources.includes(subresource);
  }

  #checkPart(kind: Kind, subresource: string | undefined): void {
    if (subresource !== undefined && !this.#isPart(kind, subresource)) throw noSuchPath();
  }
}

const hasScale = (kind: Kind): boolean =>
  kind.subresources.includes("scale") &&
  (kind.isCustom ? kind.scalePaths !== undefined : workloads.has(kind.type.plural));

/** A list as the API writes it; items of built-in kinds leave out what the list says already. */
export function listBody(kind: Kind, listed: Listed): AnyObject {
  const { continue: next, remainingItemCount, resourceVersion } = listed;
  const metadata = {
    ...(next === undefined ? {} : { continue: next }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
    resourceVersion,
  };
  return {
    kind: kind.listKind,
    apiVersion: apiVersionOf(kind.type),
    // Lists have metadata of their own, without a name.
    metadata: metadata as unknown as AnyObject["metadata"],
    items: kind.isCustom ? listed.items : listed.items.map(withoutTypes),
  };
}

function withoutTypes(object: AnyObject): object {
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  return rest;
}
