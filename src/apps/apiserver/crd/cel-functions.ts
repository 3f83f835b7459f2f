/**
 * The functions that Kubernetes adds to CEL: URLs, addresses, quantities, lists and regular expressions (A39).
 * Values of its own types are maps with one private key, so that methods find them and rules cannot mistake them.
 */
import {
  type CelFunc,
  type CelInput,
  type CelList,
  type CelMap,
  type CelValue,
  CelScalar,
  celFunc,
  celMethod,
  isCelList,
  isCelMap,
  listType,
  mapType,
} from "@bufbuild/cel";
import { quantityNumber } from "../schema/quantity.ts";
import { isIp, isIpv4, parseIp } from "../../../core/api/ip.ts";
import { isCidr, quantityPattern } from "../schema/formats.ts";
import { optionalIndex, optionalSelect } from "./cel-optional.ts";

const { BOOL, DOUBLE, DYN, INT, STRING } = CelScalar;
const list = listType(DYN);
const opaque = mapType(STRING, DYN);
const foundMax = 10_000;

const boxed = (type: string, text: string): Map<string, CelInput> => new Map([[`$${type}`, text]]);

const unbox = (map: CelMap, type: string): string => {
  const text = map.get(`$${type}`);
  if (typeof text !== "string") throw new Error(`this is not a ${type}`);
  return text;
};

const parsedUrl = (text: string): URL | undefined => {
  if (!URL.canParse(text) && !text.startsWith("/")) return undefined;
  return text.startsWith("/") ? new URL(text, "relative://x") : new URL(text);
};

/** The host of a URL as it was written: JavaScript drops the default port of known schemes. */
const written = (text: string): { readonly host: string; readonly port: string } => {
  const authority = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/.exec(text)?.[1] ?? "";
  return { host: authority, port: /:(\d+)$/.exec(authority)?.[1] ?? "" };
};

const urlPart = (name: string, read: (url: URL, text: string) => string): CelFunc =>
  celMethod(name, opaque, [], STRING, function (this: CelMap) {
    const text = unbox(this, "url");
    const url = parsedUrl(text);
    return url === undefined ? "" : read(url, text);
  });

const urls: readonly CelFunc[] = [
  celFunc("isURL", [STRING], BOOL, (text) => parsedUrl(text) !== undefined),
  celFunc("url", [STRING], opaque, (text) => {
    if (parsedUrl(text) === undefined) throw new Error(`URL parse error during conversion from string: ${text}`);
    return boxed("url", text);
  }),
  urlPart("getScheme", (url, text) => (text.startsWith("/") ? "" : url.protocol.slice(0, -1))),
  urlPart("getHost", (_url, text) => written(text).host),
  urlPart("getHostname", (_url, text) =>
    written(text)
      .host.replace(/:\d+$/, "")
      .replace(/^\[(.*)\]$/, "$1"),
  ),
  urlPart("getPort", (_url, text) => written(text).port),
  urlPart("getEscapedPath", (url, text) => (/^[a-z0-9+.-]+:\/\/[^/]*$/i.test(text) ? "" : url.pathname)),
  celMethod("getQuery", opaque, [], mapType(STRING, listType(STRING)), function (this: CelMap) {
    const query = parsedUrl(unbox(this, "url"))?.searchParams;
    return new Map([...(query?.keys() ?? [])].map((key) => [key, query?.getAll(key) ?? []]));
  }),
];

const bitsOf = (address: string): bigint =>
  (parseIp(address) ?? new Uint8Array()).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

const holds = (range: string, address: string, prefix: number): boolean => {
  const [network = "", length = "0"] = range.split("/");
  if (isIpv4(network) !== isIpv4(address) || prefix < Number(length)) return false;
  const shift = BigInt((isIpv4(network) ? 32 : 128) - Number(length));
  return bitsOf(network) >> shift === bitsOf(address) >> shift;
};

const addressIs = (name: string, test: (address: string) => boolean): CelFunc =>
  celMethod(name, opaque, [], BOOL, function (this: CelMap) {
    return test(unbox(this, "ip"));
  });

