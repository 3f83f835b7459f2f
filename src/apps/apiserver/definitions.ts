/**
 * Follows the CustomResourceDefinitions in the store: their kinds are served from the moment they are stored, their
 * status says so, and with the definition its objects go (A37). Owns no state but what it waits for.
 */
import type { AnyObject } from "../../core/api/kube.ts";
import { isoSeconds } from "../../io/host/iso-time.ts";
import type { ApiContext } from "./api/context.ts";
import { bucketOf, keyOf } from "./api/context.ts";
import { deleteObject } from "./api/delete.ts";
import { isEqual } from "./api/json.ts";
import type { Registry } from "./crd/registry.ts";
import type { Change } from "./store/history.ts";

const bucket = "apiextensions.k8s.io/customresourcedefinitions";
const retryMs = 2_000;
const cleanup = "customresourcecleanup.apiextensions.k8s.io";

/** Serves what is stored already, and then every change. Returns what ends it. */
export function followDefinitions(context: ApiContext, registry: Registry): () => void {
  const { store, host } = context;
  const draining = new Set<string>();
  const settle = (name: string) => {
    // Writes wait until every hearer of the change that brought us here has heard it.
    queueMicrotask(() => {
      settleNow(context, registry, name, draining).catch((cause: unknown) => {
        host.log.error("apiserver.definition.failed", { name, cause: String(cause) });
        // The disk refused; the definition must not stay as if nobody had looked at it.
        if (store.failure !== undefined) host.clock.after(retryMs, () => settle(name));
      });
    });
  };
  const heard = (change: Change) => {
    if (change.type === "DELETED") registry.remove(change.key);
    else {
      registry.put(change.object, isoSeconds(host.clock.now()));
      settle(change.key);
    }
  };
  for (const definition of store.list(bucket)) {
    registry.put(definition, isoSeconds(host.clock.now()));
    settle(definition.metadata.name);
  }
  return store.watch(bucket, store.revision, heard);
}

async function settleNow(context: ApiContext, registry: Registry, name: string, draining: Set<string>): Promise<void> {
  const definition = context.store.get(bucket, name);
  if (definition === undefined) return;
  const isGoing = definition.metadata.deletionTimestamp !== undefined;
  if (isGoing && (definition.metadata.finalizers ?? []).includes(cleanup)) {
    if (draining.has(name)) return;
    draining.add(name);
    try {
      await drain(context, registry, name);
    } finally {
      draining.delete(name);
    }
    return;
  }
  const status = registry.put(definition, isoSeconds(context.host.clock.now()));
  const finalizers = definition.metadata.finalizers ?? [];
  const next: AnyObject = { ...definition, status };
  if (!isGoing && !finalizers.includes(cleanup)) {
    next.metadata = { ...definition.metadata, finalizers: [...finalizers, cleanup] };
  }
  if (isEqual(next, definition)) return;
  context.store.put(bucket, name, next);
  await context.store.durable();
}

/** Deletes all objects of the definition's kinds, waits for those with finalizers, and then lets the definition go. */
async function drain(context: ApiContext, registry: Registry, name: string): Promise<void> {
  const { store } = context;
  const kind = registry.kindsOf(name)[0];
  if (kind !== undefined) {
    const objects = bucketOf(kind.type);
    for (const object of store.list(objects)) await deleteObject(context, kind, object, {});
    await new Promise<void>((resolve) => {
      const isEmpty = () => store.list(objects).length === 0;
      if (isEmpty()) return resolve();
      const stop = store.watch(objects, store.revision, () => {
        if (!isEmpty()) return;
        stop();
        queueMicrotask(resolve);
      });
    });
  }
  const definition = store.get(bucket, name);
  if (definition === undefined) return;
  const finalizers = (definition.metadata.finalizers ?? []).filter((finalizer) => finalizer !== cleanup);
  const next: AnyObject = { ...definition, metadata: { ...definition.metadata, finalizers } };
  if (finalizers.length === 0) store.remove(bucket, keyOf(definition.metadata), next);
  else store.put(bucket, keyOf(definition.metadata), next);
  await store.durable();
}
