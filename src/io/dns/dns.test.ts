import { Resolver } from "node:dns/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MeshService } from "../../core/mesh/model.ts";
import { systemHost } from "../host/host.ts";
import { Forwarder, framed, unframed } from "./forwarder.ts";
import { answerMeshName, type NameClient } from "./mesh-names.ts";
import { isTruncated, readQuery, writeAnswer } from "./message.ts";
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
    const query = { id: 7, question: { name: "many.test", type: "A" }, udpBytesMax: 512 };
    const records = many.map((text) => ({ type: "A", name: "many.test", ttl: 5, data: text }) as const);
    const cut = writeAnswer(query, { code: "NOERROR", records }, 512);
    expect(isTruncated(cut)).toBe(true);
    expect(cut.length).toBeLessThanOrEqual(512);
    server.close();
  });

  it("says SERVFAIL when nobody behind it answers", async () => {
    const server = await serveDns({ address: "127.0.0.1", port: 0, forwarder: forwarder(), answer: () => "forward" });
    await expect(resolverOf(server.port).resolve4("a.test")).rejects.toMatchObject({ code: "ESERVFAIL" });
    server.close();
  });
});

describe("what comes from outside", () => {
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
