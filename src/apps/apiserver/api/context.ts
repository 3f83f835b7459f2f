/** What every verb works with, and how a kind's objects lie in the store. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Ref } from "../../../io/kube/client.ts";
import type { Kind, KindRegistry } from "../kind.ts";
import type { Store } from "../store/store.ts";
import { notFound } from "./errors.ts";
import { clone } from "./json.ts";

export interface ApiContext {
  readonly host: Host;
  readonly store: Store;
  readonly registry: KindRegistry;
  /** IPv4, e.g. `10.96.0.0/16`. */
  readonly serviceCidr: string;
}

/** Who asks. `groups` holds `system:masters` for the admin. */
export interface User {
  readonly username: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

export const bucketOf = (type: { readonly group: string; readonly plural: string }): string =>
  `${type.group}/${type.plural}`;

export const keyOf = (ref: Ref): string => (ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`);

export const storedApiVersion = (kind: Kind): string => apiVersionOf({ ...kind.type, version: kind.storageVersion });

const readings = new WeakMap<Kind, WeakMap<AnyObject, AnyObject>>();

/**
 * A stored object as its kind's version shows it: rewritten `apiVersion`, and for custom kinds today's defaults (A38).
 * The result is shared; do not change it.
 */
export function readAs(kind: Kind, stored: AnyObject): AnyObject {
  const apiVersion = apiVersionOf(kind.type);
  if (!kind.isCustom && stored.apiVersion === apiVersion) return stored;
  let known = readings.get(kind);
  if (known === undefined) readings.set(kind, (known = new WeakMap()));
  let object = known.get(stored);
  if (object === undefined) {
    object = { ...clone(stored), apiVersion };
    kind.fillDefaults(object, undefined);
    known.set(stored, object);
  }
  return object;
}

/** As writers see it. */
export function findLive(context: ApiContext, kind: Kind, ref: Ref): AnyObject | undefined {
  const stored = context.store.get(bucketOf(kind.type), keyOf(ref));
  return stored === undefined ? undefined : readAs(kind, stored);
}

/** As readers see it: never with a write that is not durable. */
export function getDurable(context: ApiContext, kind: Kind, ref: Ref): AnyObject {
  const stored = context.store.read(bucketOf(kind.type), keyOf(ref));
  if (stored === undefined) throw notFound(kind.type, ref.name);
  return readAs(kind, stored);
}

export function getLive(context: ApiContext, kind: Kind, ref: Ref): AnyObject {
  const live = findLive(context, kind, ref);
  if (live === undefined) throw notFound(kind.type, ref.name);
  return live;
}
