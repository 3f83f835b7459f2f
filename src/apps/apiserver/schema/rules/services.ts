/** Defaults and rules of services and of hand-made endpoints. Addresses and node ports are given out elsewhere. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { duplicate, forbidden, invalid, required, unsupported } from "../causes.ts";
import { isIp, parseCidr } from "../../../../core/api/ip.ts";
import {
  ensureObject,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  setIfAbsent,
  textAt,
} from "../json.ts";
import { checkLabels, nameProblem, qualifiedNameProblem } from "../names.ts";
import { checkPortName } from "./pods.ts";

const distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
const nodePorts = { first: 30_000, last: 32_767 };

export const fillServiceDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  setIfAbsent(spec, "type", "ClusterIP");
  for (const port of objectsAt(spec, "ports")) {
    setIfAbsent(port, "protocol", "TCP");
    if (port["targetPort"] === undefined || port["targetPort"] === 0 || port["targetPort"] === "") {
      port["targetPort"] = port["port"];
    }
  }
  const type = textAt(spec, "type");
  if (type !== "ExternalName") {
    setIfAbsent(spec, "internalTrafficPolicy", "Cluster");
  }
  if (type === "NodePort" || type === "LoadBalancer") setIfAbsent(spec, "externalTrafficPolicy", "Cluster");
  if (type === "LoadBalancer") setIfAbsent(spec, "allocateLoadBalancerNodePorts", true);
  if (spec["sessionAffinity"] === "ClientIP") {
    setIfAbsent(ensureObject(ensureObject(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", 10_800);
  }
};

export const checkService = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const spec = objectAt(object, "spec");
  const type = textAt(spec, "type");
  const isHeadless = textAt(spec, "clusterIP") === "None";
  const causes = checkLabels(spec["selector"], "spec.selector");
  if (listAt(spec, "ports").length === 0 && !isHeadless && type !== "ExternalName") causes.push(required("spec.ports"));
  if (type === "ExternalName") {
    const name = textAt(spec, "externalName");
    const problem = name === "" ? undefined : nameProblem(name.replace(/\.$/, "").toLowerCase(), "subdomain");
    if (name === "") causes.push(required("spec.externalName"));
    if (problem !== undefined) causes.push(invalid("spec.externalName", name, problem));
  }
  if (isHeadless && (type === "NodePort" || type === "LoadBalancer")) {
    causes.push(invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${type} services`));
  }
  const address = textAt(spec, "clusterIP");
  if (address !== "" && address !== "None" && !isIp(address)) {
    causes.push(
      invalid("spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    );
  }
  const distribution = textAt(spec, "trafficDistribution");
  if (distribution !== "" && !distributions.includes(distribution)) {
    causes.push(unsupported("spec.trafficDistribution", distribution, distributions));
  }
  causes.push(...checkReach(spec));
  causes.push(...checkPorts(spec));
  if (old !== undefined) causes.push(...checkServiceChange(spec, objectAt(old, "spec")));
  return causes;
};

const ipDetail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const cidrDetail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/** From where the service can be reached. */
const checkReach = (spec: JsonObject): Cause[] => {
  const causes: Cause[] = [];
  const isOutside =
    ["NodePort", "LoadBalancer"].includes(textAt(spec, "type")) || listAt(spec, "externalIPs").length > 0;
  const policy = textAt(spec, "externalTrafficPolicy");
  if (policy !== "" && !isOutside) {
    const detail = "may only be set for externally-accessible services";
    causes.push(invalid("spec.externalTrafficPolicy", policy, detail));
  }
  listAt(spec, "ipFamilies").forEach((family, index) => {
    if (family === "IPv4" || family === "IPv6") return;
    causes.push(unsupported(`spec.ipFamilies[${index}]`, family, ["IPv4", "IPv6"]));
  });
  listAt(spec, "loadBalancerSourceRanges").forEach((range, index) => {
    if (typeof range === "string" && range.includes("/") && parseCidr(range.trim()) !== undefined) return;
    // The name of the field is spelled so in the API's own answer.
    causes.push(invalid(`spec.LoadBalancerSourceRanges[${index}]`, range, cidrDetail));
  });
  listAt(spec, "externalIPs").forEach((address, index) => {
    if (typeof address === "string" && isIp(address)) return;
    causes.push(invalid(`spec.externalIPs[${index}]`, address, ipDetail));
  });
  return causes;
};

