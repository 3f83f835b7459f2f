/** Carries JSON into CEL by its schema: integers as int, objects as maps with CEL's spelling of field names (A39). */
import { type CelInput } from "@bufbuild/cel";
import { create } from "@bufbuild/protobuf";
import { DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { msOfIso } from "../../../io/host/iso-time.ts";
import type { Schema } from "../kind.ts";
import { isObject, type JsonObject } from "../schema/json.ts";
import { ownSchema } from "../schema/prune.ts";

/** Words of CEL: a field of such a name is spelled `__name__`. */
const reserved = new Set(
  ["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"].concat([
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
  ]),
);

const escapeField = (name: string): string => {
  if (reserved.has(name)) return `__${name}__`;
  return name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
};

export const unescapeField = (name: string): string => {
  const word = /^__(\w+)__$/.exec(name)?.[1];
  if (word !== undefined && reserved.has(word)) return word;
  return name
    .replaceAll("__slash__", "/")
    .replaceAll("__dash__", "-")
    .replaceAll("__dot__", ".")
    .replaceAll("__underscores__", "__");
};

export const toCel = (value: unknown, schema: Schema | undefined): CelInput => {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return numberOf(value, schema);
  if (typeof value === "string") return textOf(value, schema);
  if (typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  return isObject(value) ? mapOf(value, schema) : null;
};

const numberOf = (value: number, schema: Schema | undefined): CelInput =>
  schema?.type !== "number" && Number.isInteger(value) ? BigInt(value) : value;

const textOf = (value: string, schema: Schema | undefined): CelInput => {
  switch (schema?.format ?? "") {
    case "date-time": {
      const ms = msOfIso(value);
      return ms === undefined ? value : timestampFromMs(ms);
    }
    case "byte":
      return new Uint8Array(Buffer.from(value, "base64"));
    case "duration":
      return durationOf(value) ?? value;
    default:
      return value;
  }
};

const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

const durationOf = (text: string) => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)];
  if (parts.length === 0) return undefined;
  const sum = parts.reduce((total, [, count, unit = "s"]) => total + Number(count) * (unitSeconds[unit] ?? 1), 0);
  const seconds = text.startsWith("-") ? -sum : sum;
  const whole = Math.trunc(seconds);
  return create(DurationSchema, { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * 1e9) });
};

const mapOf = (value: JsonObject, schema: Schema | undefined): CelInput => {
  const map = new Map<string, CelInput>();
  const values = typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
  const hasFields = values === undefined && schema?.properties !== undefined;
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const known = (schema === undefined ? undefined : ownSchema(schema, name)) ?? values;
    map.set(hasFields ? escapeField(name) : name, toCel(field, known));
  }
  return map;
};
