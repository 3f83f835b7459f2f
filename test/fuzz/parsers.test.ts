/**
 * Bytes and texts from outside, mangled: every parser gives a value or says in its own way that it cannot, and nobody's
 * prototype changes. `FUZZ_RUNS` makes it run longer.
 */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { labelPredicate } from "../../src/apps/apiserver/api/selectors.ts";
import { mergePatch } from "../../src/apps/apiserver/api/merge-patch.ts";
import { parseSettings } from "../../src/apps/control/settings.ts";
import { parseCidr, parseIp } from "../../src/core/api/ip.ts";
import { parseDialClusterName, parseSniClusterName } from "../../src/core/envoy/names.ts";
import type { Export } from "../../src/core/mesh/model.ts";
import {
  decodeAddress,
  decodeExport,
  decodeLease,
  decodePeerInfo,
  decodePolicy,
  encodeExport,
} from "../../src/core/proto/codec.ts";
import { readQuery } from "../../src/io/dns/message.ts";
import { parseIdentity, readCertificate, splitPem } from "../../src/io/identity/x509.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../../src/io/xds/discovery.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 300);

afterEach(() => {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

const row: Export = {
  cluster: "c1",
  network: "n1",
  trustDomain: "c1.local",
  segment: "default",
  segmentDomain: "mesh.internal",
  namespace: "shop",
  name: "web",
  scope: "global",
  takeover: false,
  ports: [{ name: "http", port: 80, protocol: "http" }],
  identities: ["spiffe://c1.local/ns/shop/sa/web"],
  aliases: [],
  ready: [{ locality: { region: "r", zone: "z", subzone: "" }, pods: 2 }],
  endpoints: [],
  generation: 7,
};
const bytes = encodeExport(row);
const samples = [
  bytes,
  encodeResponse({
    typeUrl: "t",
    nonce: "1",
    resources: [{ name: "a", typeUrl: "t", version: "v", bytes }],
    removed: ["b"],
  }),
  encodeRequest({ typeUrl: "t", subscribe: ["*"], unsubscribe: [], initialVersions: new Map([["a", "v"]]), nonce: "" }),
  // A question about a.b, type A, with a name that points at itself.
  Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 1, 98, 0, 0, 1, 0, 1, 0xc0, 12]),
];

/** A good message with some bytes changed and its end cut off, or no message at all. */
const mangled = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat())
    .map(([sample, changes, length]) => {
      const copy = Uint8Array.from(sample);
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy.subarray(0, length % 3 === 0 ? length % (copy.length + 1) : copy.length);
    }),
);

test.each([
  ["addresses", decodeAddress],
  ["policies", decodePolicy],
  ["exports", decodeExport],
  ["leases", decodeLease],
  ["what peers say of themselves", decodePeerInfo],
] as const)("%s: a row or a problem, never an exception", (_name, decode) => {
  fc.assert(
    fc.property(mangled, (input) => {
      const read = decode(input);
      if (!read.ok) expect(read.problem).toMatch(/\S/);
    }),
    { numRuns },
  );
});

/** Their callers turn an Error into the end of the stream. */
test.each([
  ["requests", decodeRequest],
  ["responses", decodeResponse],
] as const)("discovery %s: a message or an Error", (_name, decode) => {
  fc.assert(
    fc.property(mangled, (input) => {
      try {
        decode(input);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns },
  );
});

test("DNS: a question or nothing", () => {
  fc.assert(
    fc.property(mangled, (input) => {
      const query = readQuery(input);
      if (query !== undefined) expect(query).toBeTypeOf("object");
    }),
    { numRuns },
  );
});

const text = fc.oneof(
  fc.string({ maxLength: 200, unit: "binary" }),
  fc.string({ maxLength: 60 }).map((inner) => `-----BEGIN CERTIFICATE-----\n${inner}\n-----END CERTIFICATE-----\n`),
  fc
    .array(fc.constantFrom("s|", "sni|outbound_.", "80", "_._.", "10.0.0.1", ":", "/", "spiffe://", "::", "]", "["), {
      maxLength: 9,
    })
    .map((parts) => parts.join("")),
);

test("names, addresses, identities and certificates: a value or nothing", () => {
  fc.assert(
    fc.property(text, (input) => {
      for (const parse of [parseIp, parseCidr, parseIdentity, parseDialClusterName, parseSniClusterName]) parse(input);
      for (const pem of splitPem(input)) readCertificate(pem);
    }),
    { numRuns },
  );
});

test("settings: the mesh's, or a list of problems", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), text), (input) => {
      const read = parseSettings(input);
      if (!read.ok) expect(read.problems.length).toBeGreaterThan(0);
    }),
    { numRuns },
  );
});

test("label selectors: a predicate, or an error with a sentence", () => {
  const piece = fc.constantFrom(
    "a",
    "app",
    "=",
    "==",
    "!=",
    ",",
    " in ",
    " notin ",
    "(",
    ")",
    "!",
    "b.c/d",
    "",
    "\u0000",
    "ä",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        labelPredicate(pieces.join(""));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect((error as Error).name).not.toBe("TypeError");
      }
    }),
    { numRuns },
  );
});

test("merge patches change their target's copy and nobody's prototype", () => {
  const key = fc.constantFrom("__proto__", "constructor", "prototype", "a", "polluted");
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, fc.constant(null), fc.boolean(), fc.string({ maxLength: 3 }), tie("record")),
    record: fc
      .array(fc.tuple(key, tie("tree")), { maxLength: 4 })
      // As a body is read: `__proto__` becomes a key of its own.
      .map(
        (pairs) =>
          JSON.parse(
            `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`,
          ) as unknown,
      ),
  }));
  fc.assert(
    fc.property(tree, tree, (target, patch) => {
      const merged = mergePatch(target, patch);
      if (typeof merged === "object" && merged !== null) expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
      expect(({} as Record<string, unknown>)["a"]).toBeUndefined();
    }),
    { numRuns },
  );
});
