/** Turns objects into a `Table` of meta.k8s.io/v1, which is what `kubectl get` asks for (A24-A26). */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";

export interface TableOptions {
  readonly nowMs: number;
  readonly includeObject: "Metadata" | "Object" | "None";
  /** Later tables of a watch leave the column definitions out. */
  readonly withColumns: boolean;
  /** `metadata` of the list: resourceVersion, continue, remainingItemCount. */
  readonly listMetadata?: Readonly<Record<string, unknown>>;
}

/** What `as=PartialObjectMetadata` answers with for one object (A27). */
export const partialMetadata = (object: AnyObject): unknown => ({
  kind: "PartialObjectMetadata",
  apiVersion: "meta.k8s.io/v1",
  metadata: object.metadata,
});

const rowObject = (kind: Kind, object: AnyObject, include: TableOptions["includeObject"]): unknown => {
  if (include === "None") return undefined;
  if (include === "Metadata") return partialMetadata(object);
  const { group, version } = kind.type;
  return { ...object, kind: kind.type.kind, apiVersion: group === "" ? version : `${group}/${version}` };
};

export const renderTable = (kind: Kind, objects: readonly AnyObject[], options: TableOptions): unknown => {
  const rows = objects.map((object) => {
    const shown = rowObject(kind, object, options.includeObject);
    const cells = kind.cells(object, options.nowMs);
    return shown === undefined ? { cells } : { cells, object: shown };
  });
  const definitions = kind.columns.map(({ name, type, format = "", description = "", priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: options.listMetadata ?? {},
    columnDefinitions: options.withColumns ? definitions : null,
    rows,
  };
};
