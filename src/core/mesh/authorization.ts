/**
 * AuthorizationPolicy → L4 policy of the node proxy (spec 4.5). What needs HTTP cannot be enforced there: an ALLOW
 * rule that has it is dropped whole, from a DENY rule only that part is dropped, so that the result is never more
 * permissive.
 */
import type { AuthorizationPolicy } from "../api/mesh-kinds.ts";
import { systemNamespace } from "../api/names.ts";
import { canonicalCidr } from "../api/ip.ts";
import type { Policy, PolicyMatch, StringMatch } from "./model.ts";

export interface Authorization {
  /** Nothing when the node proxy has nothing to enforce. */
  readonly policy: Policy | undefined;
  /** Attributes and actions the node proxy does not support, sorted. */
  readonly unsupported: readonly string[];
}

type Rule = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>[number];
type Matches = readonly PolicyMatch[];

export const anything: PolicyMatch = {
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

/** Attribute → kind of its values and the list it fills, without the `not` variant. */
const attributes: Readonly<
  Record<string, "namespaces" | "principals" | "sourceIps" | "destinationIps" | "destinationPorts">
> = {
  namespaces: "namespaces",
  principals: "principals",
  serviceAccounts: "principals",
  ipBlocks: "sourceIps",
  ports: "destinationPorts",
  "source.namespace": "namespaces",
  "source.principal": "principals",
  "source.serviceAccount": "principals",
  "source.ip": "sourceIps",
  "destination.ip": "destinationIps",
  "destination.port": "destinationPorts",
};

export function authorize({ metadata, spec }: AuthorizationPolicy): Authorization {
  const namespace = metadata.namespace ?? "";
  const action = spec?.action ?? "ALLOW";
  if (action !== "ALLOW" && action !== "DENY") return { policy: undefined, unsupported: [`action ${action}`] };
  const unsupported = new Set<string>();
  const groups: (readonly Matches[])[] = [];
  for (const rule of spec?.rules ?? []) groups.push(...groupsOf(rule, namespace, action === "DENY", unsupported));
  const isSelecting = Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
  const wide = namespace === systemNamespace ? "global" : "namespace";
  const policy: Policy = {
    name: metadata.name,
    namespace,
    scope: isSelecting ? "workload" : wide,
    action: action === "DENY" ? "deny" : "allow",
    groups,
  };
  return { policy, unsupported: [...unsupported].sort() };
}

/**
 * The rules of one group are ANDed. None when the rule cannot be enforced at all; several when alternatives of a DENY rule
 * lose all they say: what the rest of the rule says is then denied, beside what the other alternatives say.
 */
function groupsOf(
  rule: Rule,
  namespace: string,
  isDeny: boolean,
  unsupported: Set<string>,
): readonly (readonly Matches[])[] {
  const parts: readonly (readonly Fields[])[] = [
    (rule.from ?? []).map((from) => from.source ?? {}),
    (rule.to ?? []).map((to) => to.operation ?? {}),
    ...(rule.when ?? []).map(({ key, values = [], notValues = [] }) => [{ [key]: values, [`not ${key}`]: notValues }]),
  ];
  const wanted = parts.filter((alternatives) => alternatives.length > 0);
  if (wanted.length === 0) return [[[anything]]];
  const missed = new Set<string>();
  let groups: readonly (readonly Matches[])[] = [[]];
  for (const alternatives of wanted) {
    const found = alternatives.map((fields) => matchOf(fields, namespace, missed));
    const left = found.filter((match) => match !== undefined);
    const withRest = left.length === 0 ? [] : groups.map((group) => [...group, left]);
    groups = left.length < found.length ? [...groups, ...withRest] : withRest;
  }
  for (const attribute of missed) unsupported.add(attribute);
  if (missed.size === 0) return groups;
  return isDeny ? groups.filter((group) => group.length > 0) : [];
}

/** Nothing when no supported attribute is left of an alternative that had unsupported ones. */
function matchOf(fields: Fields, namespace: string, missed: Set<string>): PolicyMatch | undefined {
  const draft: Draft = { ...anything };
  let supported = 0;
  let dropped = 0;
  for (const [field, values] of Object.entries(fields)) {
    if (values.length === 0) continue;
    const { name, isNot } = attributeOf(field);
    // Both fill one list, whose values are alternatives; together they would allow more than they say.
    const isDouble = name === "serviceAccounts" && (fields["principals"] ?? []).length > 0;
    if (!isDouble && fill(draft, { name, isNot, values, namespace })) {
      supported += 1;
    } else {
      missed.add(isDouble ? "serviceAccounts beside principals" : name);
      dropped += 1;
    }
  }
  return supported === 0 && dropped > 0 ? undefined : draft;
}

type Fields = Readonly<Record<string, readonly string[]>>;
type Draft = { -readonly [List in keyof PolicyMatch]: PolicyMatch[List] };

interface Condition {
  readonly name: string;
  readonly isNot: boolean;
  readonly values: readonly string[];
  readonly namespace: string;
}

/** Answers whether the attribute is known and every value could be read; else the draft is as before. */
function fill(draft: Draft, { name, isNot, values, namespace }: Condition): boolean {
  const list = attributes[name];
  if (list === undefined) return false;
  switch (list) {
    case "namespaces":
    case "principals": {
      const isAccount = name.startsWith("serviceAccount") || name === "source.serviceAccount";
      const at = isNot ? negated[list] : list;
      const matches = values.map((value) =>
        isAccount ? accountMatch(value, namespace) : stringMatch(value.replace(/^spiffe:\/\//, "")),
      );
      draft[at] = [...draft[at], ...matches];
      return true;
    }
    case "sourceIps":
    case "destinationIps": {
      const at = isNot ? negated[list] : list;
      const blocks = values.flatMap((value) => canonicalCidr(value) ?? []);
      if (blocks.length < values.length) return false;
      draft[at] = [...draft[at], ...blocks];
      return true;
    }
    case "destinationPorts": {
      const ports = values.map(Number).filter((port) => Number.isInteger(port) && port > 0 && port <= 65535);
      if (ports.length < values.length) return false;
      draft[isNot ? negated[list] : list] = [...draft[isNot ? negated[list] : list], ...ports];
      return true;
    }
  }
}

const negated = {
  namespaces: "notNamespaces",
  principals: "notPrincipals",
  sourceIps: "notSourceIps",
  destinationIps: "notDestinationIps",
  destinationPorts: "notDestinationPorts",
} as const;

/** `notPorts` and `not destination.port` (of notValues) are the negations of `ports` and `destination.port`. */
function attributeOf(field: string): { readonly name: string; readonly isNot: boolean } {
  if (field.startsWith("not ")) return { name: field.slice(4), isNot: true };
  if (/^not[A-Z]/.test(field)) return { name: field.charAt(3).toLowerCase() + field.slice(4), isNot: true };
  return { name: field, isNot: false };
}

function stringMatch(value: string): StringMatch {
  if (value === "*") return { kind: "presence" };
  if (value.startsWith("*")) return { kind: "suffix", value: value.slice(1) };
  if (value.endsWith("*")) return { kind: "prefix", value: value.slice(0, -1) };
  return { kind: "exact", value };
}

/** `<account>` or `<namespace>/<account>`, of any trust domain. */
function accountMatch(value: string, namespace: string): StringMatch {
  const [first = "", second] = value.split("/");
  const [ns, account] = second === undefined ? [namespace, first] : [first, second];
  return { kind: "suffix", value: `/ns/${ns}/sa/${account}` };
}
