/**
 * What the policies of a workload say about one connection, and which rule says it. Reads the same conditions that a pod's
 * gate is made of; a fact that is not known here leaves the verdict open instead of guessed.
 */
import { parseCidr, parseIp } from "../api/ip.ts";
import { conditionOf, matches, simplify, type Atom, type Condition } from "../envoy/policy.ts";
import type { Policy } from "../mesh/model.ts";

export interface Facts {
  /** SPIFFE id; undefined for a client that proves none. */
  readonly identity: string | undefined;
  /** Undefined when it is not known here, as behind a gateway. */
  readonly sourceIp: string | undefined;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

export interface Verdict {
  readonly decision: "allowed" | "denied" | "depends";
  /** Key `<ns>/<name>` of the policy that decides, when one does. */
  readonly policy?: string;
  /** A sentence that names the rule. */
  readonly because: string;
}

const spiffe = "spiffe://";

function isInCidr(ip: string, cidr: string): boolean {
  const address = parseIp(ip);
  const range = parseCidr(cidr);
  if (address === undefined || range === undefined || address.length !== range.address.length) return false;
  for (let bit = 0; bit < range.length; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((address[bit >> 3] ?? 0) & mask) !== ((range.address[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

/** Undefined: not known here. */
function truthOf(atom: Atom, facts: Facts): boolean | undefined {
  const { identity } = facts;
  switch (atom.on) {
    case "principal":
      return identity !== undefined && matches(atom.match, identity.slice(spiffe.length));
    case "namespace": {
      const namespace = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(identity ?? "")?.[1];
      return namespace !== undefined && matches(atom.match, namespace);
    }
    case "sourceIp":
      return facts.sourceIp === undefined ? undefined : isInCidr(facts.sourceIp, atom.cidr);
    case "destinationIp":
      return isInCidr(facts.destinationIp, atom.cidr);
    case "port":
      return facts.destinationPort === atom.port;
  }
}

type Truth = "yes" | "no" | "open";
const truth = ({ kind }: Condition): Truth => (kind === "always" ? "yes" : kind === "never" ? "no" : "open");

const keyOf = (policy: Policy): string => `${policy.namespace}/${policy.name}`;

interface Hit {
  readonly policy: Policy;
  /** Counted from one, as a person does. */
  readonly rule: number;
  readonly truth: Truth;
}

/** Rules of the policies that match, or may. */
function hitsOf(policies: readonly Policy[], facts: Facts): readonly Hit[] {
  return policies.flatMap((policy) =>
    policy.groups.flatMap((group, at): Hit[] => {
      // The condition of an ALLOW policy with this rule alone is the condition of the rule.
      const condition = conditionOf([{ ...policy, action: "allow", groups: [group] }]);
      const found = truth(simplify(condition, (atom) => truthOf(atom, facts)));
      return found === "no" ? [] : [{ policy, rule: at + 1, truth: found }];
    }),
  );
}

const ruleText = ({ policy, rule }: Hit): string =>
  policy.name.startsWith("istio_converted_") || policy.name.startsWith("converted_peer_authentication_")
    ? `PeerAuthentication, as policy ${keyOf(policy)}`
    : `${policy.action === "deny" ? "DENY" : "ALLOW"} policy ${keyOf(policy)}, rule ${rule},`;

const open = "depends on the client's address, which the destination sees as its gateway's";

export function verdictOf(policies: readonly Policy[], facts: Facts): Verdict {
  const denies = hitsOf(
    policies.filter(({ action }) => action === "deny"),
    facts,
  );
  const denied = denies.find((hit) => hit.truth === "yes");
  if (denied !== undefined) {
    return { decision: "denied", policy: keyOf(denied.policy), because: `${ruleText(denied)} matches` };
  }
  const allowing = policies.filter(({ action }) => action === "allow");
  const allows = hitsOf(allowing, facts);
  const allowed = allows.find((hit) => hit.truth === "yes");
  const maybe = denies[0] ?? (allowed === undefined ? allows[0] : undefined);
  if (maybe !== undefined) {
    return { decision: "depends", policy: keyOf(maybe.policy), because: `${ruleText(maybe)} ${open}` };
  }
  if (allowed !== undefined) {
    return { decision: "allowed", policy: keyOf(allowed.policy), because: `${ruleText(allowed)} matches` };
  }
  if (allowing.length > 0) {
    const names = allowing.map(keyOf).join(", ");
    const [first = ""] = names.split(", ");
    return { decision: "denied", policy: first, because: `no rule of ALLOW ${plural(allowing)} ${names} matches` };
  }
  if (policies.length === 0) return { decision: "allowed", because: "no policy applies to it" };
  return {
    decision: "allowed",
    because: `no rule of DENY ${plural(policies)} ${policies.map(keyOf).join(", ")} matches`,
  };
}

const plural = (policies: readonly Policy[]): string => (policies.length === 1 ? "policy" : "policies");
