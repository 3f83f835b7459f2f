/**
 * L4 policies of one workload as a condition on a connection. What is known of a client beforehand is put in, so that
 * what remains for Envoy to look at is small, and changes exactly when what the client may do changes.
 */
import type { Policy, PolicyMatch, StringMatch } from "../mesh/model.ts";

export type Atom =
  | { readonly on: "principal" | "namespace"; readonly match: StringMatch }
  | { readonly on: "sourceIp" | "destinationIp"; readonly cidr: string }
  | { readonly on: "port"; readonly port: number };

export type Condition =
  | { readonly kind: "always" }
  | { readonly kind: "never" }
  | { readonly kind: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "atom"; readonly atom: Atom };

export interface Decision {
  /** When a connection is let in. */
  readonly condition: Condition;
  /** SPIFFE ids that the policies name in full, sorted. */
  readonly identities: readonly string[];
}

const always: Condition = { kind: "always" };
const never: Condition = { kind: "never" };
const spiffe = "spiffe://";

export function decisionOf(policies: readonly Policy[]): Decision {
  const condition = conditionOf(policies);
  const identities = new Set<string>();
  collectIdentities(condition, identities);
  return { condition, identities: [...identities].sort() };
}

/** What remains to be seen of a client of this identity; undefined for one that has none. */
export const forIdentity = (condition: Condition, identity: string | undefined): Condition =>
  simplify(condition, (atom) => knownFor(atom, identity));

/** What remains to be seen of a client whose identity no policy names in full. */
export const forStrangers = (condition: Condition): Condition =>
  simplify(condition, (atom) => (isExactPrincipal(atom) ? false : undefined));

export const forPort = (condition: Condition, port: number): Condition =>
  simplify(condition, (atom) => (atom.on === "port" ? atom.port === port : undefined));

/** A deny that matches wins; if there are allows, one must match. */
export function conditionOf(policies: readonly Policy[]): Condition {
  const matching = (action: Policy["action"]) =>
    policies.filter((policy) => policy.action === action).map((policy) => policyCondition(policy));
  const allows = matching("allow");
  const isNotDenied = not(any(matching("deny")));
  return all([isNotDenied, allows.length === 0 ? always : any(allows)]);
}

/** Groups are ORed, rules of a group ANDed, matches of a rule ORed; a rule without matches matches all. */
const policyCondition = (policy: Policy): Condition =>
  any(
    policy.groups.map((rules) =>
      all(rules.map((matches) => (matches.length === 0 ? always : any(matches.map(matchCondition))))),
    ),
  );

function matchCondition(match: PolicyMatch): Condition {
  const one = <T>(values: readonly T[], atomOf: (value: T) => Atom): readonly Condition[] =>
    values.length === 0 ? [] : [any(values.map((value) => ({ kind: "atom", atom: atomOf(value) })))];
  const none = <T>(values: readonly T[], atomOf: (value: T) => Atom): readonly Condition[] =>
    one(values, atomOf).map(not);
  const principal = (value: StringMatch): Atom => ({ on: "principal", match: value });
  const namespace = (value: StringMatch): Atom => ({ on: "namespace", match: value });
  const source = (cidr: string): Atom => ({ on: "sourceIp", cidr });
  const destination = (cidr: string): Atom => ({ on: "destinationIp", cidr });
  const port = (value: number): Atom => ({ on: "port", port: value });
  return all([
    ...one(match.principals, principal),
    ...none(match.notPrincipals, principal),
    ...one(match.namespaces, namespace),
    ...none(match.notNamespaces, namespace),
    ...one(match.sourceIps, source),
    ...none(match.notSourceIps, source),
    ...one(match.destinationIps, destination),
    ...none(match.notDestinationIps, destination),
    ...one(match.destinationPorts, port),
    ...none(match.notDestinationPorts, port),
  ]);
}

function all(conditions: readonly Condition[]): Condition {
  const of = distinct(conditions.filter(({ kind }) => kind !== "always"));
  if (of.some(({ kind }) => kind === "never")) return never;
  return of.length === 0 ? always : of.length === 1 ? (of[0] ?? always) : { kind: "all", of };
}

function any(conditions: readonly Condition[]): Condition {
  const of = distinct(conditions.filter(({ kind }) => kind !== "never"));
  if (of.some(({ kind }) => kind === "always")) return always;
  return of.length === 0 ? never : of.length === 1 ? (of[0] ?? never) : { kind: "any", of };
}

/** In one order, whatever the order of the policies: what means the same should read the same. */
function distinct(conditions: readonly Condition[]): readonly Condition[] {
  if (conditions.length < 2) return conditions;
  const byText = new Map(conditions.map((one) => [JSON.stringify(one), one]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function not(condition: Condition): Condition {
  if (condition.kind === "always") return never;
  if (condition.kind === "never") return always;
  if (condition.kind === "not") return condition.of;
  return { kind: "not", of: condition };
}

/** Replaces the atoms of which the truth is known. */
export function simplify(condition: Condition, known: (atom: Atom) => boolean | undefined): Condition {
  switch (condition.kind) {
    case "always":
    case "never":
      return condition;
    case "not":
      return not(simplify(condition.of, known));
    case "all":
      return all(condition.of.map((one) => simplify(one, known)));
    case "any":
      return any(condition.of.map((one) => simplify(one, known)));
    case "atom": {
      const truth = known(condition.atom);
      return truth === undefined ? condition : truth ? always : never;
    }
  }
}

const isExactPrincipal = (atom: Atom): boolean => atom.on === "principal" && atom.match.kind === "exact";

function collectIdentities(condition: Condition, found: Set<string>): void {
  if (condition.kind === "atom") {
    const { atom } = condition;
    if (atom.on === "principal" && atom.match.kind === "exact") found.add(`${spiffe}${atom.match.value}`);
  } else if (condition.kind === "not") {
    collectIdentities(condition.of, found);
  } else if (condition.kind === "all" || condition.kind === "any") {
    for (const one of condition.of) collectIdentities(one, found);
  }
}

/** Undefined for what does not depend on the identity. */
function knownFor(atom: Atom, identity: string | undefined): boolean | undefined {
  if (atom.on !== "principal" && atom.on !== "namespace") return undefined;
  if (identity === undefined) return false;
  if (atom.on === "principal") return matches(atom.match, identity.slice(spiffe.length));
  const namespace = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(identity)?.[1];
  return namespace !== undefined && matches(atom.match, namespace);
}

export function matches(match: StringMatch, text: string): boolean {
  switch (match.kind) {
    case "exact":
      return text === match.value;
    case "prefix":
      return text.startsWith(match.value);
    case "suffix":
      return text.endsWith(match.value);
    case "presence":
      return text !== "";
  }
}
