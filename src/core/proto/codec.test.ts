/** Rows survive the wire, a stock ztunnel can read them, and bytes from elsewhere never throw. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Export, MeshService, Policy, PolicyMatch, StringMatch, Workload } from "../mesh/model.ts";
import * as codec from "./codec.ts";
import { AddressSchema, TunnelProtocol } from "./gen/workload_pb.js";
import { AuthorizationSchema } from "./gen/authorization_pb.js";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const host = fc.tuple(word, word).map((parts) => parts.join("."));
const ipv6 = fc.constantFrom("2001:db8::1", "::1", "2001:2::", "fe80::1:0:0:1", "::");
const ip = fc.oneof(fc.ipV4(), ipv6);
const cidr = fc.oneof(fc.constantFrom("10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0"));
const port = fc.integer({ min: 1, max: 65_535 });
const locality = fc.record({ region: word, zone: fc.constantFrom("", "z1"), subzone: fc.constant("") });
const mapping = fc.record({ servicePort: port, targetPort: port });
const servicePort = fc.record({
  name: word,
  port,
  protocol: fc.constantFrom(
    "tcp" as const,
    "http" as const,
    "http2" as const,
    "grpc" as const,
    "tls" as const,
    "udp" as const,
  ),
});
const gateway = fc.record({ host: fc.oneof(ip, host), port });
const identity = word.map((account) => `spiffe://cluster.local/ns/default/sa/${account}`);
const list = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 3 });
const distribution = fc.constantFrom(
  "Any" as const,
  "PreferNetwork" as const,
  "PreferRegion" as const,
  "PreferClose" as const,
  "PreferSameNode" as const,
  "SameNode" as const,
);

const workload: fc.Arbitrary<Workload> = fc.record(
  {
    uid: word.map((name) => `c1//Pod/default/${name}`),
    name: word,
    namespace: word,
    cluster: word,
    network: word,
    node: fc.constantFrom("", "node-1"),
    addresses: list(fc.oneof(ip, host)),
    trustDomain: host,
    serviceAccount: word,
    tunnel: fc.constantFrom("none" as const, "native" as const, "hbone" as const),
    hostNetwork: fc.boolean(),
    locality,
    isHealthy: fc.boolean(),
    capacity: fc.integer({ min: 0, max: 5000 }),
    services: fc.dictionary(
      fc.tuple(word, host).map((key) => key.join("/")),
      list(mapping),
      { maxKeys: 3 },
    ),
    remote: fc.record({ gateways: list(gateway), hostname: host, identities: list(identity) }),
    policies: list(word),
    canonicalName: word,
    canonicalRevision: word,
    workloadName: word,
    workloadType: fc.constantFrom("deployment" as const, "cronjob" as const, "pod" as const, "job" as const),
  },
  {
    requiredKeys: [
      "uid",
      "name",
      "namespace",
      "cluster",
      "network",
      "node",
      "addresses",
      "trustDomain",
      "serviceAccount",
      "tunnel",
      "hostNetwork",
      "locality",
      "isHealthy",
      "capacity",
      "services",
      "policies",
      "canonicalName",
      "canonicalRevision",
      "workloadName",
      "workloadType",
    ],
  },
);

const service: fc.Arbitrary<MeshService> = fc.record(
  {
    name: word,
    namespace: word,
    hostname: host,
    aliases: list(host),
    addresses: list(fc.record({ network: word, address: fc.oneof(ip, cidr, host) })),
    ports: list(servicePort),
    subjectAltNames: list(identity),
    trafficDistribution: distribution,
    publishNotReady: fc.boolean(),
    isHeadless: fc.boolean(),
    exportedAs: host,
  },
  {
    requiredKeys: [
      "name",
      "namespace",
      "hostname",
      "aliases",
      "addresses",
      "ports",
      "subjectAltNames",
      "trafficDistribution",
      "publishNotReady",
      "isHeadless",
    ],
  },
);

const text: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact" as const, "prefix" as const, "suffix" as const), value: word }),
  fc.constant({ kind: "presence" as const }),
);
const match: fc.Arbitrary<PolicyMatch> = fc.record({
  namespaces: list(text),
  notNamespaces: list(text),
  principals: list(text),
  notPrincipals: list(text),
  sourceIps: list(cidr),
  notSourceIps: list(cidr),
  destinationIps: list(cidr),
  notDestinationIps: list(cidr),
  destinationPorts: list(port),
  notDestinationPorts: list(port),
});
const policy: fc.Arbitrary<Policy> = fc.record({
  name: word,
  namespace: word,
  scope: fc.constantFrom("global" as const, "namespace" as const, "workload" as const),
  action: fc.constantFrom("allow" as const, "deny" as const),
  groups: list(list(list(match))),
});

const exported: fc.Arbitrary<Export> = fc.record(
  {
    cluster: word,
    network: word,
    trustDomain: host,
    segment: word,
    segmentDomain: host,
    namespace: word,
    name: word,
    scope: fc.constantFrom("global" as const, "segment" as const),
    takeover: fc.boolean(),
    ports: list(servicePort),
    identities: list(identity),
    aliases: list(host),
    trafficDistribution: distribution,
    ready: list(fc.record({ locality, pods: fc.nat(5000) })),
    endpoints: list(fc.record({ name: word, address: ip, identity, locality, ports: list(mapping) })),
    generation: fc.maxSafeNat(),
  },
  {
    requiredKeys: [
      "cluster",
      "network",
      "trustDomain",
      "segment",
      "segmentDomain",
      "namespace",
      "name",
      "scope",
      "takeover",
      "ports",
      "identities",
      "aliases",
      "ready",
      "endpoints",
      "generation",
    ],
  },
);

/** Field 1000, a string: what a newer sender might add. */
const unknownField = Uint8Array.from([0xc2, 0x3e, 0x02, 0x68, 0x69]);
const withUnknown = (bytes: Uint8Array) => Uint8Array.from([...bytes, ...unknownField]);

