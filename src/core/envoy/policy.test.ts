/**
 * What a gate decides must be what the policies say: the matcher that Envoy gets is interpreted here and compared with a
 * small evaluator of AuthorizationPolicies as users write them. Open connections are cut exactly when they must be.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AuthorizationPolicy } from "../api/mesh-kinds.ts";
import { parseCidr, parseIp } from "../api/ip.ts";
import { anything, authorize } from "../mesh/authorization.ts";
import type { Policy } from "../mesh/model.ts";
import { gateListener } from "./gate.ts";
import type { PodClient } from "./names.ts";
import { decisionOf } from "./policy.ts";
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

interface Connection {
  readonly identity: string | undefined;
  readonly port: number;
  readonly sourceIp: string;
  readonly isMet?: boolean;
}

type Spec = NonNullable<AuthorizationPolicy["spec"]>;
type Rule = NonNullable<Spec["rules"]>[number];
type Fields = Readonly<Record<string, readonly string[]>>;

// The meaning of a policy as the documents have it, written without a look at the code under test.

const isIn = (address: string, cidr: string): boolean => {
  const range = parseCidr(cidr);
  const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(parseIp(address) ?? new Uint8Array()).startsWith(
    bits(range?.address ?? new Uint8Array()).slice(0, range?.length),
  );
};
const fits = (pattern: string, text: string): boolean => {
  if (pattern === "*") return text !== "";
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
};

/** Undefined for an attribute that only HTTP has. */
function says(attribute: string, values: readonly string[], connection: Connection): boolean | undefined {
  const name = (connection.identity ?? "").replace("spiffe://", "");
  const [, namespace = "", account = ""] = /\/ns\/([^/]+)\/sa\/(.+)$/.exec(name) ?? [];
  switch (attribute) {
    case "principals":
    case "source.principal":
      return values.some((value) => name !== "" && fits(value, name));
    case "namespaces":
    case "source.namespace":
      return values.some((value) => namespace !== "" && fits(value, namespace));
    case "serviceAccounts":
      return values.some((value) => `${namespace}/${account}` === (value.includes("/") ? value : `shop/${value}`));
    case "ipBlocks":
    case "source.ip":
      return values.some((value) => isIn(connection.sourceIp, value));
    case "ports":
    case "destination.port":
      return values.includes(String(connection.port));
    default:
      return undefined;
  }
}

/** Truths of what can be seen, and whether there was something that cannot. */
function look(fields: Fields, connection: Connection): { readonly seen: boolean[]; readonly isHttp: boolean } {
  const seen: boolean[] = [];
  let isHttp = false;
  for (const [field, values] of Object.entries(fields)) {
    const isNot = /^not[A-Z]/.test(field);
    const truth = says(isNot ? field.charAt(3).toLowerCase() + field.slice(4) : field, values, connection);
    if (truth === undefined) isHttp = true;
    else seen.push(truth !== isNot);
  }
  return { seen, isHttp };
}

function ruleMatches({ from, to, when }: Rule, isDeny: boolean, connection: Connection): boolean {
  const conditions = (when ?? []).map(({ key, values, notValues }) => {
    const truth = says(key, values ?? notValues ?? [], connection);
    return truth === undefined
      ? { seen: [], isHttp: true }
      : { seen: [truth === (values !== undefined)], isHttp: false };
  });
  const sources = (from ?? [{}]).map(({ source }) => look(source ?? {}, connection));
  const operations = (to ?? [{}]).map(({ operation }) => look(operation ?? {}, connection));
  const ways = sources.flatMap((source) => operations.map((operation) => [source, operation, ...conditions]));
  // An ALLOW rule with anything of HTTP in it is left out; of a DENY rule what can be seen counts, if there is any.
  if (!isDeny && ways.flat().some(({ isHttp }) => isHttp)) return false;
  return ways.some((parts) => {
    const seen = parts.flatMap((part) => part.seen);
    return seen.every(Boolean) && (seen.length > 0 || parts.every(({ isHttp }) => !isHttp));
  });
}