const checkPorts = (spec: JsonObject): Cause[] => {
  const causes: Cause[] = [];
  const ports = objectsAt(spec, "ports");
  const names = new Set<string>();
  const seen = new Set<string>();
  ports.forEach((port, index) => {
    const at = `spec.ports[${index}]`;
    const name = textAt(port, "name");
    if (name === "" && ports.length > 1) causes.push(required(`${at}.name`));
    if (name !== "") {
      const problem = nameProblem(name, "label");
      if (problem !== undefined) causes.push(invalid(`${at}.name`, name, problem));
      if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
      names.add(name);
    }
    const identity = { port: port["port"], protocol: port["protocol"] };
    if (seen.has(JSON.stringify(identity))) {
      const { port: number, protocol } = identity;
      const shown = { Name: "", Protocol: protocol, AppProtocol: null, Port: number, TargetPort: 0, NodePort: 0 };
      causes.push(duplicate(at, shown));
    }
    seen.add(JSON.stringify(identity));
    const target = port["targetPort"];
    if (typeof target === "string") causes.push(...checkPortName(target, `${at}.targetPort`));
    if (typeof target === "number" && (target < 1 || target > 65_535)) {
      causes.push(invalid(`${at}.targetPort`, target, "must be between 1 and 65535, inclusive"));
    }
    const protocol = textAt(port, "appProtocol");
    const protocolProblem = protocol === "" ? undefined : qualifiedNameProblem(protocol);
    if (protocolProblem !== undefined) causes.push(invalid(`${at}.appProtocol`, protocol, protocolProblem));
    causes.push(...checkNodePort(spec, port, at));
  });
  return causes;
};

const checkNodePort = (spec: JsonObject, port: JsonObject, at: string): Cause[] => {
  const nodePort = numberAt(port, "nodePort");
  if (nodePort === 0) return [];
  if (!["NodePort", "LoadBalancer"].includes(textAt(spec, "type"))) {
    return [forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'")];
  }
  if (nodePort >= nodePorts.first && nodePort <= nodePorts.last) return [];
  const range = `The range of valid ports is ${nodePorts.first}-${nodePorts.last}`;
  return [invalid(`${at}.nodePort`, nodePort, `provided port is not in the valid range. ${range}`)];
};

const checkServiceChange = (spec: JsonObject, old: JsonObject): Cause[] => {
  const before = textAt(old, "clusterIP");
  const after = textAt(spec, "clusterIP");
  if (textAt(old, "type") === "ExternalName" || textAt(spec, "type") === "ExternalName" || before === "") return [];
  return before === after ? [] : [invalid("spec.clusterIPs[0]", after, "field is immutable")];
};

export const checkEndpoints = (object: AnyObject): readonly Cause[] =>
  objectsAt(object, "subsets").flatMap((subset, index) => {
    const at = `subsets[${index}]`;
    const causes: Cause[] = [];
    if (listAt(subset, "addresses").length + listAt(subset, "notReadyAddresses").length === 0) {
      causes.push(required(at, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (const list of ["addresses", "notReadyAddresses"]) {
      objectsAt(subset, list).forEach((address, position) => {
        const ip = textAt(address, "ip");
        if (ip !== "" && !isIp(ip)) {
          causes.push(
            invalid(`${at}.${list}[${position}].ip`, ip, ipDetail),
            invalid(`${at}.${list}[${position}].ip`, ip, "must be a valid IP address"),
          );
        }
      });
    }
    const ports = objectsAt(subset, "ports");
    ports.forEach((port, position) => {
      if (ports.length > 1 && textAt(port, "name") === "") causes.push(required(`${at}.ports[${position}].name`));
    });
    return isObject(subset) ? causes : [];
  });