const addresses: readonly CelFunc[] = [
  celFunc("isIP", [STRING], BOOL, isIp),
  celFunc("isCIDR", [STRING], BOOL, isCidr),
  celFunc("ip", [STRING], opaque, (text) => {
    if (!isIp(text)) throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
    return boxed("ip", text);
  }),
  celFunc("cidr", [STRING], opaque, (text) => {
    if (!isCidr(text)) throw new Error(`network address parse error during conversion from string: ${text}`);
    return boxed("cidr", text);
  }),
  celMethod("family", opaque, [], INT, function (this: CelMap) {
    return isIpv4(unbox(this, "ip")) ? 4n : 6n;
  }),
  celMethod("prefixLength", opaque, [], INT, function (this: CelMap) {
    return BigInt(unbox(this, "cidr").split("/")[1] ?? "0");
  }),
  celMethod("containsIP", opaque, [STRING], BOOL, function (this: CelMap, address) {
    return isIp(address) && holds(unbox(this, "cidr"), address, 128);
  }),
  celMethod("containsIP", opaque, [opaque], BOOL, function (this: CelMap, address) {
    return holds(unbox(this, "cidr"), unbox(address, "ip"), 128);
  }),
  celMethod("containsCIDR", opaque, [STRING], BOOL, function (this: CelMap, inner) {
    const [address = "", prefix = "0"] = inner.split("/");
    return isCidr(inner) && holds(unbox(this, "cidr"), address, Number(prefix));
  }),
  addressIs("isUnspecified", (address) => bitsOf(address) === 0n),
  addressIs("isLoopback", (address) => holds("127.0.0.0/8", address, 32) || address === "::1"),
  addressIs(
    "isLinkLocalUnicast",
    (address) => holds("169.254.0.0/16", address, 32) || holds("fe80::/10", address, 128),
  ),
];

const compareQuantities = (name: string, test: (left: number, right: number) => boolean): CelFunc =>
  celMethod(name, opaque, [opaque], BOOL, function (this: CelMap, other) {
    return test(quantityNumber(unbox(this, "quantity")), quantityNumber(unbox(other, "quantity")));
  });

const quantities: readonly CelFunc[] = [
  celFunc("isQuantity", [STRING], BOOL, (text) => quantityPattern.test(text)),
  celFunc("quantity", [STRING], opaque, (text) => {
    if (!quantityPattern.test(text)) throw new Error(`quantity ${JSON.stringify(text)} cannot be parsed`);
    return boxed("quantity", text);
  }),
  compareQuantities("isGreaterThan", (left, right) => left > right),
  compareQuantities("isLessThan", (left, right) => left < right),
  celMethod("compareTo", opaque, [opaque], INT, function (this: CelMap, other) {
    return BigInt(Math.sign(quantityNumber(unbox(this, "quantity")) - quantityNumber(unbox(other, "quantity"))));
  }),
  celMethod("isInteger", opaque, [], BOOL, function (this: CelMap) {
    return Number.isSafeInteger(quantityNumber(unbox(this, "quantity")));
  }),
  celMethod("asInteger", opaque, [], INT, function (this: CelMap) {
    return BigInt(quantityNumber(unbox(this, "quantity")));
  }),
  celMethod("asApproximateFloat", opaque, [], DOUBLE, function (this: CelMap) {
    return quantityNumber(unbox(this, "quantity"));
  }),
  celMethod("sign", opaque, [], INT, function (this: CelMap) {
    return BigInt(Math.sign(quantityNumber(unbox(this, "quantity"))));
  }),
];

/** Numbers and texts can be compared; anything else in a list cannot. */
const isComparable = (value: CelValue): value is bigint | number | string | boolean =>
  ["bigint", "number", "string", "boolean"].includes(typeof value);

const before = (left: CelValue, right: CelValue): boolean => {
  if (!isComparable(left) || !isComparable(right)) throw new Error("items of the list cannot be compared");
  return left < right;
};

const extreme = (values: CelList, isBetter: (candidate: CelValue, best: CelValue) => boolean): CelValue => {
  let best: CelValue | undefined;
  for (const value of values) if (best === undefined || isBetter(value, best)) best = value;
  if (best === undefined) throw new Error("min and max need a list that is not empty");
  return best;
};

const sumOf = (values: CelList): bigint | number => {
  let whole = 0n;
  let broken = 0;
  let isBroken = false;
  for (const value of values) {
    if (typeof value === "bigint") whole += value;
    else if (typeof value === "number") {
      broken += value;
      isBroken = true;
    } else throw new Error("sum needs a list of numbers");
  }
  return isBroken ? broken : whole;
};

