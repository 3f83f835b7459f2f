/**
 * IP addresses and CIDR ranges between text and the bytes of the wire. Text out is canonical: lower case, the longest
 * run of zeros in an IPv6 address as `::`.
 */

export interface Cidr {
  readonly address: Uint8Array;
  readonly length: number;
}

export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

export function formatIp(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  return bytes.length === 16 ? formatIpv6(bytes) : undefined;
}

export const isIp = (text: string): boolean => parseIp(text) !== undefined;
export const isIpv4 = (text: string): boolean => parseIpv4(text) !== undefined;
export const isIpv6 = (text: string): boolean => isIp(text) && !isIpv4(text);

/** The one form of an address by which it is compared (RFC 5952 for IPv6). */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text);
  return bytes && formatIp(bytes);
}

/** `10.0.0.0/8`; a bare address becomes a range of one. */
export function canonicalCidr(text: string): string | undefined {
  const cidr = parseCidr(text);
  return cidr && formatCidr(cidr);
}

/** As it stands before a port: an IPv6 address in brackets. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** An IPv4 address as a number, for counting through a range. */
export const ipv4Number = (text: string): number | undefined =>
  parseIpv4(text)?.reduce((value, part) => value * 256 + part, 0);

export const ipv4OfNumber = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");

/** A bare address is a range of one. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  const bits = address.length * 8;
  if (slash < 0) return { address, length: bits };
  const lengthText = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText) || Number(lengthText) > bits) return undefined;
  return { address, length: Number(lengthText) };
}

export function formatCidr(cidr: Cidr): string | undefined {
  const address = formatIp(cidr.address);
  return address === undefined || cidr.length > cidr.address.length * 8 ? undefined : `${address}/${cidr.length}`;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf(halves[0] ?? "", halves.length === 1), groupsOf(halves[1] ?? "", true)];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 tail counts as two. */
function groupsOf(text: string, allowsDotted: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (allowsDotted && index === parts.length - 1 && part.includes(".")) {
      const dotted = parseIpv4(part);
      if (!dotted) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = dotted;
      groups.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[at * 2] ?? 0) * 256 + (bytes[at * 2 + 1] ?? 0));
  let [longestAt, longest] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let run = 0;
    while (at + run < 8 && groups[at + run] === 0) run++;
    if (run > longest) [longestAt, longest] = [at, run];
  }
  const hex = groups.map((group) => group.toString(16));
  if (longestAt < 0) return hex.join(":");
  return `${hex.slice(0, longestAt).join(":")}::${hex.slice(longestAt + longest).join(":")}`;
}
