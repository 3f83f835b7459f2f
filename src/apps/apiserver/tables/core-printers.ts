/** The columns of the small kinds of the core group. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from "../schema/json.ts";
import { ageOf, columns, orNone, type Printer, shortList, sinceText, statusOf } from "./printer.ts";

export const namespacePrinter: Printer = {
  columns: columns("Name", "Status", "Age"),
  cells: (object, nowMs) => [object.metadata.name, textAt(object, "status", "phase"), ageOf(object, nowMs)],
};

export const serviceAccountPrinter: Printer = {
  columns: columns("Name", "Secrets:integer", "Age"),
  cells: (object, nowMs) => [object.metadata.name, listAt(object, "secrets").length, ageOf(object, nowMs)],
};

const keysOf = (object: AnyObject, field: string): number => Object.keys(objectAt(object, field)).length;

export const configMapPrinter: Printer = {
  columns: columns("Name", "Data:integer", "Age"),
  cells: (object, nowMs) => [
    object.metadata.name,
    keysOf(object, "data") + keysOf(object, "binaryData"),
    ageOf(object, nowMs),
  ],
};

export const secretPrinter: Printer = {
  columns: columns("Name", "Type", "Data:integer", "Age"),
  cells: (object, nowMs) => [
    object.metadata.name,
    textAt(object, "type"),
    keysOf(object, "data"),
    ageOf(object, nowMs),
  ],
};

const nodeStatusText = (node: AnyObject): string => {
  const ready = objectsAt(node, "status", "conditions").find((one) => one["type"] === "Ready");
  const state = ready === undefined ? "Unknown" : ready["status"] === "True" ? "Ready" : "NotReady";
  return valueAt(node, "spec", "unschedulable") === true ? `${state},SchedulingDisabled` : state;
};

const rolesText = (node: AnyObject): string => {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.entries(node.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(prefix) && key.length > prefix.length) return [key.slice(prefix.length)];
    return key === "kubernetes.io/role" && value !== "" ? [value] : [];
  });
  return orNone([...new Set(roles)].sort().join(","));
};

const nodeAddress = (node: AnyObject, type: string): string =>
  orNone(
    textAt(
      objectsAt(node, "status", "addresses").find((one) => one["type"] === type),
      "address",
    ),
  );

export const nodePrinter: Printer = {
  columns: columns(
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "Internal-IP*",
    "External-IP*",
    "OS-Image*",
    "Kernel-Version*",
    "Container-Runtime*",
  ),
  cells: (node, nowMs) => {
    const info = objectAt(statusOf(node), "nodeInfo");
    return [
      node.metadata.name,
      nodeStatusText(node),
      rolesText(node),
      ageOf(node, nowMs),
      textAt(info, "kubeletVersion"),
      nodeAddress(node, "InternalIP"),
      nodeAddress(node, "ExternalIP"),
      textAt(info, "osImage") || "<unknown>",
      textAt(info, "kernelVersion") || "<unknown>",
      textAt(info, "containerRuntimeVersion") || "<unknown>",
    ];
  },
};

const eventSource = (event: AnyObject): string => {
  const component = textAt(event, "source", "component") || textAt(event, "reportingComponent");
  const host = textAt(event, "source", "host") || textAt(event, "reportingInstance");
  return host === "" ? component : `${component}, ${host}`;
};

export const eventPrinter: Printer = {
  columns: columns(
    "Last Seen",
    "Type",
    "Reason",
    "Object",
    "Subobject*",
    "Source*",
    "Message",
    "First Seen*",
    "Count:integer*",
    "Name*",
  ),
  cells: (event, nowMs) => {
    const first = sinceText(valueAt(event, "firstTimestamp") ?? valueAt(event, "eventTime"), nowMs);
    const series = valueAt(event, "series");
    const last = valueAt(event, "lastTimestamp");
    const seriesLast = valueAt(event, "series", "lastObservedTime");
    const shown = seriesLast ?? last;
    const about = objectAt(event, "involvedObject");
    const kind = textAt(about, "kind").toLowerCase();
    const name = textAt(about, "name");
    const count = series === undefined ? numberAt(event, "count") || 1 : numberAt(series, "count");
    return [
      shown === undefined ? first : sinceText(shown, nowMs),
      textAt(event, "type"),
      textAt(event, "reason"),
      name === "" ? kind : `${kind}/${name}`,
      textAt(about, "fieldPath"),
      eventSource(event),
      textAt(event, "message").trim(),
      first,
      count,
      event.metadata.name,
    ];
  },
};

const shownEndpointsMax = 3;

export const endpointsPrinter: Printer = {
  columns: columns("Name", "Endpoints", "Age"),
  cells: (object, nowMs) => {
    const all = objectsAt(object, "subsets").flatMap((subset) => {
      const ports = objectsAt(subset, "ports");
      const addresses = objectsAt(subset, "addresses").map((one) => textAt(one, "ip"));
      if (ports.length === 0) return addresses;
      return ports.flatMap((port) => addresses.map((address) => `${address}:${numberAt(port, "port")}`));
    });
    return [object.metadata.name, orNone(shortList(all, shownEndpointsMax)), ageOf(object, nowMs)];
  },
};
