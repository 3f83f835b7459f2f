/** Patterns and formats of schemas. Patterns are RE2 in Kubernetes; here JavaScript runs them, on bounded input. */
import { isIpv4, isIpv6, parseCidr } from "../../../core/api/ip.ts";

/** Longer texts are not matched against patterns: backtracking must not stop the server. */
const matchedLengthMax = 65_536;
const patternsMax = 5_000;
const patterns = new Map<string, RegExp | Error>();

/** Compiles an RE2 pattern as well as JavaScript can; an Error when it cannot. */
export const compilePattern = (pattern: string): RegExp | Error => {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  const made = compile(pattern);
  if (patterns.size < patternsMax) patterns.set(pattern, made);
  return made;
};

const compile = (pattern: string): RegExp | Error => {
  let flags = "";
  let source = pattern;
  const inline = /^(\^?)\(\?([ims]+)\)/.exec(source);
  if (inline !== null) {
    flags = inline[2] ?? "";
    source = `${inline[1] ?? ""}${source.slice(inline[0].length)}`;
  }
  source = source.replaceAll("\\A", "^").replaceAll("\\z", "$").replaceAll("(?P<", "(?<");
  source = source.replaceAll(/\[\[:(\w+):\]\]/g, (whole, name: string) => posixClasses.get(name) ?? whole);
  for (const tried of [`${flags}u`, flags]) {
    try {
      return new RegExp(source, tried);
    } catch (error) {
      if (tried === flags) return error instanceof Error ? error : new Error(String(error));
    }
  }
  return new Error("unreachable");
};

const posixClasses = new Map([
  ["alpha", "[A-Za-z]"],
  ["digit", "[0-9]"],
  ["alnum", "[A-Za-z0-9]"],
  ["upper", "[A-Z]"],
  ["lower", "[a-z]"],
  ["space", "[\\t\\n\\v\\f\\r ]"],
  ["xdigit", "[0-9A-Fa-f]"],
]);

export const matches = (pattern: string, value: string): boolean => {
  const compiled = compilePattern(pattern);
  return !(compiled instanceof Error) && value.length <= matchedLengthMax && compiled.test(value);
};

const dateTime =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
export const quantityPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/;

export const isCidr = (value: string): boolean => value.includes("/") && parseCidr(value) !== undefined;

const checks: Readonly<Record<string, (value: string) => boolean>> = {
  "date-time": (value) => dateTime.test(value),
  date: (value) => /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/.test(value),
  byte: (value) => base64.test(value),
  uuid: (value) => uuid.test(value),
  uuid4: (value) => uuid.test(value),
  ipv4: isIpv4,
  ipv6: isIpv6,
  cidr: isCidr,
  quantity: (value) => quantityPattern.test(value),
  email: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
  uri: (value) => URL.canParse(value),
  hostname: (value) =>
    value.length <= 253 && /^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9-]{1,63}$/.test(value),
  mac: (value) => /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(value),
  duration: (value) => /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w)?)+$/.test(value),
};

/** Formats that are not known are not checked, as in Kubernetes. */
export const hasFormat = (format: string, value: string): boolean => checks[format]?.(value) ?? true;
