/**
 * OpenAPI v3 documents, one per group and version (A7). kubectl reads schemas from them for `explain` and for three-way
 * merges, and from each kind's PATCH operation that validation and dry run are the server's work. Pure.
 */
import type { Kind, KindRegistry, Schema } from "../kind.ts";
import { groupsOf, groupVersionOf, type Version } from "./resources.ts";

/** `api/v1`, `apis/apps/v1`: how the index names a document. */
const documentPath = (group: string, version: string): string =>
  group === "" ? `api/${version}` : `apis/${groupVersionOf(group, version)}`;

export const openApiDocuments = (registry: KindRegistry): ReadonlyMap<string, () => unknown> =>
  new Map(
    groupsOf(registry).flatMap(({ group, versions }) =>
      versions.map((version) => [documentPath(group, version.version), () => documentOf(group, version)] as const),
    ),
  );

const documentOf = (group: string, { version, kinds }: Version): unknown => {
  const components = new Components(group === "" ? `core.${version}` : `${group.split(".")[0] ?? group}.${version}`);
  for (const kind of kinds) components.addKind(kind);
  return {
    openapi: "3.0.0",
    info: { title: "Tombolo sandbox API", version: "v1.34.0" },
    paths: Object.fromEntries(kinds.flatMap(pathsOf)),
    components: { schemas: components.schemas },
  };
};

const gvkOf = ({ type: { group, version, kind } }: Kind) => ({ group, version, kind });

const query = (name: string, type: string, description: string) => ({
  name,
  in: "query",
  description,
  schema: { type, uniqueItems: true },
});

const writeParameters = [
  query("dryRun", "string", "`All` checks the request and stores nothing."),
  query("fieldManager", "string", "Name of the one who changes fields."),
  query("fieldValidation", "string", "What becomes of unknown fields: Ignore, Warn or Strict."),
];

const pathsOf = (kind: Kind): readonly (readonly [string, unknown])[] => {
  const { group, version, plural, namespaced } = kind.type;
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const gvk = gvkOf(kind);
  const operation = (action: string, parameters: readonly unknown[] = []) => ({
    description: `${action} ${kind.type.kind}`,
    parameters,
    responses: { "200": { description: "OK" } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk,
  });
  const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const all = {
    ...(kind.verbs.includes("list") ? { get: operation("list") } : {}),
    ...(kind.verbs.includes("create") ? { post: operation("post", writeParameters) } : {}),
  };
  if (!kind.verbs.includes("get")) return [[collection, all]];
  const one = {
    get: operation("get"),
    put: operation("put", writeParameters),
    delete: operation("delete", writeParameters.slice(0, 1)),
    patch: operation("patch", [
      ...writeParameters,
      query("force", "boolean", "Takes fields away from other managers."),
    ]),
  };
  const paths: (readonly [string, unknown])[] = [
    [collection, all],
    [`${collection}/{name}`, one],
  ];
  return namespaced ? [[`${root}/${plural}`, { get: operation("list") }], ...paths] : paths;
};

/** Collects the named types of a document. */
class Components {
  readonly schemas: Record<string, unknown> = {};
  readonly #prefix: string;
  readonly #known = new Map<string, Schema>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  addKind(kind: Kind): void {
    const name = this.#nameOf(kind.type.kind, kind.schema);
    const body = this.#body(kind.schema);
    this.schemas[name] = { ...body, "x-kubernetes-group-version-kind": [gvkOf(kind)] };
  }

  /** A named type becomes a reference, with what belongs to the field beside it. */
  #write(schema: Schema, isField = false): unknown {
    const type = schema["x-tombolo-type"];
    if (type === undefined) return this.#body(schema);
    const name = this.#nameOf(type, schema);
    if (this.schemas[name] === undefined) {
      this.schemas[name] = {};
      this.schemas[name] = this.#body(schema);
    }
    const reference = { $ref: `#/components/schemas/${name}` };
    if (!isField) return reference;
    const own = Object.fromEntries(
      Object.entries(schema).filter(
        ([key]) => key === "description" || key === "default" || key.startsWith("x-kubernetes-patch-"),
      ),
    );
    return Object.keys(own).length === 0 ? reference : { ...own, allOf: [reference] };
  }

  /** Fields may describe a shared type in their own words: it is the same type as long as its properties are. */
  #nameOf(type: string, schema: Schema): string {
    for (let count = 1; ; count += 1) {
      const name = `tombolo.${this.#prefix}.${type}${count === 1 ? "" : String(count)}`;
      const known = this.#known.get(name);
      if (known === undefined) this.#known.set(name, schema);
      if (known === undefined || known.properties === schema.properties) return name;
    }
  }

  #body(schema: Schema): Record<string, unknown> {
    const { properties, items, additionalProperties, "x-tombolo-type": type, ...rest } = schema;
    const isEither = type !== undefined && schema["x-kubernetes-int-or-string"] === true;
    const { "x-kubernetes-patch-strategy": _strategy, default: value, ...shared } = rest;
    const body: Record<string, unknown> = type === undefined ? { ...rest } : { ...shared };
    if (type === undefined && value !== undefined) body["default"] = value;
    if (isEither) {
      delete body["x-kubernetes-int-or-string"];
      body["oneOf"] = [{ type: type === "Quantity" ? "number" : "integer" }, { type: "string" }];
      if (type === "IntOrString") body["format"] = "int-or-string";
      else delete body["format"];
    }
    if (properties !== undefined) {
      body["properties"] = Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, this.#write(property, true)]),
      );
    }
    if (items !== undefined) body["items"] = this.#write(items);
    if (typeof additionalProperties === "object") body["additionalProperties"] = this.#write(additionalProperties);
    else if (additionalProperties !== undefined) body["additionalProperties"] = additionalProperties;
    return body;
  }
}
