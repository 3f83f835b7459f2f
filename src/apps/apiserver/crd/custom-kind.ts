/** Makes the kinds, one per served version, that a CustomResourceDefinition describes (A37, A38). */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Cause, Kind, Schema } from "../kind.ts";
import { objectMeta } from "../schema/builtin/meta.ts";
import { storedVerbs } from "../schema/builtin.ts";
import { fillSchemaDefaults } from "../schema/defaults.ts";
import { isObject, type JsonObject, listAt, objectAt, objectsAt, textAt } from "../schema/json.ts";
import { checkMetadata } from "../schema/names.ts";
import { pruneObject } from "../schema/prune.ts";
import { type Found, validateSchema } from "../schema/validate.ts";
import { customPrinter } from "./custom-columns.ts";
import { checkRules, hasRules, skippedRules } from "./rules.ts";

const textsAt = (holder: unknown, name: string): readonly string[] =>
  listAt(holder, name).filter((one): one is string => typeof one === "string");

/** Every served version of the definition. */
export const customKinds = (definition: AnyObject): readonly Kind[] => {
  const spec = objectAt(definition, "spec");
  const stored = objectsAt(spec, "versions").find((version) => version["storage"] === true);
  return objectsAt(spec, "versions")
    .filter((version) => version["served"] === true)
    .map((version) => customKind(spec, version, textAt(stored, "name")));
};

const customKind = (spec: JsonObject, version: JsonObject, storageVersion: string): Kind => {
  const names = objectAt(spec, "names");
  const kind = textAt(names, "kind");
  const schema = rootSchema(version, kind);
  const printer = customPrinter(version);
  const scale = objectAt(version, "subresources", "scale");
  const hasScale = Object.keys(scale).length > 0;
  const hasStatus = objectAt(version, "subresources")["status"] !== undefined;
  const selector = textAt(scale, "labelSelectorPath");
  const isNamespaced = spec["scope"] === "Namespaced";
  const plural = textAt(names, "plural");
  return {
    type: { group: textAt(spec, "group"), version: textAt(version, "name"), kind, plural, namespaced: isNamespaced },
    singular: textAt(names, "singular") || kind.toLowerCase(),
    listKind: textAt(names, "listKind") || `${kind}List`,
    shortNames: textsAt(names, "shortNames"),
    categories: textsAt(names, "categories"),
    storageVersion,
    verbs: storedVerbs,
    schema,
    isCustom: true,
    hasGeneration: true,
    subresources: [...(hasScale ? ["scale"] : []), ...(hasStatus ? ["status"] : [])],
    ...(hasScale
      ? {
          scalePaths: {
            spec: textAt(scale, "specReplicasPath"),
            status: textAt(scale, "statusReplicasPath"),
            ...(selector === "" ? {} : { selector }),
          },
        }
      : {}),
    selectableFields: objectsAt(version, "selectableFields").map((field) =>
      textAt(field, "jsonPath").replace(/^\./, ""),
    ),
    columns: printer.columns,
    cells: (object, nowMs) => printer.cells(object, nowMs),
    prune: (object) => pruneObject(object, schema, { metadata: objectMeta.schema, dropNulls: false }),
    fillDefaults: (object) => fillSchemaDefaults(object, schema),
    validate: (object, old) => validateCustom(object, old, schema, isNamespaced),
  };
};

/** The schema of the version, with what every object has. */
const rootSchema = (version: JsonObject, kind: string): Schema => {
  const given = objectAt(version, "schema")["openAPIV3Schema"];
  // `checkDefinition` has refused what is not a structural schema.
  const schema = (isObject(given) ? given : { type: "object" }) as Schema;
  const metadata = schema.properties?.["metadata"];
  return {
    ...schema,
    properties: {
      ...schema.properties,
      apiVersion: { type: "string", description: "Group and version of this object." },
      kind: { type: "string", description: "Kind of this object." },
      metadata: metadata === undefined ? objectMeta.schema : withMetadataRules(metadata),
    },
    "x-tombolo-type": kind,
  };
};

/** A CRD may limit the name of its objects; all else of `metadata` is the same for all kinds. */
const withMetadataRules = (metadata: Schema): Schema => {
  const name = metadata.properties?.["name"];
  const base = objectMeta.schema;
  if (name === undefined) return base;
  return { ...base, properties: { ...base.properties, name: { ...base.properties?.["name"], ...name } } };
};

const validateCustom = (
  object: AnyObject,
  old: AnyObject | undefined,
  schema: Schema,
  isNamespaced: boolean,
): readonly Cause[] => {
  const found = validateSchema(object, schema, "", true);
  const before = old === undefined ? undefined : validateSchema(old, schema, "", true);
  const causes = [...checkMetadata(object, "subdomain", isNamespaced), ...unratcheted(found, before)];
  if (!hasRules(schema)) return causes;
  if (found.blocksRules) return causes.length === 0 ? causes : [...causes, skippedRules];
  return [...causes, ...checkRules(object, old, schema)];
};

/** What was wrong before may stay as it was: an object can be changed although its schema became stricter. */
const unratcheted = (found: Found, before: Found | undefined): readonly Cause[] => {
  if (before === undefined) return found.causes;
  const known = new Set(before.causes.map((cause) => `${cause.field}\n${cause.message}`));
  return found.causes.filter((cause) => !known.has(`${cause.field}\n${cause.message}`));
};
