/** Cluster addresses and node ports of Services (C5): given at creation, kept through updates. */
import { ipv4Number, ipv4OfNumber } from "../../../core/api/ip.ts";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Cause } from "../kind.ts";
import type { ApiContext } from "./context.ts";
import { invalid } from "./errors.ts";
import type { Fields } from "./json.ts";
import { fieldsOf, isFields, listOf, textOf } from "./json.ts";

const serviceType = { group: "", plural: "services", kind: "Service" };
const nodePorts = { first: 30_000, last: 32_767 };
/** The low addresses of the range are for those who ask for one by name, such as cluster DNS. */
const reservedAddresses = 16;

export interface Cidr {
  readonly first: number;
  readonly size: number;
}

function parseCidr(text: string): Cidr {
  const [address = "", bits = ""] = text.split("/");
  const start = ipv4Number(address);
  if (start === undefined || !/^\d+$/.test(bits) || Number(bits) > 30)
    throw new Error(`The service range ${JSON.stringify(text)} is no IPv4 CIDR of /30 or wider.`);
  const size = 2 ** (32 - Number(bits));
  return { first: Math.floor(start / size) * size, size };
}

/** The address of the `kubernetes` Service. */
export const firstServiceAddress = (cidr: string): string => ipv4OfNumber(parseCidr(cidr).first + 1);

const servicesOf = (context: ApiContext, but: AnyObject): readonly Fields[] =>
  context.store
    .list("/services")
    .filter((service) => service.metadata.uid !== but.metadata.uid)
    .map((service) => fieldsOf(service["spec"]));

export function prepareService(_context: ApiContext, object: AnyObject): void {
  const spec = fieldsOf(object["spec"]);
  object["spec"] = spec;
  object["status"] ??= { loadBalancer: {} };
  prepare(spec);
}

/** After validation: addresses and node ports. */
export function allocateService(context: ApiContext, object: AnyObject): void {
  allocate(context, object, fieldsOf(object["spec"]));
}

export function updateService(
  _context: ApiContext,
  object: AnyObject,
  live: AnyObject,
  subresource: string | undefined,
): void {
  if (subresource !== undefined) return;
  const spec = fieldsOf(object["spec"]);
  const old = fieldsOf(live["spec"]);
  object["spec"] = spec;
  const isExternal = spec["type"] === "ExternalName";
  const wasExternal = old["type"] === "ExternalName";
  if (!isExternal && !wasExternal) keepAddress(object, spec, old);
  keepNodePorts(spec, old);
  if (!hasNodePorts(spec)) releaseNodePorts(spec, listOf(old["ports"]).filter(isFields));
  if (!hasNodePorts(spec) && spec["externalTrafficPolicy"] === old["externalTrafficPolicy"]) {
    delete spec["externalTrafficPolicy"];
  }
  prepare(spec);
}