const lists: readonly CelFunc[] = [
  celMethod("isSorted", list, [], BOOL, function (this: CelList) {
    const values = [...this];
    return values.every((value, index) => index === 0 || !before(value, values[index - 1] ?? value));
  }),
  celMethod("sum", list, [], DYN, function (this: CelList) {
    return sumOf(this);
  }),
  celMethod("min", list, [], DYN, function (this: CelList) {
    return extreme(this, before);
  }),
  celMethod("max", list, [], DYN, function (this: CelList) {
    return extreme(this, (candidate, best) => before(best, candidate));
  }),
  celMethod("indexOf", list, [DYN], INT, function (this: CelList, wanted) {
    return BigInt([...this].indexOf(wanted));
  }),
  celMethod("lastIndexOf", list, [DYN], INT, function (this: CelList, wanted) {
    return BigInt([...this].lastIndexOf(wanted));
  }),
];

const findAll = (text: string, pattern: string): string[] =>
  [...text.matchAll(new RegExp(pattern, "gu"))].slice(0, foundMax).map(([found]) => found);

const patterns: readonly CelFunc[] = [
  celMethod("find", STRING, [STRING], STRING, function (this: string, pattern) {
    return new RegExp(pattern, "u").exec(this)?.[0] ?? "";
  }),
  celMethod("findAll", STRING, [STRING], listType(STRING), function (this: string, pattern) {
    return findAll(this, pattern);
  }),
  celMethod("findAll", STRING, [STRING, INT], listType(STRING), function (this: string, pattern, count) {
    return findAll(this, pattern).slice(0, count < 0n ? foundMax : Number(count));
  }),
];

/** `oldSelf` under optionalOldSelf: a value that may be absent. */
export const optionalOf = (value: CelInput | undefined): Map<string, CelInput> =>
  new Map<string, CelInput>([["$optional", value === undefined ? [] : [value]]]);

const optionalItems = (map: CelMap): CelList => {
  const items = map.get("$optional");
  // Only `optionalOf` makes this key, always with a list.
  if (items === undefined) throw new Error("this is not an optional value");
  return items as CelList;
};

const optionals: readonly CelFunc[] = [
  celMethod("hasValue", opaque, [], BOOL, function (this: CelMap) {
    return optionalItems(this).size > 0;
  }),
  celMethod("value", opaque, [], DYN, function (this: CelMap) {
    const value = optionalItems(this).get(0);
    if (value === undefined) throw new Error("optional value is absent");
    return value;
  }),
  celMethod("orValue", opaque, [DYN], DYN, function (this: CelMap, otherwise) {
    return optionalItems(this).get(0) ?? otherwise;
  }),
  celMethod("or", opaque, [opaque], opaque, function (this: CelMap, other) {
    return optionalItems(this).size > 0 ? this : other;
  }),
  celFunc("optional.of", [DYN], opaque, (value) => optionalOf(value)),
  celFunc("optional.none", [], opaque, () => optionalOf(undefined)),
  celFunc(optionalSelect, [DYN, STRING], opaque, (holder, name) => optionalOf(elementOf(holder, name))),
  celFunc(optionalIndex, [DYN, DYN], opaque, (holder, key) => optionalOf(elementOf(holder, key))),
];

/** What is there under a name, a key or an index; of an absent optional nothing is. */
const elementOf = (holder: CelValue, key: CelValue): CelInput | undefined => {
  if (isCelList(holder)) return typeof key === "bigint" ? holder.get(Number(key)) : undefined;
  if (!isCelMap(holder)) throw new Error("only maps, objects and lists have optional fields and indices");
  if (holder.has("$optional")) {
    const inner = optionalItems(holder).get(0);
    return inner === undefined ? undefined : elementOf(inner, key);
  }
  const isKey = typeof key === "string" || typeof key === "bigint" || typeof key === "boolean";
  return isKey ? holder.get(key) : undefined;
};

export const kubernetesFunctions: readonly CelFunc[] = [
  ...urls,
  ...addresses,
  ...quantities,
  ...lists,
  ...patterns,
  ...optionals,
];
