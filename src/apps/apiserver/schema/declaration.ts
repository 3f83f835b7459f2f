/** How a table of built-in kinds declares a kind; `builtin.ts` makes a `Kind` of it. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Cause } from "../kind.ts";
import type { Printer } from "../tables/printer.ts";
import type { Fields } from "./dsl.ts";

/** What an object's name must look like. */
export type NameForm = "subdomain" | "label" | "label1035" | "path" | "any";

export interface Declaration {
  readonly kind: string;
  readonly plural: string;
  readonly about: string;
  /** Fields beside apiVersion, kind and metadata. */
  readonly fields: Fields;
  readonly singular?: string;
  readonly isClusterScoped?: boolean;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Absent for kinds that are stored. */
  readonly verbs?: readonly string[];
  readonly subresources?: readonly string[];
  readonly hasGeneration?: boolean;
  readonly selectableFields?: readonly string[];
  readonly nameForm?: NameForm;
  readonly printer?: Printer;
  /** For kinds that are stored while nothing acts on them: a sentence that says so, sent as a warning with each write. */
  readonly inert?: string;
  /** Defaults that depend on more than one field; runs before those of the schema. Idempotent. */
  fillDefaults?(object: AnyObject, old: AnyObject | undefined): void;
  /** Rules beyond the schema. */
  check?(object: AnyObject, old: AnyObject | undefined): readonly Cause[];
}

export interface GroupDeclaration {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly Declaration[];
}