function keepAddress(object: AnyObject, spec: Fields, old: Fields): void {
  const given = textOf(spec["clusterIP"]) ?? "";
  if (given === "" && listOf(spec["clusterIPs"]).length === 0) {
    spec["clusterIP"] = old["clusterIP"];
    spec["clusterIPs"] = old["clusterIPs"];
  } else if (given !== "" && given !== old["clusterIP"]) {
    throw invalid(serviceType, object.metadata.name, [
      {
        field: "spec.clusterIPs[0]",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify([given])}: may not change once set`,
      },
    ]);
  }
  for (const name of ["ipFamilies", "ipFamilyPolicy"]) spec[name] ??= old[name];
  for (const name of Object.keys(spec)) if (spec[name] === undefined) delete spec[name];
}

/** A port without a node port keeps the one it had. */
function keepNodePorts(spec: Fields, old: Fields): void {
  if (!hasNodePorts(spec)) return;
  const before = listOf(old["ports"]).filter(isFields);
  for (const port of listOf(spec["ports"]).filter(isFields)) {
    if (typeof port["nodePort"] === "number" && port["nodePort"] > 0) continue;
    const same = before.find((other) => other["port"] === port["port"] && other["protocol"] === port["protocol"]);
    if (same?.["nodePort"] !== undefined) port["nodePort"] = same["nodePort"];
  }
}

const hasNodePorts = (spec: Fields): boolean => spec["type"] === "NodePort" || spec["type"] === "LoadBalancer";

/** An empty address is none. */
export function normalizeService(object: AnyObject): void {
  const spec = fieldsOf(object["spec"]);
  if (spec["clusterIP"] === "") delete spec["clusterIP"];
}

function prepare(spec: Fields): void {
  const [first] = listOf(spec["clusterIPs"]);
  if (spec["clusterIP"] !== undefined && first === undefined) spec["clusterIPs"] = [spec["clusterIP"]];
  if (spec["clusterIP"] === undefined && typeof first === "string") spec["clusterIP"] = first;
  spec["type"] ??= "ClusterIP";
  spec["sessionAffinity"] ??= "None";
  if (spec["type"] !== "ExternalName") return;
  for (const name of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"])
    delete spec[name];
  releaseNodePorts(spec);
}

function allocate(context: ApiContext, object: AnyObject, spec: Fields): void {
  if (spec["type"] === "ExternalName") return;
  const asked = textOf(spec["clusterIP"]) || textOf(listOf(spec["clusterIPs"])[0]) || "";
  const address = asked === "None" ? "None" : claimedAddress(context, object, asked);
  spec["clusterIP"] = address;
  spec["clusterIPs"] = [address];
  // A headless service whose endpoints are somebody else's may have them in both families.
  const isOpen = address === "None" && spec["selector"] === undefined;
  spec["ipFamilies"] ??= isOpen ? ["IPv4", "IPv6"] : ["IPv4"];
  spec["ipFamilyPolicy"] ??= isOpen ? "RequireDualStack" : "SingleStack";
  spec["internalTrafficPolicy"] ??= "Cluster";
  if (!hasNodePorts(spec)) {
    releaseNodePorts(spec);
    delete spec["externalTrafficPolicy"];
    delete spec["allocateLoadBalancerNodePorts"];
    return;
  }
  spec["externalTrafficPolicy"] ??= "Cluster";
  if (spec["type"] === "LoadBalancer") spec["allocateLoadBalancerNodePorts"] ??= true;
  if (spec["type"] === "NodePort" || spec["allocateLoadBalancerNodePorts"] !== false)
    claimNodePorts(context, object, spec);
}

/** With `old`: only those that were given out before, so that one that is asked for is refused, not forgotten. */
function releaseNodePorts(spec: Fields, old?: readonly Fields[]): void {
  for (const port of listOf(spec["ports"]).filter(isFields)) {
    if (old === undefined || old.some((other) => other["nodePort"] === port["nodePort"])) delete port["nodePort"];
  }
}

function claimedAddress(context: ApiContext, object: AnyObject, asked: string): string {
  const { first, size } = parseCidr(context.serviceCidr);
  const taken = new Set(servicesOf(context, object).map((spec) => textOf(spec["clusterIP"])));
  if (asked !== "") {
    const number = ipv4Number(asked);
    const isInRange = number !== undefined && number > first && number < first + size - 1;
    if (isInRange && !taken.has(asked)) return asked;
    const why = isInRange
      ? "provided IP is already allocated"
      : `the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${context.serviceCidr}`;
    throw refused(
      object,
      "spec.clusterIPs",
      `Invalid value: ${JSON.stringify([asked])}: failed to allocate IP ${asked}: ${why}`,
    );
  }
  const low = size > 4 * reservedAddresses ? reservedAddresses : 2;
  const count = size - 1 - low;
  const start = context.host.random.below(count);
  for (let step = 0; step < count; step += 1) {
    const address = ipv4OfNumber(first + low + ((start + step) % count));
    if (!taken.has(address)) return address;
  }
  throw refused(
    object,
    "spec.clusterIPs",
    `Invalid value: []: failed to allocate a serviceIP: range ${context.serviceCidr} is full`,
  );
}

function claimNodePorts(context: ApiContext, object: AnyObject, spec: Fields): void {
  const portKey = (port: Fields) => `${textOf(port["protocol"]) ?? "TCP"}/${String(port["nodePort"])}`;
  const others = servicesOf(context, object).flatMap((other) => listOf(other["ports"]).filter(isFields));
  const taken = new Set(others.filter((port) => port["nodePort"] !== undefined).map(portKey));
  const ports = listOf(spec["ports"]).filter(isFields);
  const causes: Cause[] = [];
  for (const [index, port] of ports.entries()) {
    const asked = port["nodePort"];
    if (typeof asked !== "number" || asked === 0) continue;
    const field = `spec.ports[${index}].nodePort`;
    const isInRange = asked >= nodePorts.first && asked <= nodePorts.last;
    const why = isInRange
      ? "provided port is already allocated"
      : `provided port is not in the valid range. The range of valid ports is ${nodePorts.first}-${nodePorts.last}`;
    if (!isInRange || taken.has(portKey(port))) {
      causes.push({ field, reason: "FieldValueInvalid", message: `Invalid value: ${asked}: ${why}` });
    }
    taken.add(portKey(port));
  }
  if (causes.length > 0) throw invalid(serviceType, object.metadata.name, causes);
  const count = nodePorts.last - nodePorts.first + 1;
  for (const port of ports) {
    if (typeof port["nodePort"] === "number" && port["nodePort"] > 0) continue;
    const start = context.host.random.below(count);
    for (let step = 0; step < count; step += 1) {
      port["nodePort"] = nodePorts.first + ((start + step) % count);
      if (!taken.has(portKey(port))) break;
    }
    taken.add(portKey(port));
  }
}

const refused = (object: AnyObject, field: string, message: string) =>
  invalid(serviceType, object.metadata.name, [{ field, reason: "FieldValueInvalid", message }]);
