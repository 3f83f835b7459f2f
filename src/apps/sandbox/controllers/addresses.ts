/** IPv4 ranges as numbers: the pool of LoadBalancer addresses and the pod ranges of nodes. Pure. */

export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

export function numberOfAddress(address: string): number | undefined {
  const parts = address.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export const addressOfNumber = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");

export function isInRange({ first, last }: AddressRange, address: string): boolean {
  const [low, high, value] = [first, last, address].map(numberOfAddress);
  return low !== undefined && high !== undefined && value !== undefined && value >= low && value <= high;
}

export function lowestFree({ first, last }: AddressRange, taken: ReadonlySet<string>): string | undefined {
  const [low, high] = [first, last].map(numberOfAddress);
  if (low === undefined || high === undefined) return undefined;
  for (let value = low; value <= high; value += 1) {
    const address = addressOfNumber(value);
    if (!taken.has(address)) return address;
  }
  return undefined;
}

/** The lowest free /24 of a range such as 10.11.0.0/16, leaving out the first, which no node of the plan has. */
export function freeNodeRange(cidr: string, taken: ReadonlySet<string>): string | undefined {
  const [base = "", bits = "16"] = cidr.split("/");
  const start = numberOfAddress(base);
  if (start === undefined || Number(bits) > 24) return undefined;
  for (let at = 1; at < 2 ** (24 - Number(bits)); at += 1) {
    const range = `${addressOfNumber(start + at * 256)}/24`;
    if (!taken.has(range)) return range;
  }
  return undefined;
}
