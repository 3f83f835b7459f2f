/**
 * A small language for the schemas of built-in kinds: `struct("ContainerPort", "…", { containerPort: int32.required() })`.
 * A `Field` is an immutable value; each method returns a changed copy. Nothing here is known of any kind.
 */
import type { Schema } from "../kind.ts";

export type Fields = Readonly<Record<string, Field>>;

export class Field {
  readonly schema: Schema;
  readonly isRequired: boolean;

  constructor(schema: Schema, isRequired = false) {
    this.schema = schema;
    this.isRequired = isRequired;
  }

  required(): Field {
    return new Field(this.schema, true);
  }

  with(part: Schema): Field {
    return new Field({ ...this.schema, ...part }, this.isRequired);
  }

  /** What `kubectl explain` says of the field. */
  about(description: string): Field {
    return this.with({ description });
  }

  defaults(value: unknown): Field {
    return this.with({ default: value });
  }

  oneOf(...values: readonly unknown[]): Field {
    return this.with({ enum: values });
  }

  between(minimum: number, maximum: number): Field {
    return this.with({ minimum, maximum });
  }

  atLeast(minimum: number): Field {
    return this.with({ minimum });
  }

  /** One leaf for server-side apply. */
  atomic(): Field {
    return this.with({ "x-kubernetes-map-type": "atomic" });
  }

  /** How strategic merge patch treats the field: `retainKeys`, `replace` or `merge,retainKeys`. */
  patched(strategy: string): Field {
    return this.with({ "x-kubernetes-patch-strategy": strategy });
  }
}

export const text = new Field({ type: "string" });
export const bool = new Field({ type: "boolean" });
export const int32 = new Field({ type: "integer", format: "int32" });
export const int64 = new Field({ type: "integer", format: "int64" });
/** RFC 3339 with whole seconds. */
export const time = new Field({ type: "string", format: "date-time" });
/** RFC 3339 with microseconds. */
export const microTime = new Field({ type: "string", format: "date-time", "x-tombolo-type": "MicroTime" });
/** Base64 on the wire. */
export const bytes = new Field({ type: "string", format: "byte" });
export const intOrString = new Field({ "x-kubernetes-int-or-string": true, "x-tombolo-type": "IntOrString" });
export const quantity = new Field({
  "x-kubernetes-int-or-string": true,
  format: "quantity",
  "x-tombolo-type": "Quantity",
});
/** An object whose content is kept as it is. */
export const anyObject = new Field({ type: "object", "x-kubernetes-preserve-unknown-fields": true });
export const portNumber = int32.between(1, 65_535);

const propertiesOf = (fields: Fields): Pick<Schema, "properties" | "required"> => {
  const entries = Object.entries(fields);
  const required = entries.filter(([, field]) => field.isRequired).map(([name]) => name);
  const properties = Object.fromEntries(entries.map(([name, field]) => [name, field.schema]));
  return required.length === 0 ? { properties } : { properties, required };
};

/** An object type with a name of its own, under which `kubectl explain` shows it. */
export const struct = (name: string, description: string, fields: Fields): Field =>
  new Field({ type: "object", description, ...propertiesOf(fields), "x-tombolo-type": name });

/** An object type without a name. */
export const object = (fields: Fields): Field => new Field({ type: "object", ...propertiesOf(fields) });

/** The fields of a struct once more, for a type that extends it. */
export const fieldsOf = (base: Field): Fields =>
  Object.fromEntries(
    Object.entries(base.schema.properties ?? {}).map(([name, schema]) => [
      name,
      new Field(schema, base.schema.required?.includes(name) ?? false),
    ]),
  );

/** `each(text, "host path")`: the same field under several names. */
export const each = (field: Field, names: string): Fields =>
  Object.fromEntries(names.split(/\s+/).map((name) => [name, field]));

/** A list that is replaced as a whole. */
export const list = (item: Field): Field =>
  new Field({ type: "array", items: item.schema, "x-kubernetes-list-type": "atomic" });

/** A list without repeated values. */
export const setOf = (item: Field): Field =>
  new Field({ type: "array", items: item.schema, "x-kubernetes-list-type": "set" });

/** A list whose items are told apart by `keys`; strategic merge patch goes by the first of them. */
export const listMap = (keys: string, item: Field, strategy = "merge"): Field => {
  const [mergeKey = keys] = keys.split(" ");
  return keyedList(keys, item).with({
    "x-kubernetes-patch-merge-key": mergeKey,
    "x-kubernetes-patch-strategy": strategy,
  });
};

/** A list with keys for server-side apply only; strategic merge patch replaces it. */
export const keyedList = (keys: string, item: Field): Field =>
  new Field({
    type: "array",
    items: item.schema,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": keys.split(" "),
  });

/** Atomic for server-side apply, merged by `key` by strategic merge patch: upstream has a few of these. */
export const atomicListMergedBy = (key: string, item: Field): Field =>
  list(item).with({ "x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge" });

export const mapOf = (value: Field): Field => new Field({ type: "object", additionalProperties: value.schema });
export const texts = list(text);
export const textMap = mapOf(text);
export const quantities = mapOf(quantity);
