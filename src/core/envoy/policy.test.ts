/** What a gate decides must be what the policies say: the matcher that Envoy gets is interpreted and compared. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Policy, PolicyMatch, StringMatch } from "../mesh/model.ts";
import { gateListener } from "./gate.ts";
import { conditionOf, decisionOf, matches, simplify, type Atom } from "./policy.ts";
import type { LocalPod } from "./view.ts";

const pod: LocalPod = {
  uid: "1",
  namespace: "shop",
  name: "cart",
  serviceAccount: "cart",
  identity: "spiffe://cluster.local/ns/shop/sa/cart",
  ip: "10.0.0.1",
  netnsPath: "/run/netns/cart",
  isDraining: false,
};

interface Client {
  readonly identity: string | undefined;
  readonly port: number;
}

const noMatch: PolicyMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
};
const policy = (action: Policy["action"], ...matchesOfRule: PolicyMatch[]): Policy => ({
  name: "p",
  namespace: "shop",
  scope: "namespace",
  action,
  groups: [[matchesOfRule]],
});

/** The policies' own meaning, without any splitting by identity. */
function isAllowed(policies: readonly Policy[], { identity, port }: Client): boolean {
  const truth = (atom: Atom): boolean => {
    const [, namespace = ""] = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\//.exec(identity ?? "") ?? [];
    if (atom.on === "principal") return identity !== undefined && matches(atom.match, identity.slice(9));
    if (atom.on === "namespace") return namespace !== "" && matches(atom.match, namespace);
    return atom.on === "port" && atom.port === port;
  };
  return policies.length === 0 || simplify(conditionOf(policies), truth).kind === "always";
}

// The parts of Envoy's matcher API that a gate uses, read as Envoy reads them.
interface OnMatch {
  readonly action?: { readonly name: string };
  readonly matcher?: Matcher;
}
interface Predicate {
  readonly single_predicate?: {
    readonly input: { readonly name: string };
    readonly value_match: {
      readonly exact?: string;
      readonly prefix?: string;
      readonly suffix?: string;
      readonly safe_regex?: { readonly regex: string };
    };
  };
  readonly and_matcher?: { readonly predicate: readonly Predicate[] };
  readonly or_matcher?: { readonly predicate: readonly Predicate[] };
  readonly not_matcher?: Predicate;
}
interface Matcher {
  readonly matcher_tree?: { readonly exact_match_map: { readonly map: Readonly<Record<string, OnMatch>> } };
  readonly matcher_list?: {
    readonly matchers: readonly { readonly predicate: Predicate; readonly on_match: OnMatch }[];
  };
  readonly on_no_match: OnMatch;
}

function chainFor(matcher: Matcher, client: Client): string {
  const follow = (on: OnMatch): string => on.action?.name ?? (on.matcher ? chainFor(on.matcher, client) : "none");
  const inTree = client.identity === undefined ? undefined : matcher.matcher_tree?.exact_match_map.map[client.identity];
  if (inTree) return follow(inTree);
  const inList = matcher.matcher_list?.matchers.find(({ predicate }) => holds(predicate, client));
  return follow(inList?.on_match ?? matcher.on_no_match);
}

function holds(predicate: Predicate, client: Client): boolean {
  if (predicate.and_matcher) return predicate.and_matcher.predicate.every((one) => holds(one, client));
  if (predicate.or_matcher) return predicate.or_matcher.predicate.some((one) => holds(one, client));
  if (predicate.not_matcher) return !holds(predicate.not_matcher, client);
  const single = predicate.single_predicate;
  const text = single?.input.name === "DestinationPortInput" ? String(client.port) : client.identity;
  if (!single || text === undefined) return false;
  const { exact, prefix, suffix, safe_regex: pattern } = single.value_match;
  if (exact !== undefined) return text === exact;
  if (prefix !== undefined) return text.startsWith(prefix);
  if (suffix !== undefined) return text.endsWith(suffix);
  return pattern !== undefined && new RegExp(`^(?:${pattern.regex})$`).test(text);
}

