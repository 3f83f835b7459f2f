/**
 * How the API server knows a kind: built-in kinds come from tables (`schema/builtin`), custom kinds from CRD objects
 * (`crd/`). The verbs (`api/`) and discovery, OpenAPI and tables (`discovery/`, `tables/`) work from this alone.
 */
import type { AnyObject, ResourceType } from "../../core/api/kube.ts";

/** A structural OpenAPI v3 schema with the `x-kubernetes-*` extensions that matter here. */
export interface Schema {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly not?: Schema;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: "map" | "set" | "atomic";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: "atomic" | "granular";
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-validations"?: readonly ValidationRule[];
  /** Name of a shared type such as `PodSpec`: it becomes a component of the OpenAPI document, and is not written out. */
  readonly "x-tombolo-type"?: string;
}

export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** One cause of a 422: `details.causes[]` of the Status. `reason` is FieldValueRequired, FieldValueInvalid … */
export interface Cause {
  readonly field: string;
  readonly reason: string;
  readonly message: string;
}

/** A table column as `kubectl get` shows it; `priority` 1 only with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly format?: string;
  readonly description?: string;
  readonly priority: 0 | 1;
}

export interface Kind {
  readonly type: ResourceType;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Version in which objects are stored; rows of another version differ in `apiVersion` only. */
  readonly storageVersion: string;
  /** All verbs that discovery lists; reviews such as TokenReview have only `create`. */
  readonly verbs: readonly string[];
  readonly schema: Schema;
  readonly isCustom: boolean;
  /** Namespace, Service, ConfigMap, Secret and the like have no generation (A19). */
  readonly hasGeneration: boolean;
  /** `status` and `scale` are served by the verbs; others (exec, log, token …) by their own handlers. */
  readonly subresources: readonly string[];
  /** Warning for whoever writes an object on which nothing in this cluster acts. */
  readonly inert?: string | undefined;
  /** JSON paths of the scale subresource of a custom kind. */
  readonly scalePaths?: { readonly spec: string; readonly status: string; readonly selector?: string };
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[];
  readonly columns: readonly Column[];
  /** Cells for `columns`, in order; `nowMs` for ages. */
  cells(object: AnyObject, nowMs: number): readonly unknown[];
  /** Drops unknown fields in place and returns their paths (for strict and warn). */
  prune(object: AnyObject): readonly string[];
  /** Why the object cannot be read as this kind at all; custom kinds leave that to their schema. */
  decodeProblem?(object: AnyObject): string | undefined;
  /** Fills defaults in place; idempotent. */
  fillDefaults(object: AnyObject, old: AnyObject | undefined): void;
  validate(object: AnyObject, old: AnyObject | undefined): readonly Cause[];
}

export interface KindRegistry {
  /** `version` must be a served version. */
  find(group: string, version: string, plural: string): Kind | undefined;
  findByKind(group: string, version: string, kind: string): Kind | undefined;
  /** Every served version of every kind; a kind with two versions appears twice. */
  all(): readonly Kind[];
  /** Heard after any change, so that discovery and OpenAPI documents are made anew. */
  onChange(heard: () => void): void;
}
