/** What a printer of a kind is, and the small pieces all printers share: ages, lists of names, selectors (A24, A25). */
import type { AnyObject } from "../../../core/api/kube.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import type { Column } from "../kind.ts";
import { isObject, type JsonObject, objectAt, objectsAt, textAt } from "../schema/json.ts";

export interface Printer {
  readonly columns: readonly Column[];
  /** Cells for `columns`, in order. */
  cells(object: AnyObject, nowMs: number): readonly unknown[];
}

/** `columns("Name", "Ready:integer", "IP*")`: a type other than string after a colon, `*` for `-o wide` only. */
export const columns = (...names: readonly string[]): readonly Column[] =>
  names.map((spelled) => {
    const isWide = spelled.endsWith("*");
    const [name = "", type] = (isWide ? spelled.slice(0, -1) : spelled).split(":");
    return {
      name,
      type: type === "integer" || type === "date" || type === "boolean" ? type : "string",
      format: name === "Name" ? "name" : "",
      description: "",
      priority: isWide ? 1 : 0,
    };
  });

const secondMs = 1000;

/** A span of time as kubectl shows ages: two units while they matter, then one. */
export const humanDuration = (ms: number): string => {
  const seconds = Math.trunc(ms / secondMs);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return both(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return both(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return both(days, "d", hours % 24, "h");
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  return hours < 24 * 365 * 8 ? both(years, "y", days % 365, "d") : `${years}y`;
};

const both = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;

export const sinceText = (timestamp: unknown, nowMs: number): string => {
  const at = typeof timestamp === "string" ? msOfIso(timestamp) : undefined;
  return at === undefined ? "<unknown>" : humanDuration(nowMs - at);
};

export const ageOf = (object: AnyObject, nowMs: number): string => sinceText(object.metadata.creationTimestamp, nowMs);

export const orNone = (text: string): string => (text === "" ? "<none>" : text);

/** Labels as `key=value,…`. */
export const labelsText = (labels: unknown): string =>
  orNone(
    Object.entries(isObject(labels) ? labels : {})
      .map(([key, value]) => `${key}=${String(value)}`)
      .sort()
      .join(","),
  );

const containersOf = (podSpec: unknown): readonly JsonObject[] => objectsAt(podSpec, "containers");

/** Names and images of a template's containers, as two cells. */
export const containerCells = (podSpec: unknown): readonly [string, string] => [
  containersOf(podSpec)
    .map((container) => textAt(container, "name"))
    .join(","),
  containersOf(podSpec)
    .map((container) => textAt(container, "image"))
    .join(","),
];

/** At most `max` items, then how many more. */
export const shortList = (items: readonly string[], max: number): string =>
  items.length <= max ? items.join(",") : `${items.slice(0, max).join(",")} + ${items.length - max} more...`;

export const nameAndAge: Printer = {
  columns: columns("Name", "Age"),
  cells: (object, nowMs) => [object.metadata.name, ageOf(object, nowMs)],
};

export const specOf = (object: AnyObject): JsonObject => objectAt(object, "spec");
export const statusOf = (object: AnyObject): JsonObject => objectAt(object, "status");
