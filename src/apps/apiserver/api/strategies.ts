/** What the API server itself does to some built-in kinds on their way into the store. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { fieldsOf, listOf } from "./json.ts";
import { admitPod, keepPodFields } from "./pods.ts";
import { allocateService, normalizeService, prepareService, updateService } from "./services.ts";

/** The calls change `object` in place, after its defaults: normalize, prepare, validation, allocate. */
export interface Strategy {
  /** What belongs to reading the object; the client owns the result. */
  normalize?(object: AnyObject): void;
  /** Gives out what the cluster has only once, to an object that is valid. */
  allocate?(context: ApiContext, object: AnyObject): void;
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

function fillEvent(object: AnyObject): void {
  for (const name of ["reportingComponent", "reportingInstance"]) object[name] ??= "";
  object["source"] ??= {};
}

/** A job tells its pods from those of other jobs by its uid. */
function prepareJob(_context: ApiContext, object: AnyObject): void {
  object["status"] ??= {};
  const spec = fieldsOf(object["spec"]);
  object["spec"] = spec;
  const { uid = "", name } = object.metadata;
  if (spec["manualSelector"] !== true) {
    const template = fieldsOf(spec["template"]);
    const metadata = fieldsOf(template["metadata"]);
    const labels = { ...fieldsOf(metadata["labels"]) };
    for (const prefix of ["batch.kubernetes.io/", ""]) {
      labels[`${prefix}controller-uid`] = uid;
      labels[`${prefix}job-name`] = name;
    }
    spec["template"] = { ...template, metadata: { ...metadata, labels } };
    const selector = fieldsOf(spec["selector"]);
    const own = { "batch.kubernetes.io/controller-uid": uid };
    spec["selector"] = { ...selector, matchLabels: { ...fieldsOf(selector["matchLabels"]), ...own } };
  }
  if (Object.keys(object.metadata.labels ?? {}).length > 0) return;
  // The labels that were just given are text.
  object.metadata.labels = {
    ...(fieldsOf(fieldsOf(fieldsOf(spec["template"])["metadata"])["labels"]) as Record<string, string>),
  };
}

/** Until the definition is served, its status says no more than this. */
function prepareDefinition(_context: ApiContext, object: AnyObject): void {
  const versions = listOf(fieldsOf(object["spec"])["versions"]).map(fieldsOf);
  const storedVersions = versions.filter((version) => version["storage"] === true).map((version) => version["name"]);
  object["status"] = { acceptedNames: { plural: "", kind: "" }, storedVersions };
}

const strategies: Readonly<Record<string, Strategy>> = {
  "/namespaces": {
    normalize: prepareNamespace,
    prepareCreate(_context, object) {
      object["spec"] = { finalizers: ["kubernetes"] };
      object["status"] = { phase: "Active" };
    },
    prepareUpdate(_context, object, live, subresource) {
      if (subresource === "finalize") return;
      object["spec"] = live["spec"];
      if (live.metadata.deletionTimestamp !== undefined) {
        object["status"] = { ...fieldsOf(object["status"]), phase: "Terminating" };
      }
    },
    isHeld: (object) => namespaceFinalizers(object).length > 0,
  },
  "/secrets": { normalize: foldStringData },
  "/services": {
    prepareCreate: prepareService,
    prepareUpdate: updateService,
    normalize: normalizeService,
    allocate: allocateService,
  },
  "/events": {
    prepareCreate: (_context, object) => fillEvent(object),
    prepareUpdate: (_context, object) => fillEvent(object),
  },
  "apps/statefulsets": {
    prepareCreate(_context, object) {
      fieldsOf(object["spec"])["serviceName"] ??= "";
      object["status"] ??= {};
    },
    prepareUpdate(_context, object) {
      fieldsOf(object["spec"])["serviceName"] ??= "";
    },
  },
  "batch/jobs": { prepareCreate: prepareJob },
  "apiextensions.k8s.io/customresourcedefinitions": { prepareCreate: prepareDefinition },
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
