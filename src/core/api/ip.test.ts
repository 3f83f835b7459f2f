/** Text and bytes of addresses, judged against Node's own parser. */
import { isIP } from "node:net";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  canonicalCidr,
  canonicalIp,
  formatCidr,
  formatIp,
  ipv4Number,
  ipv4OfNumber,
  isIpv4,
  isIpv6,
  parseCidr,
  parseIp,
} from "./ip.ts";

it("accepts what Node accepts (zones aside) and refuses what Node refuses", () => {
  const almost = fc.stringMatching(/^[0-9a-f:.]{1,20}$/);
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), almost), (text) => {
      expect(parseIp(text) !== undefined).toBe(isIP(text) !== 0);
    }),
    { numRuns: 2000 },
  );
});

it("writes bytes as the text that URL would write", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(0xffff), (bytes, mask) => {
      const sparse = bytes.map((byte, at) => (mask & (1 << at) ? 0 : byte));
      const text = formatIp(sparse);
      expect(`[${text}]`).toBe(new URL(`http://[${text}]/`).hostname);
      expect(parseIp(text ?? "")).toEqual(sparse);
    }),
    { numRuns: 500 },
  );
});

it("reads ranges and refuses lengths that do not fit", () => {
  expect(formatCidr(parseCidr("2001:DB8::/32") ?? { address: new Uint8Array(), length: 0 })).toBe("2001:db8::/32");
  expect(parseCidr("10.0.0.1")?.length).toBe(32);
  for (const bad of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "::/129", "10.0.0/8", "x/8", ""]) {
    expect(parseCidr(bad), bad).toBeUndefined();
  }
});

it("has one form for addresses and ranges to compare by", () => {
  expect(canonicalIp("2001:DB8:0::1")).toBe("2001:db8::1");
  expect(canonicalIp("::ffff:10.0.0.1")).toBe(canonicalIp("::ffff:a00:1"));
  expect(canonicalCidr("10.0.0.1")).toBe("10.0.0.1/32");
  expect(canonicalCidr("FD00::/8")).toBe("fd00::/8");
  expect(canonicalIp("example.com")).toBeUndefined();
});

it("counts through IPv4 addresses and back", () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      expect(ipv4OfNumber(ipv4Number(text) ?? -1)).toBe(text);
    }),
  );
  expect(ipv4Number("10.0.0")).toBeUndefined();
  expect([isIpv4("::1"), isIpv6("::1"), isIpv4("10.0.0.1"), isIpv6("10.0.0.1")]).toEqual([false, true, true, false]);
});
