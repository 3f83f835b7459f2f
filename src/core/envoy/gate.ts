/**
 * A pod's gate: the internal listener that every connection to the pod passes, from TLS, plaintext or the same node. It
 * decides by the client's identity before the app sees a connection, then dials the app as the client's address.
 */
import type { LocalPod } from "./view.ts";
import { filterState, gateClusterName, podListenerName, staticCluster } from "./names.ts";
import { accessLog, circuitBreakers, internalUpstream, namespaceState, originalDst, originalSrc } from "./parts.ts";
import { setFilterState, tcpProxy } from "./parts.ts";
import type { Atom, Condition, Decision } from "./policy.ts";
import { envoyType, extension, type EnvoyResource, type JsonObject } from "./resource.ts";
import type { StringMatch } from "../mesh/model.ts";

const openChain = "ok";
const denyChain = "deny";

export function gateListener(pod: LocalPod, decision: Decision | undefined, logPath?: string): EnvoyResource {
  const name = podListenerName.gate(pod.uid);
  const allowed = decision ? [...allowedChains(decision)] : [openChain];
  const resource = {
    name,
    internal_listener: {},
    listener_filters: [originalDst, originalSrc],
    ...(decision ? { filter_chain_matcher: matcherOf(decision) } : {}),
    filter_chains: [
      ...allowed.map((chain) => openFilterChain(chain, pod, logPath)),
      ...(decision ? [denyFilterChain(logPath)] : []),
    ],
  };
  return { type: envoyType.listener, name, resource };
}

/** From the pod's inbound listener into its gate. */
export function gateCluster(pod: LocalPod): EnvoyResource {
  const name = gateClusterName(pod.uid);
  const gate = { envoy_internal_address: { server_listener_name: podListenerName.gate(pod.uid) } };
  const resource = {
    name,
    type: "STATIC",
    connect_timeout: "2s",
    circuit_breakers: circuitBreakers,
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: gate } }] }] },
    transport_socket: internalUpstream,
  };
  return { type: envoyType.cluster, name, resource };
}

/** One attempt only: a refused port then fails the caller's connect, who goes on to its next endpoint. */
const openFilterChain = (name: string, pod: LocalPod, logPath: string | undefined): JsonObject => ({
  name,
  filters: [
    setFilterState([namespaceState(pod.netnsPath)]),
    tcpProxy("gate", staticCluster.inbound, accessLog(logPath, "inbound")),
  ],
});

/**
 * Denies a moment later instead of at once: a gate that closes within the caller's connect() would look like a dead
 * endpoint, and the caller would try the next one.
 */
const denyFilterChain = (logPath: string | undefined): JsonObject => ({
  name: denyChain,
  filters: [
    tcpProxy("deny", staticCluster.denied, {
      max_connect_attempts: 2,
      backoff_options: { base_interval: "0.001s", max_interval: "0.002s" },
      ...accessLog(logPath, "denied"),
    }),
  ],
});

function* allowedChains({ byIdentity, others }: Decision): Iterable<string> {
  for (const [identity, condition] of byIdentity) {
    if (condition.kind !== "never") yield chainName(identity, condition);
  }
  if (others.kind !== "never") yield chainName("*", others);
}

/** Names what is allowed to whom, so that a change of it is another chain and the old one's connections end. */
const chainName = (who: string, condition: Condition): string =>
  condition.kind === "always" ? `${openChain}|${who}` : `${openChain}|${who}|${fingerprint(JSON.stringify(condition))}`;

/** FNV-1a over two halves, 64 bits in hexadecimal; distinguishes revisions of one chain, nothing more. */
function fingerprint(text: string): string {
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(at), 0x01000197);
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

function matcherOf({ byIdentity, others }: Decision): JsonObject {
  const otherwise = onMatch("*", others);
  if (byIdentity.size === 0) return "matcher" in otherwise ? matcherIn(otherwise) : alwaysMatcher(otherwise);
  const map = Object.fromEntries(
    [...byIdentity].map(([identity, condition]) => [identity, onMatch(identity, condition)]),
  );
  return { matcher_tree: { input: identityInput, exact_match_map: { map } }, on_no_match: otherwise };
}

type OnMatch = { readonly action: JsonObject } | { readonly matcher: JsonObject };

const matcherIn = (on: { readonly matcher: JsonObject }): JsonObject => on.matcher;
/** A matcher must have a tree or a list; this one has a key that no client has. */
const alwaysMatcher = (on: OnMatch): JsonObject => ({
  matcher_tree: { input: identityInput, exact_match_map: { map: { "-": toChain(denyChain) } } },
  on_no_match: { ...on },
});

function onMatch(who: string, condition: Condition): OnMatch {
  if (condition.kind === "never") return toChain(denyChain);
  const allowed = toChain(chainName(who, condition));
  if (condition.kind === "always") return allowed;
  return {
    matcher: {
      matcher_list: { matchers: [{ predicate: predicateOf(condition), on_match: { ...allowed } }] },
      on_no_match: { ...toChain(denyChain) },
    },
  };
}

const toChain = (name: string): { readonly action: JsonObject } => ({
  action: { name, typed_config: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: name } },
});

function predicateOf(condition: Condition): JsonObject {
  switch (condition.kind) {
    case "always":
      return { not_matcher: predicateOf({ kind: "never" }) };
    case "never":
      return { single_predicate: { input: portInput, value_match: { exact: "-" } } };
    case "all":
      return { and_matcher: { predicate: condition.of.map(predicateOf) } };
    case "any":
      return { or_matcher: { predicate: condition.of.map(predicateOf) } };
    case "not":
      return { not_matcher: predicateOf(condition.of) };
    case "atom":
      return { single_predicate: atomPredicate(condition.atom) };
  }
}

const input = (name: string, fields: JsonObject = {}): JsonObject => ({
  name,
  typed_config: extension(`matching.common_inputs.network.v3.${name}`, fields),
});
const identityInput = input("FilterStateInput", { key: filterState.identity });
const portInput = input("DestinationPortInput");

function atomPredicate(atom: Atom): JsonObject {
  switch (atom.on) {
    case "principal":
      return { input: identityInput, value_match: principalMatch(atom.match) };
    case "namespace":
      return {
        input: identityInput,
        // Here Envoy insists on the engine, though there is only one.
        value_match: {
          safe_regex: { google_re2: {}, regex: `spiffe://[^/]+/ns/${namespacePattern(atom.match)}/sa/[^/]+` },
        },
      };
    case "port":
      return { input: portInput, value_match: { exact: String(atom.port) } };
    case "sourceIp":
      return { input: input("SourceIPInput"), custom_match: addressMatch(atom.cidr) };
    case "destinationIp":
      return { input: input("DestinationIPInput"), custom_match: addressMatch(atom.cidr) };
  }
}

function principalMatch(match: StringMatch): JsonObject {
  switch (match.kind) {
    case "exact":
      return { exact: `spiffe://${match.value}` };
    case "prefix":
      return { prefix: `spiffe://${match.value}` };
    case "suffix":
      return { suffix: match.value };
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

function addressMatch(cidr: string): JsonObject {
  const [address = "", length] = cidr.split("/");
  const whole = address.includes(":") ? 128 : 32;
  return {
    name: "ip",
    typed_config: extension("matching.input_matchers.ip.v3.Ip", {
      stat_prefix: "policy",
      cidr_ranges: [{ address_prefix: address, prefix_len: length === undefined ? whole : Number(length) }],
    }),
  };
}
