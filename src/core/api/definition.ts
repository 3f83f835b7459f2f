/** One definition per kind of the mesh: from it come the CustomResourceDefinition, its columns and its validation. */
import type { AnyObject, KubeObject, ResourceType } from "./kube.ts";

/** An OpenAPI v3 structural schema, as a CustomResourceDefinition takes it. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly required?: readonly string[];
  readonly enum?: readonly (string | number)[];
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-list-type"?: "map" | "set" | "atomic";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message: string }[];
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
}

export interface KindDefinition<T extends KubeObject = AnyObject> {
  readonly resource: ResourceType<T>;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Served versions, the storage version first; all share one schema. */
  readonly versions: readonly string[];
  readonly description: string;
  readonly spec: JsonSchema;
  readonly isSpecRequired: boolean;
  readonly status: JsonSchema;
  readonly columns: readonly PrinterColumn[];
}

export const age: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

export const text = (description?: string, limits: JsonSchema = {}): JsonSchema => ({
  type: "string",
  ...(description === undefined ? {} : { description }),
  ...limits,
});

export const whole = (minimum: number, maximum: number, description?: string): JsonSchema => ({
  type: "integer",
  format: "int32",
  minimum,
  maximum,
  ...(description === undefined ? {} : { description }),
});

export const oneOf = (values: readonly string[], description?: string): JsonSchema => ({
  type: "string",
  enum: values,
  ...(description === undefined ? {} : { description }),
});

export const list = (items: JsonSchema, limits: JsonSchema = {}): JsonSchema => ({ type: "array", items, ...limits });

export const record = (
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
  extra: JsonSchema = {},
): JsonSchema => ({
  type: "object",
  properties,
  ...(required.length === 0 ? {} : { required }),
  ...extra,
});

export const stringMap: JsonSchema = { type: "object", additionalProperties: { type: "string" } };

/** The `conditions` list of a status (KEP-1623). */
export const conditions: JsonSchema = list(
  record(
    {
      type: text(),
      status: oneOf(["True", "False", "Unknown"]),
      reason: text(),
      message: text(undefined, { maxLength: 32768 }),
      lastTransitionTime: text(undefined, { format: "date-time" }),
      observedGeneration: { type: "integer", format: "int64" },
    },
    ["type", "status"],
  ),
  { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] },
);

/**
 * API servers take definitions of Kubernetes' own groups only with this annotation (KEP-2337); ours hold the part of such
 * kinds that Tombolo reads, so they are not the approved ones.
 */
const approval = (group: string) =>
  group.endsWith(".k8s.io")
    ? { annotations: { "api-approved.kubernetes.io": "unapproved, holds the fields that Tombolo reads" } }
    : {};

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of a definition. */
export function crdOf<T extends KubeObject>(definition: KindDefinition<T>): AnyObject {
  const { group, kind, plural, namespaced } = definition.resource;
  const schema = record(
    {
      apiVersion: text(),
      kind: text(),
      metadata: { type: "object" },
      spec: definition.spec,
      status: definition.status,
    },
    definition.isSpecRequired ? ["spec"] : [],
    { description: definition.description },
  );
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, ...approval(group) },
    spec: {
      group,
      scope: namespaced ? "Namespaced" : "Cluster",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: definition.singular,
        shortNames: definition.shortNames,
        categories: definition.categories,
      },
      versions: definition.versions.map((name, position) => ({
        name,
        served: true,
        storage: position === 0,
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
        additionalPrinterColumns: definition.columns,
      })),
    },
  };
}
