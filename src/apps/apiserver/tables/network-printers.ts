/** The columns of EndpointSlice, Lease, Ingress, NetworkPolicy and PodDisruptionBudget. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { listAt, numberAt, objectsAt, textAt, valueAt } from "../schema/json.ts";
import { selectorText } from "../schema/selector.ts";
import { ageOf, columns, orNone, type Printer, shortList, specOf } from "./printer.ts";

const shownMax = 3;

const slicePorts = (slice: AnyObject): string => {
  const ports = objectsAt(slice, "ports");
  if (ports.length === 0) return "<unset>";
  const texts = ports.map((port) => {
    const number = numberAt(port, "port");
    return number === 0 ? textAt(port, "name") || "*" : String(number);
  });
  return shortList(texts, shownMax);
};

const sliceEndpoints = (slice: AnyObject): string => {
  const endpoints = objectsAt(slice, "endpoints");
  if (endpoints.length === 0) return "<unset>";
  return shortList(
    endpoints.flatMap((endpoint) => listAt(endpoint, "addresses").map(String)),
    shownMax,
  );
};

export const endpointSlicePrinter: Printer = {
  columns: columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
  cells: (slice, nowMs) => [
    slice.metadata.name,
    textAt(slice, "addressType"),
    slicePorts(slice),
    sliceEndpoints(slice),
    ageOf(slice, nowMs),
  ],
};

export const leasePrinter: Printer = {
  columns: columns("Name", "Holder", "Age"),
  cells: (lease, nowMs) => [lease.metadata.name, textAt(lease, "spec", "holderIdentity"), ageOf(lease, nowMs)],
};

const ingressHosts = (ingress: AnyObject): string => {
  const hosts = objectsAt(ingress, "spec", "rules")
    .map((rule) => textAt(rule, "host"))
    .filter((host) => host !== "");
  return hosts.length === 0 ? "*" : shortList(hosts, shownMax);
};

export const ingressPrinter: Printer = {
  columns: columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
  cells: (ingress, nowMs) => [
    ingress.metadata.name,
    orNone(textAt(ingress, "spec", "ingressClassName")),
    ingressHosts(ingress),
    objectsAt(ingress, "status", "loadBalancer", "ingress")
      .map((one) => textAt(one, "ip") || textAt(one, "hostname"))
      .join(","),
    listAt(ingress, "spec", "tls").length > 0 ? "80, 443" : "80",
    ageOf(ingress, nowMs),
  ],
};

export const ingressClassPrinter: Printer = {
  columns: columns("Name", "Controller", "Parameters", "Age"),
  cells: (object, nowMs) => {
    const parameters = valueAt(object, "spec", "parameters");
    const group = textAt(parameters, "apiGroup");
    const kind = `${textAt(parameters, "kind")}${group === "" ? "" : `.${group}`}`;
    return [
      object.metadata.name,
      textAt(object, "spec", "controller"),
      parameters === undefined ? "<none>" : `${kind}/${textAt(parameters, "name")}`,
      ageOf(object, nowMs),
    ];
  },
};

export const networkPolicyPrinter: Printer = {
  columns: columns("Name", "Pod-Selector", "Age"),
  cells: (object, nowMs) => [object.metadata.name, selectorText(specOf(object)["podSelector"]), ageOf(object, nowMs)],
};

const orNotAvailable = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "N/A";

export const podDisruptionBudgetPrinter: Printer = {
  columns: columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"),
  cells: (object, nowMs) => [
    object.metadata.name,
    orNotAvailable(specOf(object)["minAvailable"]),
    orNotAvailable(specOf(object)["maxUnavailable"]),
    numberAt(object, "status", "disruptionsAllowed"),
    ageOf(object, nowMs),
  ],
};
