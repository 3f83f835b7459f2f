/** Pod templates compared and hashed, without the label that the hash itself puts on them. Pure. */
import type { PodTemplate } from "../../../core/api/pod.ts";
import { alphabetical } from "./pods.ts";

export const hashLabel = "pod-template-hash";
export const revisionHashLabel = "controller-revision-hash";

const texts = new WeakMap<PodTemplate, string>();

/** The same text for the same template, whatever the order of its keys. */
function templateText(template: PodTemplate): string {
  const known = texts.get(template);
  if (known !== undefined) return known;
  const { [hashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  const annotations = template.metadata?.annotations ?? {};
  const text = canonicalText({ labels, annotations, spec: template.spec });
  texts.set(template, text);
  return text;
}

export const isSameTemplate = (one: PodTemplate, other: PodTemplate): boolean =>
  templateText(one) === templateText(other);

/** `salt` tells apart templates whose hashes collide. */
export function templateHash(template: PodTemplate, salt = 0): string {
  const text = salt === 0 ? templateText(template) : `${salt}:${templateText(template)}`;
  return alphabetical(fnv1a(text));
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** JSON with sorted keys; absent and undefined are the same. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalText(field)}`);
  return `{${entries.join(",")}}`;
}

export const isEqual = (one: unknown, other: unknown): boolean => canonicalText(one) === canonicalText(other);
