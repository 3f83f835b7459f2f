/** Defaults and rules of CustomResourceDefinition objects themselves (A37): names, versions, structural schemas, rules. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Cause, Schema, ValidationRule } from "../kind.ts";
import { duplicate, forbidden, immutable, invalid, required, unsupported } from "../schema/causes.ts";
import { compilePattern } from "../schema/formats.ts";
import {
  ensureObject,
  isEqualJson,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  objectsAt,
  setIfAbsent,
  textAt,
} from "../schema/json.ts";
import { nameProblem } from "../schema/names.ts";
import { validateSchema } from "../schema/validate.ts";
import { compileRule } from "./cel-program.ts";

export const fillDefinitionDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  const names = ensureObject(spec, "names");
  const kind = textAt(names, "kind");
  if (textAt(names, "singular") === "") names["singular"] = kind.toLowerCase();
  if (textAt(names, "listKind") === "") names["listKind"] = `${kind}List`;
  setIfAbsent(spec, "conversion", { strategy: "None" });
};

export const checkDefinition = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const spec = objectAt(object, "spec");
  const group = textAt(spec, "group");
  const plural = textAt(spec, "names", "plural");
  const causes: Cause[] = [];
  const expected = `${plural}.${group}`;
  if (object.metadata.name !== expected) {
    causes.push(invalid("metadata.name", object.metadata.name, `must be spec.names.plural+"."+spec.group`));
  }
  if (!group.includes(".")) causes.push(invalid("spec.group", group, "should be a domain with at least one dot"));
  for (const field of ["plural", "singular"]) causes.push(...checkLabel(spec, field));
  if (textAt(spec, "conversion", "strategy") === "Webhook") {
    causes.push(unsupported("spec.conversion.strategy", "Webhook", ["None"]));
  }
  causes.push(...checkVersions(spec));
  if (old === undefined) causes.push(...checkApproval(object, group));
  else {
    for (const field of ["group", "scope"]) {
      if (spec[field] !== objectAt(old, "spec")[field]) causes.push(invalid(`spec.${field}`, spec[field], immutable));
    }
  }
  return causes;
};

const approvalAnnotation = "api-approved.kubernetes.io";

/** Groups of Kubernetes itself are protected (KEP-2337): a definition says where it was approved, or that it was not. */
function checkApproval({ metadata }: AnyObject, group: string): Cause[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return [];
  const field = `metadata.annotations[${approvalAnnotation}]`;
  const why = `protected groups must have approval annotation "${approvalAnnotation}"`;
  const see = "see https://github.com/kubernetes/enhancements/pull/1111";
  const value = metadata.annotations?.[approvalAnnotation] ?? "";
  if (value === "") return [required(field, `${why}, ${see}`)];
  if (value.startsWith("unapproved") || URL.canParse(value)) return [];
  return [invalid(field, value, `${why} with either a URL or a reason starting with "unapproved", ${see}`)];
}

const checkLabel = (spec: JsonObject, field: string): Cause[] => {
  const name = textAt(spec, "names", field);
  const problem = name === "" ? undefined : nameProblem(name, "label1035");
  return problem === undefined ? [] : [invalid(`spec.names.${field}`, name, problem)];
};

const checkVersions = (spec: JsonObject): Cause[] => {
  const causes: Cause[] = [];
  const versions = objectsAt(spec, "versions");
  if (versions.length === 0) causes.push(required("spec.versions", "must have at least one version"));
  const stored = versions.filter((version) => version["storage"] === true);
  if (versions.length > 0 && stored.length !== 1) {
    causes.push(invalid("spec.versions", stored.length, "must have exactly one version marked as storage version"));
  }
  const names = new Set<string>();
  versions.forEach((version, index) => {
    const at = `spec.versions[${index}]`;
    const name = textAt(version, "name");
    if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    names.add(name);
    const schema = schemaOf(version);
    if (!isObject(schema)) {
      causes.push(required(`${at}.schema.openAPIV3Schema`));
      return;
    }
    // The API tells of a schema that all versions share once, and by the name that it had before there were versions.
    const isShared = versions.every((other) => isEqualJson(schemaOf(other), schema));
    if (isShared && index > 0) return;
    const place = isShared ? "spec.validation.openAPIV3Schema" : `${at}.schema.openAPIV3Schema`;
    if (schema["type"] !== "object") {
      causes.push(invalid(`${place}.type`, schema["type"], "must be object at the root"));
    }
    // A CRD's schema is JSON by the API; each keyword is read with care where it is used.
    causes.push(...checkSchema(schema as Schema, place));
  });
  return causes;
};