interface Gate {
  readonly filter_chain_matcher?: Matcher;
  readonly filter_chains: readonly { readonly name: string }[];
}

/** The chain that the gate of a pod with these policies chooses. */
function gateChain(policies: readonly Policy[], client: Client): string {
  // Made by gateListener, whose form the interfaces above describe.
  const gate = gateListener(pod, decisionOf(policies)).resource as unknown as Gate;
  const chain = gate.filter_chain_matcher ? chainFor(gate.filter_chain_matcher, client) : gate.filter_chains[0]?.name;
  expect(gate.filter_chains.map(({ name }) => name)).toContain(chain);
  return chain ?? "none";
}

const spiffe = (namespace: string, account: string) => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
const exact = (value: string): StringMatch => ({ kind: "exact", value });

const stringMatch = (values: readonly string[]): fc.Arbitrary<StringMatch> =>
  fc.oneof(
    fc.record({ kind: fc.constantFrom("exact", "prefix", "suffix" as const), value: fc.constantFrom(...values) }),
    fc.constant({ kind: "presence" } as const),
  );
const principals = fc.array(
  stringMatch(["cluster.local/ns/shop/sa/a", "cluster.local/ns/bank/sa/b", "cluster.local/ns/sh", "/sa/a"]),
  { maxLength: 2 },
);
const namespaces = fc.array(stringMatch(["shop", "bank", "sh", "k"]), { maxLength: 2 });
const ports = fc.array(fc.constantFrom(80, 81), { maxLength: 2 });
const anyMatch: fc.Arbitrary<PolicyMatch> = fc
  .record({
    principals,
    notPrincipals: principals,
    namespaces,
    notNamespaces: namespaces,
    destinationPorts: ports,
    notDestinationPorts: ports,
  })
  .map((some) => ({ ...noMatch, ...some }));
const anyPolicy: fc.Arbitrary<Policy> = fc.record({
  name: fc.constantFrom("p", "q"),
  namespace: fc.constant("shop"),
  scope: fc.constant("namespace" as const),
  action: fc.constantFrom("allow" as const, "deny" as const),
  groups: fc.array(fc.array(fc.array(anyMatch, { maxLength: 2 }), { maxLength: 2 }), { maxLength: 2 }),
});
const anyClient: fc.Arbitrary<Client> = fc.record({
  identity: fc.constantFrom(undefined, spiffe("shop", "a"), spiffe("bank", "b"), spiffe("shop", "z")),
  port: fc.constantFrom(80, 81, 82),
});

describe("a gate", () => {
  it("decides what the policies say", () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 3 }), anyClient, (policies, client) => {
        expect(gateChain(policies, client).startsWith("ok")).toBe(isAllowed(policies, client));
      }),
      { numRuns: 2000 },
    );
  });

  it("lets nobody in by a policy without rules", () => {
    const nothing: Policy = { ...policy("allow"), groups: [] };
    expect(gateChain([nothing], { identity: spiffe("shop", "a"), port: 80 })).toBe("deny");
  });

  it("turns away plaintext where an identity is demanded", () => {
    const strict = policy("deny", { ...noMatch, notPrincipals: [{ kind: "presence" }] });
    expect(gateChain([strict], { identity: undefined, port: 80 })).toBe("deny");
    expect(gateChain([strict], { identity: spiffe("shop", "a"), port: 80 })).toMatch(/^ok/);
  });

  it("gives a client another chain exactly when what it may do changes", () => {
    const a = "cluster.local/ns/shop/sa/a";
    const b = "cluster.local/ns/bank/sa/b";
    const before = [policy("allow", { ...noMatch, principals: [exact(a), exact(b)] })];
    const after = [
      policy(
        "allow",
        { ...noMatch, principals: [exact(a)] },
        { ...noMatch, principals: [exact(b)], destinationPorts: [80] },
      ),
    ];
    const chain = (policies: readonly Policy[], account: string) =>
      gateChain(policies, { identity: `spiffe://${account}`, port: 80 });
    expect(chain(after, a)).toBe(chain(before, a));
    expect(chain(after, b)).not.toBe(chain(before, b));
  });
});
