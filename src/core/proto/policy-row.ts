/**
 * One L4 policy between the model and ztunnel's message. Policies protect, so nothing in them is dropped in silence: a
 * condition that the model cannot express refuses the whole row, in either direction.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Policy, PolicyMatch, StringMatch } from "../mesh/model.ts";
import { Action, AuthorizationSchema, Scope } from "./gen/authorization_pb.js";
import type {
  Address,
  Authorization,
  Match,
  MatchSchema,
  ServiceAccountMatch,
  StringMatch as WireStringMatch,
  StringMatchSchema,
} from "./gen/authorization_pb.js";
import { formatCidr, parseCidr } from "../api/ip.ts";
import type { Cidr } from "../api/ip.ts";
import { decoded, refused } from "./wire.ts";
import type { Decoded } from "./wire.ts";

const wireScope: Record<Policy["scope"], Scope> = {
  global: Scope.GLOBAL,
  namespace: Scope.NAMESPACE,
  workload: Scope.WORKLOAD_SELECTOR,
};

export function policyToWire(row: Policy): Authorization {
  return create(AuthorizationSchema, {
    name: row.name,
    namespace: row.namespace,
    scope: wireScope[row.scope],
    action: row.action === "deny" ? Action.DENY : Action.ALLOW,
    rules: row.groups.map((group) => ({
      clauses: group.map((rule) => ({ matches: rule.map((match) => matchToWire(match, row)) })),
    })),
  });
}

function matchToWire(match: PolicyMatch, row: Policy): MessageInitShape<typeof MatchSchema> {
  const ranges = (texts: readonly string[]) => texts.map((text) => rangeToWire(text, row));
  return {
    namespaces: match.namespaces.map(stringToWire),
    notNamespaces: match.notNamespaces.map(stringToWire),
    principals: match.principals.map(stringToWire),
    notPrincipals: match.notPrincipals.map(stringToWire),
    sourceIps: ranges(match.sourceIps),
    notSourceIps: ranges(match.notSourceIps),
    destinationIps: ranges(match.destinationIps),
    notDestinationIps: ranges(match.notDestinationIps),
    destinationPorts: [...match.destinationPorts],
    notDestinationPorts: [...match.notDestinationPorts],
  };
}

/** Throws on a range that is none: an emptied list would match everything. The derivation checks with `parseCidr`. */
function rangeToWire(text: string, row: Policy): Cidr {
  const range = parseCidr(text);
  if (!range) throw new Error(`Policy ${row.namespace}/${row.name} has the range "${text}", which is not a CIDR.`);
  return range;
}

function stringToWire(match: StringMatch): MessageInitShape<typeof StringMatchSchema> {
  if (match.kind === "presence") return { matchType: { case: "presence", value: {} } };
  return { matchType: { case: match.kind, value: match.value } };
}

export function policyFromWire(wire: Authorization): Decoded<Policy> {
  const name = `Policy ${wire.namespace}/${wire.name}`;
  const scope = (["global", "namespace", "workload"] as const).find((one) => wireScope[one] === wire.scope);
  if (!scope) return refused(`${name}: scope ${wire.scope} is not known here.`);
  if (wire.action !== Action.ALLOW && wire.action !== Action.DENY) {
    return refused(`${name}: action ${String(wire.action)} is not known here.`);
  }
  if (wire.dryRun) return refused(`${name}: dry run is not supported, and the policy must not be enforced.`);
  if (wire.extensions.length > 0) return refused(`${name}: it has extensions, which are not known here.`);
  const problems: string[] = [];
  const groups = wire.rules.map((rule) =>
    rule.clauses.map((clause) => clause.matches.map((match) => matchFromWire(match, problems))),
  );
  const [problem] = problems;
  if (problem !== undefined) return refused(`${name}: ${problem}`);
  const action = wire.action === Action.DENY ? "deny" : "allow";
  return decoded({ name: wire.name, namespace: wire.namespace, scope, action, groups });
}

function matchFromWire(match: Match, problems: string[]): PolicyMatch {
  if (match.extensions.length > 0) problems.push("a match has extensions, which are not known here.");
  const strings = (matches: readonly WireStringMatch[]) => matches.flatMap((one) => stringFromWire(one, problems));
  const ranges = (addresses: readonly Address[]) => addresses.flatMap((one) => rangeFromWire(one, problems));
  const principals = strings(match.principals);
  const accounts = match.serviceAccounts.map(accountFromWire);
  if (principals.length > 0 && accounts.length > 0) {
    problems.push("a match has both principals and service accounts, which cannot be expressed here.");
  }
  return {
    namespaces: strings(match.namespaces),
    notNamespaces: strings(match.notNamespaces),
    principals: [...principals, ...accounts],
    notPrincipals: [...strings(match.notPrincipals), ...match.notServiceAccounts.map(accountFromWire)],
    sourceIps: ranges(match.sourceIps),
    notSourceIps: ranges(match.notSourceIps),
    destinationIps: ranges(match.destinationIps),
    notDestinationIps: ranges(match.notDestinationIps),
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  };
}

/** A service account is named without its trust domain, so it is the end of a principal. */
const accountFromWire = (account: ServiceAccountMatch): StringMatch => ({
  kind: "suffix",
  value: `/ns/${account.namespace}/sa/${account.serviceAccount}`,
});

function stringFromWire(match: WireStringMatch, problems: string[]): StringMatch[] {
  const { matchType } = match;
  switch (matchType.case) {
    case "exact":
    case "prefix":
    case "suffix":
      return [{ kind: matchType.case, value: matchType.value }];
    case "presence":
      return [{ kind: "presence" }];
    case undefined:
      problems.push("a string match is of a kind that is not known here.");
      return [];
  }
}

function rangeFromWire(range: Address, problems: string[]): string[] {
  const text = formatCidr(range);
  if (text !== undefined) return [text];
  problems.push(`a range of ${range.address.length} bytes with length ${range.length} is not a CIDR.`);
  return [];
}