function isAllowed(specs: readonly Spec[], connection: Connection): boolean {
  const matching = (action: Spec["action"]) =>
    specs
      .filter((spec) => (spec.action ?? "ALLOW") === action)
      .map((spec) => (spec.rules ?? []).some((rule) => ruleMatches(rule, action === "DENY", connection)));
  if (connection.identity?.includes(",") === true) return false;
  const allows = matching("ALLOW");
  return !matching("DENY").includes(true) && (allows.length === 0 || allows.includes(true));
}

// The parts of Envoy's matcher API that a gate uses, read as Envoy reads them.

interface OnMatch {
  readonly action?: { readonly name: string };
  readonly matcher?: Matcher;
}
interface Input {
  readonly name: string;
  readonly typed_config: { readonly key?: string };
}
interface Predicate {
  readonly single_predicate?: {
    readonly input: Input;
    readonly value_match?: {
      readonly exact?: string;
      readonly prefix?: string;
      readonly suffix?: string;
      readonly safe_regex?: { readonly regex: string };
    };
    readonly custom_match?: {
      readonly typed_config: {
        readonly cidr_ranges: readonly { readonly address_prefix: string; readonly prefix_len: number }[];
      };
    };
  };
  readonly and_matcher?: { readonly predicate: readonly Predicate[] };
  readonly or_matcher?: { readonly predicate: readonly Predicate[] };
  readonly not_matcher?: Predicate;
}
interface Matcher {
  readonly matcher_tree?: {
    readonly input: Input;
    readonly exact_match_map: { readonly map: Readonly<Record<string, OnMatch>> };
  };
  readonly matcher_list?: {
    readonly matchers: readonly { readonly predicate: Predicate; readonly on_match: OnMatch }[];
  };
  readonly on_no_match: OnMatch;
}

function valueOf({ name, typed_config: { key } }: Input, connection: Connection): string | undefined {
  if (name === "DestinationPortInput") return String(connection.port);
  if (name === "SourceIPInput") return connection.sourceIp;
  if (name === "DestinationIPInput") return pod.ip;
  if (key === "tombolo.met") return connection.isMet === true ? "1" : undefined;
  expect(key).toBe("tombolo.identity");
  return connection.identity;
}

function chainFor(matcher: Matcher, connection: Connection): string {
  const follow = (on: OnMatch): string => on.action?.name ?? (on.matcher ? chainFor(on.matcher, connection) : "none");
  if (matcher.matcher_tree) {
    const value = valueOf(matcher.matcher_tree.input, connection);
    const found = value === undefined ? undefined : matcher.matcher_tree.exact_match_map.map[value];
    if (found) return follow(found);
  }
  const inList = matcher.matcher_list?.matchers.find(({ predicate }) => holds(predicate, connection));
  return follow(inList?.on_match ?? matcher.on_no_match);
}

function holds(predicate: Predicate, connection: Connection): boolean {
  if (predicate.and_matcher) return predicate.and_matcher.predicate.every((one) => holds(one, connection));
  if (predicate.or_matcher) return predicate.or_matcher.predicate.some((one) => holds(one, connection));
  if (predicate.not_matcher) return !holds(predicate.not_matcher, connection);
  const single = predicate.single_predicate;
  const text = single && valueOf(single.input, connection);
  if (!single || text === undefined) return false;
  const { value_match: value, custom_match: custom } = single;
  if (custom) {
    return custom.typed_config.cidr_ranges.some((range) => isIn(text, `${range.address_prefix}/${range.prefix_len}`));
  }
  if (value?.exact !== undefined) return text === value.exact;
  if (value?.prefix !== undefined) return text.startsWith(value.prefix);
  const regex = value?.safe_regex?.regex;
  return regex !== undefined && new RegExp(`^(?:${regex})$`).test(text);
}

interface Gate {
  readonly filter_chain_matcher: Matcher;
  readonly filter_chains: readonly { readonly name: string }[];
}

const gateOf = (policies: readonly Policy[], clients: readonly PodClient[]): Gate =>
  // Made by gateListener, whose form the interfaces above describe.
  gateListener({ pod, decision: decisionOf(policies), clients }).resource as unknown as Gate;

