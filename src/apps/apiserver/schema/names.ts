/** The forms that names, labels and annotations may have, with the words of the API for what is wrong. */
import type { Cause } from "../kind.ts";
import type { NameForm } from "./declaration.ts";
import { forbidden, invalid, required, tooLong } from "./causes.ts";
import { isObject, objectAt, objectsAt, textAt } from "./json.ts";

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const label1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualified = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelText = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const annotationsBytesMax = 256 * 1024;

const inner = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const used = (pattern: string): string => `regex used for validation is '${pattern}'`;

const labelDetail =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with " +
  `an alphanumeric character (e.g. 'my-name',  or '123-abc', ${used(inner)})`;
const subdomainDetail =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  `end with an alphanumeric character (e.g. 'example.com', ${used(`${inner}(\\.${inner})*`)})`;
const label1035Detail =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and " +
  `end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', ${used("[a-z]([-a-z0-9]*[a-z0-9])?")})`;
const labelValueDetail =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  `with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', ` +
  `${used("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")})`;
const qualifiedDetail =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric " +
  `character (e.g. 'MyName',  or 'my.name',  or '123-abc', ${used("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")})`;

const qualifiedKeyDetail =
  `a qualified ${qualifiedDetail.replace("name part", "name")} ` +
  "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

const longDetail = (max: number): string => `must be no more than ${max} characters`;

/** What is wrong with a name, or undefined. */
export const nameProblem = (name: string, form: NameForm): string | undefined => {
  switch (form) {
    case "label":
      if (name.length > 63) return longDetail(63);
      if (label.test(name)) return undefined;
      return subdomain.test(name) ? "must not contain dots" : labelDetail;
    case "label1035":
      if (name.length > 63) return longDetail(63);
      return label1035.test(name) ? undefined : label1035Detail;
    case "subdomain":
      if (name.length > 253) return longDetail(253);
      return subdomain.test(name) ? undefined : subdomainDetail;
    case "path":
      if (name === "." || name === "..") return `may not be '${name}'`;
      return /[/%]/.test(name) ? `may not contain '${name.includes("/") ? "/" : "%"}'` : undefined;
    case "any":
      return undefined;
  }
};

export const qualifiedNameProblem = (name: string): string | undefined => {
  const parts = name.split("/");
  const [prefix, last] = parts.length === 2 ? [parts[0] ?? "", parts[1] ?? ""] : [undefined, name];
  if (parts.length > 2 || prefix === "") return qualifiedKeyDetail;
  if (prefix !== undefined && nameProblem(prefix, "subdomain") !== undefined) return `prefix part ${subdomainDetail}`;
  if (last.length === 0) return "name part must be non-empty";
  if (last.length > 63) return `name part ${longDetail(63)}`;
  return qualified.test(last) ? undefined : qualifiedDetail;
};

const labelValueProblem = (value: string): string | undefined =>
  value.length > 63 ? longDetail(63) : labelText.test(value) ? undefined : labelValueDetail;

export const checkLabels = (labels: unknown, path: string): Cause[] => {
  if (!isObject(labels)) return [];
  return Object.entries(labels).flatMap(([key, value]) => {
    const keyProblem = qualifiedNameProblem(key);
    const problem = typeof value === "string" ? labelValueProblem(value) : undefined;
    return [
      ...(keyProblem === undefined ? [] : [invalid(path, key, keyProblem)]),
      ...(problem === undefined ? [] : [invalid(path, value, problem)]),
    ];
  });
};

/** Metadata of any object: name, labels, annotations, owners, finalizers. */
export const checkMetadata = (object: unknown, form: NameForm, isNamespaced: boolean): Cause[] => {
  const metadata = objectAt(object, "metadata");
  const causes: Cause[] = [];
  const name = textAt(metadata, "name");
  const generated = textAt(metadata, "generateName");
  if (form !== "any") {
    if (name === "" && generated === "") causes.push(required("metadata.name", "name or generateName is required"));
    const problem = name === "" ? undefined : nameProblem(name, form);
    if (problem !== undefined) causes.push(invalid("metadata.name", name, problem));
  }
  const namespace = textAt(metadata, "namespace");
  if (!isNamespaced && namespace !== "") causes.push(forbidden("metadata.namespace", "not allowed on this type"));
  if (isNamespaced && namespace !== "") {
    const problem = nameProblem(namespace, "label");
    if (problem !== undefined) causes.push(invalid("metadata.namespace", namespace, problem));
  }
  causes.push(...checkLabels(metadata["labels"], "metadata.labels"));
  causes.push(...checkAnnotations(metadata["annotations"]));
  objectsAt(metadata, "ownerReferences").forEach((owner, index) => {
    for (const field of ["apiVersion", "kind", "name", "uid"]) {
      const path = `metadata.ownerReferences[${index}].${field}`;
      if (textAt(owner, field) === "") causes.push(invalid(path, "", `${field} must not be empty`));
    }
  });
  const controllers = objectsAt(metadata, "ownerReferences").filter((owner) => owner["controller"] === true);
  if (controllers.length > 1) {
    causes.push(invalid("metadata.ownerReferences", controllers.length, "Only one reference can have Controller set"));
  }
  return causes;
};

const checkAnnotations = (annotations: unknown): Cause[] => {
  if (!isObject(annotations)) return [];
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem !== undefined) causes.push(invalid("metadata.annotations", key, problem));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(typeof value === "string" ? value : "");
  }
  if (bytes > annotationsBytesMax) causes.push(tooLong("metadata.annotations", annotationsBytesMax));
  return causes;
};

/** A label selector as built-in kinds have it. */
export const checkLabelSelector = (selector: unknown, path: string): Cause[] => {
  const causes = checkLabels(objectAt(selector, "matchLabels"), `${path}.matchLabels`);
  objectsAt(selector, "matchExpressions").forEach((expression, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const operator = textAt(expression, "operator");
    const values = expression["values"];
    const count = Array.isArray(values) ? values.length : 0;
    const wantsValues = operator === "In" || operator === "NotIn";
    if (wantsValues && count === 0) {
      causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
    if (!wantsValues && count > 0) {
      causes.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    }
    const problem = qualifiedNameProblem(textAt(expression, "key"));
    if (problem !== undefined) causes.push(invalid(`${at}.key`, textAt(expression, "key"), problem));
  });
  return causes;
};
