/** DNS of the mesh: which names it knows, and a server and forwarder that nothing from outside can end. */
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import packet from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MeshService, Workload } from "../../core/mesh/model.ts";
import { systemHost } from "../host/host.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { Forwarder, framed, unframed } from "./forwarder.ts";
import { answerMeshName, type NameClient } from "./mesh-names.ts";
import { idOf, isTruncated, questionAbout, readQuery, writeAnswer } from "./message.ts";
import { serveDns } from "./server.ts";

const service = (hostname: string, addresses: string[], aliases: string[] = []): MeshService => ({
  name: "cart",
  namespace: "shop",
  hostname,
  aliases,
  addresses: addresses.map((address) => ({ network: "one", address })),
  ports: [],
  subjectAltNames: [],
  trafficDistribution: "PreferNetwork",
  publishNotReady: false,
  isHeadless: false,
});

const workload = (address: string, isHealthy: boolean, network: string): Workload => ({
  uid: address,
  name: address,
  namespace: "shop",
  cluster: "one",
  network,
  node: "",
  addresses: [address],
  trustDomain: "cluster.local",
  serviceAccount: "default",
  tunnel: "native",
  hostNetwork: false,
  locality: { region: "", zone: "", subzone: "" },
  isHealthy,
  capacity: 1,
  services: {},
  policies: [],
  canonicalName: "",
  canonicalRevision: "",
  workloadName: "",
  workloadType: "pod",
});

const services = [
  service("cart.shop.mesh.internal", ["240.240.0.7", "2001:2::7"], ["cart.acme"]),
  service("cart.shop.svc.cluster.local", ["10.96.0.7"]),
  service("db.shop.svc.cluster.local", []),
];
const lookup = {
  servicesByHostname: (name: string) => services.filter((one) => one.hostname === name || one.aliases.includes(name)),
};
const client: NameClient = { network: "one", namespace: "shop", clusterDomain: "cluster.local" };
const ask = (name: string, type = "A", from = client) => answerMeshName({ name, type }, lookup, from);
const data = (answer: ReturnType<typeof ask>) =>
  answer === "forward" ? answer : answer.records.map((record) => [record.type, record.data]);

describe("names of the mesh", () => {
  it("are answered with the addresses on the client's network, by family", () => {
    expect(data(ask("cart.shop.mesh.internal"))).toEqual([["A", "240.240.0.7"]]);
    expect(data(ask("cart.shop.mesh.internal", "AAAA"))).toEqual([["AAAA", "2001:2::7"]]);
    expect(data(ask("cart.acme"))).toEqual([["A", "240.240.0.7"]]);
    expect(ask("cart.shop.mesh.internal", "A", { ...client, network: "two" })).toBe("forward");
  });

  it("with a known name but no address of the family are empty, not unknown", () => {
    expect(ask("cart.shop.svc.cluster.local", "AAAA")).toEqual({ code: "NOERROR", records: [] });
  });

  it("that a search domain was added to are found, and told as a CNAME", () => {
    expect(data(ask("cart.shop.mesh.internal.shop.svc.cluster.local"))).toEqual([
      ["CNAME", "cart.shop.mesh.internal"],
      ["A", "240.240.0.7"],
    ]);
  });

  it("that nobody has, or that have no address of the mesh, are left to the resolver behind", () => {
    expect(ask("example.com")).toBe("forward");
    expect(ask("db.shop.svc.cluster.local")).toBe("forward");
    expect(ask("_http._tcp.cart.shop.svc.cluster.local", "SRV")).toBe("forward");
  });
});

