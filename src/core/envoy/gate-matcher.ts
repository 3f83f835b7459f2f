/**
 * How a gate finds the filter chain of a connection: by the client's identity, then by the port, then by what remains of
 * the policies. Gives the matcher and the names of the chains that it leads to.
 */
import { filterState, type PodClient } from "./names.ts";
import { forIdentity, forPort, forStrangers, type Atom, type Condition, type Decision } from "./policy.ts";
import { extension, type JsonObject } from "./resource.ts";
import type { StringMatch } from "../mesh/model.ts";

export const chainName = {
  /** To the app. */
  open: "ok",
  deny: "deny",
  /** The client is made known, then comes back. */
  newcomer: "new",
} as const;

export interface GateMatcher {
  readonly matcher: JsonObject;
  /** Names of the chains that lead to the app. */
  readonly openChains: readonly string[];
}

export function gateMatcher(decision: Decision, clients: Iterable<PodClient>): GateMatcher {
  const openChains = new Set<string>();
  const matcher = new Branches(decision.condition, openChains).matcher(decision.identities, clients);
  return { matcher, openChains: [...openChains] };
}

type OnMatch = { readonly action: JsonObject } | { readonly matcher: JsonObject };

class Branches {
  readonly #condition: Condition;
  readonly #openChains: Set<string>;

  constructor(condition: Condition, openChains: Set<string>) {
    this.#condition = condition;
    this.#openChains = openChains;
  }

  matcher(named: readonly string[], clients: Iterable<PodClient>): JsonObject {
    const portsByIdentity = new Map<string, number[]>(named.filter(isIdentity).map((identity) => [identity, []]));
    const portsInTheClear: number[] = [];
    for (const { identity, port } of clients) {
      if (identity === "") portsInTheClear.push(port);
      else portsByIdentity.set(identity, [...(portsByIdentity.get(identity) ?? []), port]);
    }
    const otherwise = this.#unlisted(portsInTheClear);
    if (portsByIdentity.size === 0) return otherwise;
    const map = Object.fromEntries(
      [...portsByIdentity]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([identity, ports]) => [identity, this.#client(identity, ports)]),
    );
    return {
      matcher_tree: { input: identityInput, exact_match_map: { map } },
      on_no_match: { matcher: otherwise },
    };
  }

  /** Identities that neither came before nor are named, what is no identity, and clients without one. */
  #unlisted(portsInTheClear: readonly number[]): JsonObject {
    const strangers = this.#newcomer("*", forStrangers(this.#condition), this.#condition);
    const matchers = [
      { predicate: single(identityInput, pattern(identityPattern)), on_match: { ...strangers } },
      // Several names in one certificate, or a name of another kind, are nobody's identity.
      { predicate: single(identityInput, pattern(".+")), on_match: { ...toChain(chainName.deny) } },
    ];
    return { matcher_list: { matchers }, on_no_match: { ...this.#client("", portsInTheClear) } };
  }

  /** One identity, or "" for clients without any. */
  #client(identity: string, ports: readonly number[]): OnMatch {
    const condition = forIdentity(this.#condition, identity === "" ? undefined : identity);
    if (condition.kind === "never") return toChain(chainName.deny);
    const newcomer = this.#newcomer(identity, condition, condition);
    if (ports.length === 0) return newcomer;
    const map = Object.fromEntries(
      [...ports].sort((a, b) => a - b).map((port) => [String(port), this.#known(identity, port, condition)]),
    );
    return {
      matcher: { matcher_tree: { input: portInput, exact_match_map: { map } }, on_no_match: { ...newcomer } },
    };
  }

  #known(identity: string, port: number, condition: Condition): OnMatch {
    const left = forPort(condition, port);
    const name = `${chainName.open}|${port}|${identity}`;
    return this.#open(left, left.kind === "always" ? name : `${name}|${fingerprint(left)}`);
  }

  /** The first connection makes the client known. If it came back unknown, it shares a chain with others like it. */
  #newcomer(who: string, condition: Condition, cutBy: Condition): OnMatch {
    if (condition.kind === "never") return toChain(chainName.deny);
    const shared = this.#open(condition, `${chainName.open}|*|${who}|${fingerprint(cutBy)}`);
    const matchers = [{ predicate: single(metInput, { exact: "1" }), on_match: { ...shared } }];
    return {
      matcher: { matcher_list: { matchers }, on_no_match: { ...when(condition, toChain(chainName.newcomer)) } },
    };
  }

  #open(condition: Condition, name: string): OnMatch {
    if (condition.kind !== "never") this.#openChains.add(name);
    return when(condition, toChain(name));
  }
}

function when(condition: Condition, allowed: OnMatch): OnMatch {
  if (condition.kind === "never") return toChain(chainName.deny);
  if (condition.kind === "always") return allowed;
  return {
    matcher: {
      matcher_list: { matchers: [{ predicate: predicateOf(condition), on_match: { ...allowed } }] },
      on_no_match: { ...toChain(chainName.deny) },
    },
  };
}

const toChain = (name: string): { readonly action: JsonObject } => ({
  action: { name, typed_config: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: name } },
});

