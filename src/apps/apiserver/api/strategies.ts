/** What the API server itself does to some built-in kinds on their way into the store. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { fieldsOf, listOf } from "./json.ts";
import { admitPod, keepPodFields } from "./pods.ts";
import { prepareService, updateService } from "./services.ts";

/** Both prepare calls change `object` in place, after defaults and before validation. */
export interface Strategy {
  prepareCreate?(context: ApiContext, object: AnyObject): void;
  prepareUpdate?(context: ApiContext, object: AnyObject, live: AnyObject, subresource: string | undefined): void;
  /** True keeps a deleted object although it has no finalizers in its metadata. */
  isHeld?(object: AnyObject): boolean;
}

const namespaceFinalizers = (object: AnyObject): readonly unknown[] => listOf(fieldsOf(object["spec"])["finalizers"]);

function prepareNamespace(object: AnyObject): void {
  object.metadata.labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
}

/** `stringData` is only for writing. */
function foldStringData(object: AnyObject): void {
  const { stringData } = object;
  delete object["stringData"];
  object["type"] ??= "Opaque";
  if (stringData === undefined) return;
  const encoded = Object.entries(fieldsOf(stringData)).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString("base64"),
  ]);
  object["data"] = { ...fieldsOf(object["data"]), ...Object.fromEntries(encoded) };
}

const strategies: Readonly<Record<string, Strategy>> = {
  "/namespaces": {
    prepareCreate(_context, object) {
      prepareNamespace(object);
      object["spec"] = { finalizers: ["kubernetes"] };
      object["status"] = { phase: "Active" };
    },
    prepareUpdate(_context, object, live, subresource) {
      prepareNamespace(object);
      if (subresource === "finalize") return;
      object["spec"] = live["spec"];
      if (live.metadata.deletionTimestamp !== undefined) {
        object["status"] = { ...fieldsOf(object["status"]), phase: "Terminating" };
      }
    },
    isHeld: (object) => namespaceFinalizers(object).length > 0,
  },
  "/secrets": {
    prepareCreate: (_context, object) => foldStringData(object),
    prepareUpdate: (_context, object) => foldStringData(object),
  },
  "/services": { prepareCreate: prepareService, prepareUpdate: updateService },
  "/pods": { prepareCreate: admitPod, prepareUpdate: keepPodFields },
};

const noStrategy: Strategy = {};
const plainBuiltin: Strategy = {
  prepareCreate(_context, object) {
    object["status"] ??= {};
  },
};

export function strategyOf(kind: Kind): Strategy {
  if (kind.isCustom) return noStrategy;
  const own = strategies[`${kind.type.group}/${kind.type.plural}`];
  return own ?? (kind.subresources.includes("status") ? plainBuiltin : noStrategy);
}
