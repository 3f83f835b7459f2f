/** A CNI network configuration list with and without our plugin at its end. Pure: text in, text out. */
import { pluginName } from "./plugin.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function listOf(text: string): { readonly list: Fields; readonly plugins: readonly Fields[] } | string {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  if (!isObject(list) || !Array.isArray(list["plugins"])) {
    return 'it has no list of plugins, so nothing can be chained; make it a ".conflist" (CNI specification 1.0)';
  }
  const plugins: readonly unknown[] = list["plugins"];
  return { list, plugins: plugins.filter(isObject) };
}

const isOurs = (plugin: Fields): boolean => plugin["type"] === pluginName;
const written = (list: Fields, plugins: readonly Fields[]): string =>
  `${JSON.stringify({ ...list, plugins }, undefined, 2)}\n`;

export type Chained = { readonly text: string | undefined } | { readonly problem: string };

/** The text to write; undefined when the plugin is chained already. */
export function chained(text: string): Chained {
  const read = listOf(text);
  if (typeof read === "string") return { problem: read };
  const { list, plugins } = read;
  if (plugins.length === 0) return { problem: "its list of plugins is empty" };
  // Last, so that the pod's network stands when it is asked for.
  if (plugins.findIndex(isOurs) === plugins.length - 1) return { text: undefined };
  return { text: written(list, [...plugins.filter((plugin) => !isOurs(plugin)), { type: pluginName }]) };
}

/** The text to write; undefined when there is nothing of ours in it. */
export function unchained(text: string): string | undefined {
  const read = listOf(text);
  if (typeof read === "string" || !read.plugins.some(isOurs)) return undefined;
  return written(
    read.list,
    read.plugins.filter((plugin) => !isOurs(plugin)),
  );
}
