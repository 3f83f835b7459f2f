/** Which kind, object and subresource a URL path names. Pure. */
import type { Kind, KindRegistry } from "../kind.ts";

export interface ResourcePath {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows the subresource, as in `proxy/…`. */
  readonly rest: readonly string[];
}

const namespaceParts = new Set(["status", "finalize"]);

/** Undefined: the path leads to no kind that is served. */
export function parsePath(registry: KindRegistry, path: string): ResourcePath | undefined {
  let steps: string[];
  try {
    steps = path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  if (steps.at(-1) === "") steps.pop();
  const [root, ...below] = steps;
  const group = root === "api" ? "" : below.shift();
  const version = below.shift();
  if ((root !== "api" && root !== "apis") || group === undefined || version === undefined) return undefined;
  if (below.includes("")) return undefined;
  const find = (plural: string) => registry.find(group, version, plural);
  const [first, namespace, plural, ...more] = below;
  if (first === undefined) return undefined;
  if (first === "namespaces" && namespace !== undefined && plural !== undefined) {
    const isNamespaceItself = group === "" && namespaceParts.has(plural) && more.length === 0;
    if (!isNamespaceItself) return located(find(plural), namespace, more);
  }
  const kind = find(first);
  return located(kind, undefined, below.slice(1));
}

function located(
  kind: Kind | undefined,
  namespace: string | undefined,
  steps: readonly string[],
): ResourcePath | undefined {
  if (kind === undefined || kind.type.namespaced !== (namespace !== undefined)) {
    // A namespaced kind without a namespace is the list over all namespaces.
    const isListOfAll = kind !== undefined && namespace === undefined && steps.length === 0;
    if (!isListOfAll) return undefined;
  }
  const [name, subresource, ...rest] = steps;
  if (subresource !== undefined && !kind.subresources.includes(subresource)) return undefined;
  return { kind, namespace, name, subresource, rest };
}