describe("round trips", () => {
  const cases = [
    ["workload", workload, codec.encodeWorkload, codec.decodeWorkload],
    ["service", service, codec.encodeService, codec.decodeService],
    ["policy", policy, codec.encodePolicy, codec.decodePolicy],
    ["export", exported, codec.encodeExport, codec.decodeExport],
  ] as const;
  it.each(cases)("a %s comes back as it went, unknown fields or not", (_name, arbitrary, encode, decode) => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<never>, (row) => {
        const bytes = encode(row);
        expect(decode(bytes)).toEqual({ ok: true, value: row });
        expect(decode(withUnknown(bytes))).toEqual({ ok: true, value: row });
      }),
      { numRuns: 150 },
    );
  });

  it("encodes equal rows to equal bytes, so that versions can be digests", () => {
    fc.assert(
      fc.property(workload, (row) => {
        expect(codec.encodeWorkload(structuredClone(row))).toEqual(codec.encodeWorkload(row));
      }),
      { numRuns: 30 },
    );
  });
});

describe("malformed bytes", () => {
  it("any bytes decode to a row or a sentence", () => {
    const decoders = [
      codec.decodeAddress,
      codec.decodeWorkload,
      codec.decodeService,
      codec.decodePolicy,
      codec.decodeExport,
      codec.decodeLease,
      codec.decodePeerInfo,
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const decode of decoders) {
          const row = decode(bytes);
          if (!row.ok) expect(row.problem).toMatch(/\.$/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("a row cut short or with flipped bytes decodes to a row or a sentence", () => {
    fc.assert(
      fc.property(workload, fc.nat(), fc.nat(255), (row, seed, value) => {
        const bytes = codec.encodeWorkload(row);
        const damaged = bytes.slice();
        damaged[seed % bytes.length] = value;
        for (const sent of [damaged, bytes.slice(0, seed % bytes.length)]) {
          const back = codec.decodeWorkload(sent);
          if (!back.ok) expect(back.problem).toMatch(/\.$/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("names the type when nothing can be read", () => {
    const row = codec.decodePolicy(Uint8Array.from([0x0a, 0x7f]));
    expect(row.ok ? "" : row.problem).toContain("istio.security.Authorization");
  });
});

describe("what a ztunnel sees", () => {
  const [first] = fc.sample(workload, { numRuns: 1, seed: 7 });
  const base: Workload = { ...first!, addresses: ["10.1.2.3"] };

  it("sees HBONE for native, never a value it refuses", () => {
    for (const [tunnel, expected] of [
      ["none", TunnelProtocol.NONE],
      ["native", TunnelProtocol.HBONE],
      ["hbone", TunnelProtocol.HBONE],
    ] as const) {
      const message = fromBinary(AddressSchema, codec.encodeWorkload({ ...base, tunnel }));
      expect(message.type.case === "workload" && message.type.value.tunnelProtocol).toBe(expected);
    }
  });

  it("sees addresses of 4 or 16 bytes only, and the first gateway of a remote row", () => {
    const remote = {
      gateways: [
        { host: "192.0.2.1", port: 15008 },
        { host: "gw.example", port: 15008 },
      ],
      hostname: "a.b.mesh.internal",
      identities: [],
    };
    const bytes = codec.encodeWorkload({ ...base, addresses: ["10.1.2.3", "db.example", "2001:db8::1"], remote });
    const { type } = fromBinary(AddressSchema, bytes);
    if (type.case !== "workload") throw new Error("not a workload");
    expect(type.value.addresses.map((address) => address.length)).toEqual([4, 16]);
    expect(type.value.networkGateway?.destination).toMatchObject({ case: "address", value: { network: base.network } });
  });

  it("gives us rows without our extension, and they decode", () => {
    const message = create(AddressSchema, {
      type: {
        case: "workload",
        value: { uid: "c//Pod/n/p", addresses: [Uint8Array.from([10, 0, 0, 1])], tunnelProtocol: TunnelProtocol.HBONE },
      },
    });
    const row = codec.decodeWorkload(toBinary(AddressSchema, message));
    expect(row).toMatchObject({ ok: true, value: { tunnel: "hbone", addresses: ["10.0.0.1"], capacity: 1 } });
  });
});

describe("policies", () => {
  it("refuses what it cannot enforce rather than dropping it", () => {
    const dryRun = toBinary(
      AuthorizationSchema,
      create(AuthorizationSchema, { name: "p", namespace: "n", dryRun: true }),
    );
    expect(codec.decodePolicy(dryRun)).toMatchObject({ ok: false, problem: expect.stringContaining("n/p") });
    const unknownMatch = create(AuthorizationSchema, {
      rules: [{ clauses: [{ matches: [{ principals: [{ matchType: { case: undefined } }] }] }] }],
    });
    expect(codec.decodePolicy(toBinary(AuthorizationSchema, unknownMatch)).ok).toBe(false);
  });

  it("does not encode a range that is none, since an emptied list would match everything", () => {
    const [row] = fc.sample(policy, { numRuns: 1, seed: 3 });
    const [one] = fc.sample(match, { numRuns: 1, seed: 3 });
    const bad = { ...row!, groups: [[[{ ...one!, sourceIps: ["10.0.0.0/33"] }]]] };
    expect(() => codec.encodePolicy(bad)).toThrow('"10.0.0.0/33"');
  });
});