describe("names that need a choice", () => {
  const of = (namespace: string, hostname: string, address: string): MeshService => ({
    ...service(hostname, address === "" ? [] : [address]),
    namespace,
  });
  const rows = [
    of("alpha", "api.partner.example", "240.240.0.1"),
    of("shop", "api.partner.example", "240.240.0.2"),
    of("alpha", "*.partner.example", "240.240.0.3"),
    of("alpha", "*.eu.partner.example", "240.240.0.4"),
    of("shop", "db.shop.svc.cluster.local", ""),
    of("shop", "range.example", "10.0.0.0/8"),
  ];
  const pod = (name: string, isHealthy: boolean, network = "one") => ({ workload: workload(name, isHealthy, network) });
  const many = {
    servicesByHostname: (name: string) => rows.filter(({ hostname }) => hostname === name),
    endpointsOf: (key: string) =>
      key === "shop/db.shop.svc.cluster.local"
        ? [pod("10.0.0.1", true), pod("10.0.0.2", false), pod("10.0.0.3", true, "two"), pod("10.0.0.4", true)]
        : [],
  };
  const addresses = (name: string, from = client) => data(answerMeshName({ name, type: "A" }, many, from));

  it("take the client's own namespace, else the first, never a mixture", () => {
    expect(addresses("api.partner.example")).toEqual([["A", "240.240.0.2"]]);
    expect(addresses("api.partner.example", { ...client, namespace: "other" })).toEqual([["A", "240.240.0.1"]]);
  });

  it("fall to the most exact wildcard", () => {
    expect(addresses("x.partner.example")).toEqual([["A", "240.240.0.3"]]);
    expect(addresses("x.y.eu.partner.example")).toEqual([["A", "240.240.0.4"]]);
    expect(addresses("partner.example")).toBe("forward");
  });

  it("are answered with ready endpoints of the client's network when headless, and not with ranges", () => {
    expect(addresses("db.shop.svc.cluster.local")).toEqual([
      ["A", "10.0.0.1"],
      ["A", "10.0.0.4"],
    ]);
    expect(addresses("db")).toBe("forward");
    expect(addresses("mysql-0.db.shop.svc.cluster.local")).toBe("forward");
    expect(addresses("range.example")).toBe("forward");
  });
});

