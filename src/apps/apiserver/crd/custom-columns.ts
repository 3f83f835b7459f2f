/** Columns and cells of custom kinds from `additionalPrinterColumns` (A26). */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Column } from "../kind.ts";
import { numberAt, objectsAt, textAt } from "../schema/json.ts";
import { ageOf, nameAndAge, type Printer, sinceText } from "../tables/printer.ts";
import { type JsonPath, parseJsonPath, readJsonPath } from "./json-path.ts";

const types = ["string", "integer", "number", "boolean", "date"] as const;
const nameColumn = nameAndAge.columns.slice(0, 1);

interface CustomColumn extends Column {
  readonly path: JsonPath | undefined;
  readonly isAge: boolean;
}

export const customPrinter = (version: unknown): Printer => {
  const declared = objectsAt(version, "additionalPrinterColumns");
  if (declared.length === 0) return nameAndAge;
  const custom = declared.map((column): CustomColumn => {
    const type = types.find((one) => one === column["type"]) ?? "string";
    return {
      name: textAt(column, "name"),
      type,
      format: textAt(column, "format"),
      description: textAt(column, "description"),
      priority: numberAt(column, "priority") > 0 ? 1 : 0,
      path: parseJsonPath(textAt(column, "jsonPath")),
      isAge: type === "date" && textAt(column, "jsonPath") === ".metadata.creationTimestamp",
    };
  });
  return {
    columns: [...nameColumn, ...custom.map(({ path: _path, isAge: _isAge, ...column }) => column)],
    cells: (object, nowMs) => [object.metadata.name, ...custom.map((column) => cellOf(object, column, nowMs))],
  };
};

const cellOf = (object: AnyObject, column: CustomColumn, nowMs: number): unknown => {
  if (column.isAge) return ageOf(object, nowMs);
  if (column.path === undefined) return null;
  const found = readJsonPath(object, column.path);
  const [first] = found;
  if (first === undefined || first === null) return null;
  switch (column.type) {
    case "integer":
      return typeof first === "number" ? Math.trunc(first) : null;
    case "number":
      return typeof first === "number" ? first : null;
    case "boolean":
      return typeof first === "boolean" ? first : null;
    case "date":
      return typeof first === "string" ? sinceText(first, nowMs) : null;
    case "string":
      // A list or object prints as JSON; several matches of one path print the first (as upstream does).
      return typeof first === "string" ? first : JSON.stringify(first);
  }
};
