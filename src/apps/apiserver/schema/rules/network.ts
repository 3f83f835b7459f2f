/** Defaults and rules of EndpointSlice and NetworkPolicy. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { duplicate, immutable, invalid, required } from "../causes.ts";
import { isIp, isIpv4 } from "../../../../core/api/ip.ts";
import { ensureObject, listAt, objectAt, objectsAt, setIfAbsent, textAt } from "../json.ts";
import { checkLabelSelector, nameProblem } from "../names.ts";

const addressesMax = 100;

export const checkEndpointSlice = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const type = textAt(object, "addressType");
  const causes: Cause[] = [];
  objectsAt(object, "endpoints").forEach((endpoint, index) => {
    const path = `endpoints[${index}].addresses`;
    const addresses = listAt(endpoint, "addresses");
    if (addresses.length === 0) causes.push(required(path, "must contain at least 1 address"));
    if (addresses.length > addressesMax) {
      causes.push(invalid(path, addresses.length, `must contain at most ${addressesMax} addresses`));
    }
    addresses.forEach((address, position) => {
      if (typeof address === "string") causes.push(...checkAddress(address, type, path, position));
    });
  });
  const names = new Set<string>();
  objectsAt(object, "ports").forEach((port, index) => {
    const name = textAt(port, "name");
    if (names.has(name)) causes.push(duplicate(`ports[${index}].name`, name));
    names.add(name);
  });
  if (old !== undefined && textAt(old, "addressType") !== type) causes.push(invalid("addressType", type, immutable));
  return causes;
};

const checkAddress = (address: string, type: string, path: string, position: number): Cause[] => {
  const at = `${path}[${position}]`;
  if (type === "FQDN") {
    const problem = nameProblem(address, "subdomain");
    return problem === undefined ? [] : [invalid(at, address, problem)];
  }
  if (type !== "IPv4" && type !== "IPv6") return [];
  if (!isIp(address)) return [invalid(at, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")];
  if ((type === "IPv4") !== isIpv4(address)) return [invalid(path, address, `must be an ${type} address`)];
  const problem = unreachable.find(([pattern]) => pattern.test(address))?.[1];
  return problem === undefined ? [] : [invalid(at, address, problem)];
};

/** Addresses that lead nowhere from another machine. */
const unreachable: readonly (readonly [RegExp, string])[] = [
  [/^(0\.0\.0\.0|::)$/, "may not be unspecified (0.0.0.0 or ::)"],
  [/^(127\.|::1$)/, "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
  [/^(169\.254\.|fe[89ab][0-9a-f]:)/i, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"],
  [/^(224\.0\.0\.|ff02:)/i, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"],
];

export const fillNetworkPolicyDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  setIfAbsent(spec, "podSelector", {});
  if (listAt(spec, "policyTypes").length > 0) return;
  spec["policyTypes"] = listAt(spec, "egress").length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
};

export const checkNetworkPolicy = (object: AnyObject): readonly Cause[] =>
  checkLabelSelector(objectAt(object, "spec", "podSelector"), "spec.podSelector");