describe("the server", () => {
  const host = systemHost("error");
  const forwarder = (port?: number) =>
    new Forwarder(host, () => (port === undefined ? [] : [{ address: "127.0.0.1", port }]));
  const resolverOf = (port: number) => {
    const resolver = new Resolver({ timeout: 1_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${port}`]);
    return resolver;
  };

  it("answers what is its own and forwards the rest", async () => {
    const behind = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: forwarder(),
      answer: ({ name }) =>
        name === "plain.test"
          ? { code: "NOERROR", records: [{ type: "A", name, ttl: 5, data: "192.0.2.1" }] }
          : { code: "NXDOMAIN", records: [] },
    });
    const front = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: forwarder(behind.port),
      answer: (question) => answerMeshName(question, lookup, client),
    });
    const resolver = resolverOf(front.port);
    expect(await resolver.resolve4("cart.shop.mesh.internal")).toEqual(["240.240.0.7"]);
    expect(await resolver.resolve4("plain.test")).toEqual(["192.0.2.1"]);
    await expect(resolver.resolve4("cart.shop.gone.internal")).rejects.toMatchObject({ code: "ENOTFOUND" });
    front.close();
    behind.close();
  });

  it("cuts what does not fit a datagram, and gives the whole over TCP", async () => {
    const many = Array.from({ length: 120 }, (_, at) => `192.0.2.${at}`);
    const server = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: forwarder(),
      answer: ({ name }) => ({
        code: "NOERROR",
        records: many.map((text) => ({ type: "A", name, ttl: 5, data: text })),
      }),
    });
    // The resolver asks again over TCP when the datagram says that it is cut.
    expect(await resolverOf(server.port).resolve4("many.test")).toHaveLength(120);
    const question = { name: "many.test", type: "A" };
    const query = { id: 7, question, askedName: "many.test", wantsRecursion: true, hasEdns: false, udpBytesMax: 512 };
    const records = many.map((text) => ({ type: "A", name: "many.test", ttl: 5, data: text }) as const);
    const cut = writeAnswer(query, { code: "NOERROR", records }, 512) ?? new Uint8Array();
    expect(isTruncated(cut)).toBe(true);
    expect(cut.length).toBeLessThanOrEqual(512);
    server.close();
  });

  it("puts an alias before what the server behind says about its target", async () => {
    const behind = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: forwarder(),
      answer: ({ name }) => ({ code: "NOERROR", records: [{ type: "A", name, ttl: 5, data: "192.0.2.1" }] }),
    });
    const front = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: forwarder(behind.port),
      answer: ({ name }) => ({ alias: { type: "CNAME", name, ttl: 5, data: "far.test" }, target: "far.test" }),
    });
    const query = packet.encode({ type: "query", id: 5, questions: [{ type: "A", name: "near.test" }] });
    const bytes = await forwarder(front.port).ask(query, "udp");
    const { answers = [], questions = [] } = packet.decode(Buffer.from(bytes ?? []));
    expect(questions).toMatchObject([{ name: "near.test" }]);
    expect(answers).toMatchObject([
      { name: "near.test", data: "far.test" },
      { name: "far.test", data: "192.0.2.1" },
    ]);
    front.close();
    behind.close();
    expect(questionAbout(readQuery(query)!, `${"x".repeat(64)}.test`)).toBeUndefined();
  });

  it("says SERVFAIL when nobody behind it answers", async () => {
    const server = await serveDns({ address: "127.0.0.1", port: 0, forwarder: forwarder(), answer: () => "forward" });
    await expect(resolverOf(server.port).resolve4("a.test")).rejects.toMatchObject({ code: "ESERVFAIL" });
    server.close();
  });
});

describe("what comes from outside", () => {
  it("never ends the server, whatever the bytes, over UDP and TCP", async () => {
    const host = systemHost("error");
    const server = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: new Forwarder(host, () => []),
      answer: (question) => {
        if (question.name.startsWith("fail")) throw new Error("A resolver of ours failed.");
        return answerMeshName(question, lookup, client);
      },
    });
    const valid = packet.encode({
      type: "query",
      id: 9,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: "A", name: "CART.Shop.mesh.INTERNAL" }],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 4096,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    });
    const socket = createSocket("udp4");
    const answers: Buffer[] = [];
    socket.on("message", (bytes) => answers.push(bytes));
    const damaged = fc.tuple(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length)).map(([at, value, cut]) => {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      return bytes.subarray(0, Math.max(1, cut));
    });
    const stream = connect(server.port, "127.0.0.1").on("error", () => undefined);
    for (const bytes of fc.sample(fc.oneof(damaged, fc.uint8Array({ minLength: 1, maxLength: 80 })), 500)) {
      socket.send(bytes, server.port, "127.0.0.1");
      stream.write(framed(bytes));
    }
    answers.length = 0;
    const last = Buffer.from(valid);
    last.writeUInt16BE(0xbeef, 0);
    const found = () => answers.find((bytes) => idOf(bytes) === 0xbeef);
    for (let round = 0; round < 200 && !found(); round++) {
      socket.send(last, server.port, "127.0.0.1");
      await host.clock.sleep(10);
    }
    const answer = packet.decode(found() ?? Buffer.alloc(12));
    expect(answer.questions?.[0]?.name).toBe("CART.Shop.mesh.INTERNAL");
    expect(answer.answers?.map((record) => ("data" in record ? record.data : ""))).toEqual(["240.240.0.7"]);
    expect(answer.additionals?.[0]?.type).toBe("OPT");
    const resolver = new Resolver({ timeout: 1_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${server.port}`]);
    await expect(resolver.resolve4("fail.test")).rejects.toMatchObject({ code: "ESERVFAIL" });
    socket.close();
    stream.destroy();
    server.close();
  });

  it("waits for the next upstream when one is silent, and takes no question for an answer", async () => {
    const host = virtualHost();
    const silent = createSocket("udp4");
    await new Promise<void>((resolve) => silent.bind(0, "127.0.0.1", resolve));
    let asked = 0;
    // Sends the question itself back, as a reflector would.
    silent.on("message", (bytes, from) => {
      asked += 1;
      silent.send(bytes, from.port, from.address);
    });
    const good = await serveDns({
      address: "127.0.0.1",
      port: 0,
      forwarder: new Forwarder(host, () => []),
      answer: ({ name }) => ({ code: "NOERROR", records: [{ type: "A", name, ttl: 5, data: "192.0.2.9" }] }),
    });
    const upstreams = [silent.address().port, good.port].map((port) => ({ address: "127.0.0.1", port }));
    const query = packet.encode({ type: "query", id: 77, questions: [{ type: "A", name: "a.test" }] });
    const answer = new Forwarder(host, () => upstreams).ask(query, "udp");
    for (let round = 0; round < 200 && asked === 0; round++) await systemHost().clock.sleep(5);
    await host.advance(2_000);
    const bytes = await answer;
    expect(idOf(bytes ?? new Uint8Array())).toBe(77);
    expect(packet.decode(Buffer.from(bytes ?? [])).answers).toHaveLength(1);
    silent.close();
    good.close();
  });

  it("never breaks the reader", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readQuery(bytes);
        unframed(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is framed for TCP and back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 20 }), (message, more) => {
        const stream = new Uint8Array([...framed(message), ...more]);
        expect(unframed(stream)).toEqual(message);
        expect(unframed(framed(message).subarray(0, message.length + 1))).toBeUndefined();
      }),
    );
  });
});
