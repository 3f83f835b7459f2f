/**
 * What is remembered of an object that we generate: not what it says, which is derived anyway, but a digest of it, so that
 * a difference is seen. There may be tens of thousands of them.
 */
import { createHash } from "node:crypto";
import type { KubeObject } from "../../../core/api/kube.ts";
import { annotation, label } from "../../../core/api/names.ts";
import { compareKeys } from "../../../core/graph/order.ts";

export interface Specified extends KubeObject {
  spec?: unknown;
}

/** An object as remembered; without a digest it is whole. */
export interface Remembered {
  readonly digest?: string;
}

const managedByTombolo = "tombolo";
const digestLength = 16;

export const managedByUs = (object: KubeObject): boolean =>
  object.metadata.labels?.[label.managedBy] === managedByTombolo;

const ownAnnotations: ReadonlySet<string> = new Set(Object.values(annotation));
export const isOwnAnnotation = (key: string): boolean => ownAnnotations.has(key);

/** Of all that we write: equal for two objects if and only if that is equal. */
export function digestOf({ metadata, spec }: Specified): string {
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => isOwnAnnotation(key));
  const said = [metadata.labels ?? {}, Object.fromEntries(annotations), spec ?? null];
  return createHash("sha256").update(JSON.stringify(said, inOrder)).digest("base64url").slice(0, digestLength);
}

/** Fields of records in one order, for `JSON.stringify`. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compareKeys(a, b)));
}