const chainNames = (gate: Gate): readonly string[] => gate.filter_chains.map(({ name }) => name);

/** The chain that the gate chooses; it must be there. */
function gateChain(policies: readonly Policy[], connection: Connection, clients: readonly PodClient[] = []): string {
  const gate = gateOf(policies, clients);
  const chain = chainFor(gate.filter_chain_matcher, connection);
  expect(chainNames(gate)).toContain(chain);
  return chain;
}

const policiesOf = (specs: readonly Spec[]): readonly Policy[] =>
  specs.flatMap((spec, at) => {
    const metadata = { name: `p${at}`, namespace: "shop" };
    return authorize({ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata, spec }).policy ?? [];
  });

const clientOf = ({ identity, port }: Connection): PodClient => ({ identity: identity ?? "", port });

const spiffe = (domain: string, namespace: string, account: string) =>
  `spiffe://${domain}/ns/${namespace}/sa/${account}`;
const some = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });
const principals = some(
  "cluster.local/ns/shop/sa/a",
  "west/ns/shop/sa/a",
  "west/ns/bank/sa/b",
  "*/ns/shop/sa/a",
  "west/*",
  "*/sa/b",
  "*",
);
const namespaces = some("shop", "bank", "sh*", "*nk", "*");
const blocks = some("10.0.0.0/8", "10.1.0.5", "192.0.2.0/24", "0.0.0.0/0");
const ports = some("80", "81");
/** Each of the fields or not, but not none. */
const someOf = (fields: Readonly<Record<string, fc.Arbitrary<string[]>>>): fc.Arbitrary<Fields> =>
  fc.record(fields, { requiredKeys: [] }).map((made) => ({ ...made })) as fc.Arbitrary<Fields>; // absent, not undefined
const fieldsOf = (fields: Readonly<Record<string, fc.Arbitrary<string[]>>>): fc.Arbitrary<Fields> =>
  someOf(fields).filter((made) => Object.keys(made).length > 0);
const httpOnly = { weight: 1, arbitrary: fc.constant<Fields>({ methods: ["GET"] }) };
const source: fc.Arbitrary<Fields> = fc.oneof<fc.WeightedArbitrary<Fields>[]>(
  {
    weight: 6,
    arbitrary: fieldsOf({
      principals,
      notPrincipals: principals,
      namespaces,
      notNamespaces: namespaces,
      ipBlocks: blocks,
      notIpBlocks: blocks,
    }),
  },
  { weight: 1, arbitrary: fc.record({ serviceAccounts: some("a", "bank/b") }) },
  { weight: 1, arbitrary: fc.record({ principals, requestPrincipals: some("*") }) },
  { weight: 1, arbitrary: fc.constant<Fields>({ remoteIpBlocks: ["10.0.0.0/8"] }) },
);
const operation: fc.Arbitrary<Fields> = fc.oneof<fc.WeightedArbitrary<Fields>[]>(
  { weight: 4, arbitrary: fieldsOf({ ports, notPorts: ports }) },
  { weight: 1, arbitrary: fc.record({ ports, paths: some("/x") }) },
  httpOnly,
);
const condition = fc.oneof(
  fc.record({ key: fc.constantFrom("source.principal"), values: principals }),
  fc.record({ key: fc.constantFrom("source.namespace"), notValues: namespaces }),
  fc.record({ key: fc.constantFrom("destination.port"), values: ports }),
  fc.record({ key: fc.constantFrom("source.ip"), notValues: blocks }),
  fc.record({ key: fc.constantFrom("request.headers[x]"), values: some("y") }),
);
const list = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 2 });
// fast-check's records have the optional fields that a rule has.
const rule = fc.record(
  { from: list(fc.record({ source })), to: list(fc.record({ operation })), when: list(condition) },
  { requiredKeys: [] },
) as fc.Arbitrary<Rule>;
const spec = fc.record({
  action: fc.constantFrom("ALLOW" as const, "DENY" as const),
  rules: fc.array(rule, { maxLength: 3 }),
}) as fc.Arbitrary<Spec>;
const specs = fc.array(spec, { maxLength: 3 });
const identities = [
  undefined,
  spiffe("cluster.local", "shop", "a"),
  spiffe("west", "shop", "a"),
  spiffe("west", "bank", "b"),
  spiffe("cluster.local", "shop", "z"),
] as const;
const connection: fc.Arbitrary<Connection> = fc.record({
  identity: fc.constantFrom(...identities, "spiffe://west/ns/bank/sa/b,spiffe://cluster.local/ns/shop/sa/a"),
  port: fc.constantFrom(80, 81, 82),
  sourceIp: fc.constantFrom("10.1.0.5", "10.2.0.1", "192.0.2.7"),
});

