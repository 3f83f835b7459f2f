/** Defaults and rules of the small kinds of the core group. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { forbidden, immutable, invalid, required, tooLong, unsupported } from "../causes.ts";
import { isEqualJson, isObject, objectAt, objectsAt, textAt } from "../json.ts";

const dataBytesMax = 1024 * 1024;
const dataKey = /^[-._a-zA-Z0-9]{1,253}$/;
const keyDetail =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or " +
  "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const checkKeys = (data: unknown, path: string): Cause[] =>
  Object.keys(objectAt(data))
    .filter((key) => !dataKey.test(key) || key === "." || key === "..")
    .map((key) => invalid(`${path}[${key}]`, key, keyDetail));

const sizeOf = (data: unknown): number =>
  Object.values(objectAt(data)).reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0);

const checkImmutable = (object: AnyObject, old: AnyObject | undefined, fields: readonly string[]): Cause[] => {
  if (old?.["immutable"] !== true) return [];
  const causes: Cause[] = [];
  if (object["immutable"] !== true) causes.push(forbidden("immutable", "field is immutable when `immutable` is set"));
  for (const field of fields) {
    if (isEqualJson(objectAt(object, field), objectAt(old, field))) continue;
    causes.push(forbidden(field, "field is immutable when `immutable` is set"));
  }
  return causes;
};

export const checkConfigMap = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = [...checkKeys(object["data"], "data"), ...checkKeys(object["binaryData"], "binaryData")];
  for (const key of Object.keys(objectAt(object, "binaryData"))) {
    if (Object.hasOwn(objectAt(object, "data"), key))
      causes.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
  }
  if (sizeOf(object["data"]) + sizeOf(object["binaryData"]) > dataBytesMax) causes.push(tooLong("", dataBytesMax));
  return [...causes, ...checkImmutable(object, old, ["data", "binaryData"])];
};

/** Keys that a secret of a type must have. */
const secretKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

const checkDockerConfiguration = (value: unknown): Cause[] => {
  if (typeof value !== "string") return [];
  const text = Buffer.from(value, "base64").toString();
  try {
    JSON.parse(text);
    return [];
  } catch {
    const begin = text.trimStart()[0];
    const why =
      begin === undefined
        ? "unexpected end of JSON input"
        : `invalid character '${begin}' looking for beginning of value`;
    return [invalid("data[.dockerconfigjson]", "<secret contents redacted>", why)];
  }
};

export const checkNode = (object: AnyObject): readonly Cause[] => {
  const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
  return objectsAt(object, "spec", "taints").flatMap((taint, index) => {
    const effect = textAt(taint, "effect");
    return effect === "" || effects.includes(effect)
      ? []
      : [unsupported(`metadata.taints[${index}].effect`, effect, effects)];
  });
};

export const checkSecret = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const causes = checkKeys(object["data"], "data");
  if (sizeOf(object["data"]) > (dataBytesMax * 4) / 3) causes.push(tooLong("data", dataBytesMax));
  const type = textAt(object, "type");
  if (old !== undefined && textAt(old, "type") !== type) causes.push(invalid("type", type, immutable));
  const data = objectAt(object, "data");
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    causes.push(required("data[username]"), required("data[password]"));
  }
  if (type === "kubernetes.io/dockerconfigjson") causes.push(...checkDockerConfiguration(data[".dockerconfigjson"]));
  for (const key of secretKeys[type] ?? []) {
    if (!Object.hasOwn(objectAt(object, "data"), key)) causes.push(required(`data[${key}]`));
  }
  return [...causes, ...checkImmutable(object, old, ["data"])];
};

export const checkEvent = (object: AnyObject): readonly Cause[] => {
  const about = objectAt(object, "involvedObject");
  const namespace = textAt(about, "namespace");
  const own = object.metadata.namespace ?? "";
  const isFine = namespace === "" ? own === "default" || own === "kube-system" : namespace === own;
  return isFine || !isObject(object["involvedObject"])
    ? []
    : [invalid("involvedObject.namespace", namespace, "does not match event.namespace")];
};
