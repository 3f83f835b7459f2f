import { Resolver } from "node:dns/promises";
import { expect, it } from "vitest";
import { MeshReplica } from "../../core/mesh/replica.ts";
import { systemHost } from "../../io/host/host.ts";
import { serveMeshDns } from "./dns.ts";

it("tells captured pods no IPv6 address of the mesh, since only IPv4 is captured", async () => {
  const replica = new MeshReplica();
  replica.setService({
    name: "cart",
    namespace: "shop",
    hostname: "cart.shop.mesh.internal",
    aliases: [],
    addresses: ["240.240.0.7", "2001:2::7"].map((address) => ({ network: "one", address })),
    ports: [],
    subjectAltNames: [],
    trafficDistribution: "PreferNetwork",
    publishNotReady: false,
    isHeadless: false,
  });
  const options = { nodeIp: "127.0.0.1", port: 0, network: "one", replica, podsByUid: new Map() };
  const server = await serveMeshDns(systemHost("error"), options);
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.port}`]);
  try {
    expect(await resolver.resolve4("cart.shop.mesh.internal")).toEqual(["240.240.0.7"]);
    // An empty answer: the name exists.
    await expect(resolver.resolve6("cart.shop.mesh.internal")).rejects.toMatchObject({ code: "ENODATA" });
  } finally {
    server.close();
  }
});
