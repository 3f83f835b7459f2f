/** IPv4 ranges as numbers: the pool of LoadBalancer addresses and the pod ranges of nodes. Pure. */
import { ipv4Number, ipv4OfNumber } from "../../../core/api/ip.ts";

export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

export function isInRange({ first, last }: AddressRange, address: string): boolean {
  const [low, high, value] = [first, last, address].map(ipv4Number);
  return low !== undefined && high !== undefined && value !== undefined && value >= low && value <= high;
}

export function lowestFree({ first, last }: AddressRange, taken: ReadonlySet<string>): string | undefined {
  const [low, high] = [first, last].map(ipv4Number);
  if (low === undefined || high === undefined) return undefined;
  for (let value = low; value <= high; value += 1) {
    const address = ipv4OfNumber(value);
    if (!taken.has(address)) return address;
  }
  return undefined;
}

/** The lowest free /24 of a range such as 10.11.0.0/16, leaving out the first, which no node of the plan has. */
export function freeNodeRange(cidr: string, taken: ReadonlySet<string>): string | undefined {
  const [base = "", bits = "16"] = cidr.split("/");
  const start = ipv4Number(base);
  if (start === undefined || Number(bits) > 24) return undefined;
  for (let at = 1; at < 2 ** (24 - Number(bits)); at += 1) {
    const range = `${ipv4OfNumber(start + at * 256)}/24`;
    if (!taken.has(range)) return range;
  }
  return undefined;
}