const schemaOf = (version: JsonObject): unknown => objectAt(version, "schema")["openAPIV3Schema"];

/** More problems than this in one schema help nobody. */
const schemaCausesMax = 20;

const checkSchema = (root: Schema, path: string): Cause[] => {
  const causes: Cause[] = [];
  const visit = (schema: Schema, at: string): void => {
    if (causes.length >= schemaCausesMax || schema === null) return;
    causes.push(...checkOneSchema(schema, at));
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      visit(property, `${at}.properties[${name}]`);
    if (schema.items !== undefined) visit(schema.items, `${at}.items`);
    if (typeof schema.additionalProperties === "object")
      visit(schema.additionalProperties, `${at}.additionalProperties`);
  };
  visit(withImplied(root), path);
  return causes;
};

/** Every object has these, whether its schema says so or not; rules may name them. */
const withImplied = (root: Schema): Schema => ({
  ...root,
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    ...root.properties,
  },
});

/** A rule as the API shows it in what it says of it. */
const shownRule = (rule: ValidationRule) => ({
  Rule: rule.rule,
  Message: rule.message ?? "",
  MessageExpression: rule.messageExpression ?? "",
  Reason: rule.reason ?? null,
  FieldPath: rule.fieldPath ?? "",
  OptionalOldSelf: rule.optionalOldSelf ?? null,
});

const checkDefault = (schema: Schema, at: string): readonly Cause[] =>
  validateSchema(schema.default, schema, "", true).causes.map((cause) => ({
    ...cause,
    field: cause.field === "" ? `${at}.default` : `${at}.default.${cause.field}`,
    message: cause.message.replace('""', ""),
  }));

const checkOneSchema = (schema: Schema, at: string): Cause[] => {
  const causes: Cause[] = [];
  const isFree =
    schema["x-kubernetes-preserve-unknown-fields"] === true || schema["x-kubernetes-int-or-string"] === true;
  if (schema.type === undefined && !isFree)
    causes.push(required(`${at}.type`, "must not be empty for specified object fields"));
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) {
    causes.push(forbidden(`${at}.additionalProperties`, "additionalProperties and properties are mutual exclusive"));
  }
  if (schema.type === "array" && schema.items === undefined) causes.push(required(`${at}.items`, "must be specified"));
  if (schema.pattern !== undefined) {
    const compiled = compilePattern(schema.pattern);
    if (compiled instanceof Error) {
      causes.push(
        invalid(`${at}.pattern`, schema.pattern, `must be a valid regular expression, but isn't: ${compiled.message}`),
      );
    }
  }
  if (schema["x-kubernetes-list-type"] === "map" && listAt(schema, "x-kubernetes-list-map-keys").length === 0) {
    causes.push(required(`${at}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
  }
  (schema["x-kubernetes-validations"] ?? []).forEach((rule, index) => {
    const place = `${at}.x-kubernetes-validations[${index}]`;
    const sources = [
      ["rule", rule.rule],
      ["messageExpression", rule.messageExpression],
    ] as const;
    for (const [field, source] of sources) {
      if (source === undefined) continue;
      const compiled = compileRule(source, schema);
      const shown = field === "rule" ? shownRule(rule) : source;
      if ("problem" in compiled) {
        causes.push(invalid(`${place}.${field}`, shown, `compilation failed: ${compiled.problem}`));
      } else if (field === "rule" && compiled.isNoCondition) {
        causes.push(invalid(`${place}.rule`, shown, "cel expression must evaluate to a bool"));
      }
    }
    if (rule.message?.includes("\n")) {
      causes.push(invalid(`${place}.message`, rule.message, "must not contain line breaks"));
    }
  });
  if (schema.default !== undefined) causes.push(...checkDefault(schema, at));
  return causes;
};
