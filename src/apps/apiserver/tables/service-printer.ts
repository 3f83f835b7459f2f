/** The columns of services. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { listAt, numberAt, objectsAt, textAt } from "../schema/json.ts";
import { ageOf, columns, labelsText, orNone, type Printer, specOf } from "./printer.ts";

const externalAddress = (service: AnyObject): string => {
  const spec = specOf(service);
  const given = listAt(spec, "externalIPs").map(String);
  switch (textAt(spec, "type")) {
    case "ExternalName":
      return textAt(spec, "externalName");
    case "LoadBalancer": {
      const assigned = objectsAt(service, "status", "loadBalancer", "ingress").map(
        (one) => textAt(one, "ip") || textAt(one, "hostname"),
      );
      const all = [...new Set([...assigned.filter((one) => one !== ""), ...given])];
      return all.length === 0 ? "<pending>" : all.join(",");
    }
    default:
      return orNone(given.join(","));
  }
};

const portsText = (service: AnyObject): string =>
  orNone(
    objectsAt(service, "spec", "ports")
      .map((port) => {
        const nodePort = numberAt(port, "nodePort");
        const numbers = nodePort > 0 ? `${numberAt(port, "port")}:${nodePort}` : `${numberAt(port, "port")}`;
        return `${numbers}/${textAt(port, "protocol") || "TCP"}`;
      })
      .join(","),
  );

export const servicePrinter: Printer = {
  columns: columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector*"),
  cells: (service, nowMs) => {
    const spec = specOf(service);
    const [first] = listAt(spec, "clusterIPs");
    return [
      service.metadata.name,
      textAt(spec, "type"),
      orNone(typeof first === "string" ? first : textAt(spec, "clusterIP")),
      externalAddress(service),
      portsText(service),
      ageOf(service, nowMs),
      labelsText(spec["selector"]),
    ];
  },
};