/** FNV-1a over two halves, 64 bits in hexadecimal; distinguishes revisions of one chain, nothing more. */
function fingerprint(condition: Condition): string {
  const text = JSON.stringify(condition);
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(at), 0x01000197);
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

const identityPattern = "spiffe://[^/,]+/[^,]+";
const isIdentity = (text: string): boolean => new RegExp(`^${identityPattern}$`).test(text);

const input = (name: string, fields: JsonObject = {}): JsonObject => ({
  name,
  typed_config: extension(`matching.common_inputs.network.v3.${name}`, fields),
});
const identityInput = input("FilterStateInput", { key: filterState.identity });
const metInput = input("FilterStateInput", { key: filterState.met });
const portInput = input("DestinationPortInput");

const single = (of: JsonObject, valueMatch: JsonObject): JsonObject => ({
  single_predicate: { input: of, value_match: valueMatch },
});
/** Here Envoy insists on the engine, though there is only one. */
const pattern = (regex: string): JsonObject => ({ safe_regex: { google_re2: {}, regex } });

function predicateOf(condition: Condition): JsonObject {
  switch (condition.kind) {
    case "always":
      return { not_matcher: predicateOf({ kind: "never" }) };
    case "never":
      return single(portInput, { exact: "-" });
    case "all":
      return { and_matcher: { predicate: condition.of.map(predicateOf) } };
    case "any":
      return { or_matcher: { predicate: condition.of.map(predicateOf) } };
    case "not":
      return { not_matcher: predicateOf(condition.of) };
    case "atom":
      return atomPredicate(condition.atom);
  }
}

function atomPredicate(atom: Atom): JsonObject {
  switch (atom.on) {
    case "principal":
      return single(identityInput, principalMatch(atom.match));
    case "namespace":
      return single(identityInput, pattern(`spiffe://[^/]+/ns/${namespacePattern(atom.match)}/sa/[^/]+`));
    case "port":
      return single(portInput, { exact: String(atom.port) });
    case "sourceIp":
      return addressPredicate("SourceIPInput", atom.cidr);
    case "destinationIp":
      return addressPredicate("DestinationIPInput", atom.cidr);
  }
}

function principalMatch(match: StringMatch): JsonObject {
  switch (match.kind) {
    case "exact":
      return { exact: `spiffe://${match.value}` };
    case "prefix":
      return { prefix: `spiffe://${match.value}` };
    case "suffix":
      return pattern(`spiffe://.*${literal(match.value)}`);
    case "presence":
      return { prefix: "spiffe://" };
  }
}

function namespacePattern(match: StringMatch): string {
  switch (match.kind) {
    case "exact":
      return literal(match.value);
    case "prefix":
      return `${literal(match.value)}[^/]*`;
    case "suffix":
      return `[^/]*${literal(match.value)}`;
    case "presence":
      return "[^/]+";
  }
}

const literal = (text: string): string => text.replace(/[^A-Za-z0-9_-]/g, (character) => `\\${character}`);

function addressPredicate(inputName: string, cidr: string): JsonObject {
  const [address = "", length] = cidr.split("/");
  const whole = address.includes(":") ? 128 : 32;
  const custom = {
    name: "ip",
    typed_config: extension("matching.input_matchers.ip.v3.Ip", {
      stat_prefix: "policy",
      cidr_ranges: [{ address_prefix: address, prefix_len: length === undefined ? whole : Number(length) }],
    }),
  };
  return { single_predicate: { input: input(inputName), custom_match: custom } };
}