describe("a gate", () => {
  it("decides what the policies say, of a client that comes first, that came before, and beyond the bound", () => {
    fc.assert(
      fc.property(specs, connection, (written, client) => {
        const policies = policiesOf(written);
        const allowed = isAllowed(written, client);
        expect(gateChain(policies, client)).toBe(allowed ? "new" : "deny");
        expect(gateChain(policies, { ...client, isMet: true }).startsWith("ok|*|")).toBe(allowed);
        const known = gateChain(policies, client, client.identity?.includes(",") ? [] : [clientOf(client)]);
        if (allowed) expect(known).toContain(`ok|${client.port}|${client.identity ?? ""}`);
        else expect(known).toBe("deny");
      }),
      { numRuns: 800 },
    );
  });

  it("cuts a client's connections when it may no more, whether it has a chain of its own or shares one", () => {
    fc.assert(
      fc.property(specs, spec, connection, (before, added, client) => {
        const after = [...before, added];
        if (!isAllowed(before, client) || isAllowed(after, client)) return;
        for (const known of [[], [clientOf(client)]]) {
          const chain = gateChain(policiesOf(before), { ...client, isMet: true }, known);
          expect(chainNames(gateOf(policiesOf(after), known))).not.toContain(chain);
        }
      }),
      { numRuns: 800 },
    );
  });

  it("cuts nobody who may go on, unless the policies speak of addresses", () => {
    fc.assert(
      fc.property(specs, spec, connection, (before, added, client) => {
        const after = [...before, added];
        if (/ipBlocks|source\.ip/i.test(JSON.stringify([before, after]))) return;
        if (!isAllowed(before, client) || !isAllowed(after, client)) return;
        const known = [clientOf(client)];
        const chain = gateChain(policiesOf(before), client, known);
        expect(chainNames(gateOf(policiesOf(after), known))).toContain(chain);
      }),
      { numRuns: 800 },
    );
  });

  it("cuts a client that shares a chain and is denied by name", () => {
    const client = { identity: identities[1], port: 80, sourceIp: "10.1.0.5", isMet: true };
    const named: Spec = {
      action: "DENY",
      rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/a"] } }] }],
    };
    expect(chainNames(gateOf(policiesOf([named]), []))).not.toContain(gateChain([], client));
  });

  it("lets nobody in by a policy without rules, and everybody without a policy", () => {
    const client = { identity: identities[1], port: 80, sourceIp: "10.1.0.5" };
    expect(gateChain(policiesOf([{ action: "ALLOW" }]), client)).toBe("deny");
    expect(gateChain(policiesOf([{ action: "DENY" }]), client)).toBe("new");
    expect(gateChain([], client)).toBe("new");
    expect(gateChain([], { ...client, identity: undefined })).toBe("new");
  });

  it("turns away plaintext where an identity is demanded, and keeps the connections of those who have one", () => {
    const strict: Policy = {
      name: "strict",
      namespace: "istio-system",
      scope: "workload",
      action: "deny",
      groups: [[[{ ...anything, notPrincipals: [{ kind: "presence" }] }]]],
    };
    const plain = { identity: undefined, port: 80, sourceIp: "10.1.0.5" };
    const meshed = { ...plain, identity: identities[1] };
    const known = [clientOf(plain), clientOf(meshed)];
    expect(gateChain([strict], plain, known)).toBe("deny");
    expect(gateChain([strict], meshed, known)).toBe(gateChain([], meshed, known));
    expect(chainNames(gateOf([strict], known))).not.toContain(gateChain([], plain, known));
  });
});
