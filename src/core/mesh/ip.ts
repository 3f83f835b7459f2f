/** IP addresses and CIDRs as text: validated, and in one canonical form each (RFC 5952 for IPv6). */

export function canonicalIp(text: string): string | undefined {
  return text.includes(":") ? canonicalIpv6(text) : canonicalIpv4(text);
}

/** `10.0.0.0/8`; a bare address becomes a block of one. */
export function canonicalCidr(text: string): string | undefined {
  const [address = "", bits, ...more] = text.split("/");
  const ip = canonicalIp(address);
  if (ip === undefined || more.length > 0) return undefined;
  const widest = ip.includes(":") ? 128 : 32;
  if (bits === undefined) return `${ip}/${widest}`;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= widest ? `${ip}/${Number(bits)}` : undefined;
}

/** A DNS name of one or more labels, lower case. */
export const isDnsName = (text: string): boolean => text.length <= 253 && text.split(".").every(isDnsLabel);

export const isDnsLabel = (text: string): boolean => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);

function canonicalIpv4(text: string): string | undefined {
  const parts = text.split(".");
  const holds = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return holds ? text : undefined;
}

function canonicalIpv6(text: string): string | undefined {
  const [head = "", tail, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return compress([...left, ...Array.from({ length: missing }, () => 0), ...right]);
}

function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part)) ? parts.map((part) => parseInt(part, 16)) : undefined;
}

/** Replaces the first longest run of two or more zero groups by `::`. */
function compress(groups: readonly number[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === 0) length += 1;
    if (length > best.length) best = { at, length };
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (best.at < 0) return text(groups);
  return `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}`;
}
