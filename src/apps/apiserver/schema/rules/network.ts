/** Defaults and rules of EndpointSlice and NetworkPolicy. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { duplicate, immutable, invalid, required } from "../causes.ts";
import { isIpv4, isIpv6 } from "../../../../core/api/ip.ts";
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
      const problem = typeof address === "string" ? addressProblem(address, type) : undefined;
      if (problem !== undefined) causes.push(invalid(`${path}[${position}]`, address, problem));
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

const addressProblem = (address: string, type: string): string | undefined => {
  if (type === "IPv4") return isIpv4(address) ? undefined : "must be an IPv4 address";
  if (type === "IPv6") return isIpv6(address) ? undefined : "must be an IPv6 address";
  return type === "FQDN" ? nameProblem(address, "subdomain") : undefined;
};

export const fillNetworkPolicyDefaults = (object: AnyObject): void => {
  const spec = ensureObject(object, "spec");
  setIfAbsent(spec, "podSelector", {});
  if (listAt(spec, "policyTypes").length > 0) return;
  spec["policyTypes"] = listAt(spec, "egress").length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
};

export const checkNetworkPolicy = (object: AnyObject): readonly Cause[] =>
  checkLabelSelector(objectAt(object, "spec", "podSelector"), "spec.podSelector");
