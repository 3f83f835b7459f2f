import { decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "../../../core/api/kube.ts";
import { readQuery, writeAnswer } from "../../../io/dns/message.ts";
import { answerFrom } from "./answer.ts";
import { machineResolvers } from "./server.ts";
import { Zone } from "./zone.ts";

const service = (name: string, spec: Service["spec"]): [string, Service] => [
  `shop/${name}`,
  { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "shop" }, spec },
];

const slice = (name: string, endpoints: EndpointSlice["endpoints"]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: `${name}-1`, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
  addressType: "IPv4",
  endpoints,
  ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
});

const many = Array.from({ length: 60 }, (_, at) => ({ addresses: [`10.11.3.${at + 2}`] }));

const zone = new Zone({
  services: new Map([
    service("web", { clusterIP: "10.96.0.7", ports: [{ name: "http", port: 80 }] }),
    service("db", { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] }),
    service("crowd", { clusterIP: "None" }),
    service("idle", { clusterIP: "None" }),
    service("out", { type: "ExternalName", externalName: "example.com" }),
    service("renamed", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" }),
    service("ring", { type: "ExternalName", externalName: "ring.shop.svc.cluster.local" }),
  ]),
  endpointSlices: [
    slice("db", [
      { addresses: ["10.11.1.2"], hostname: "db-0" },
      { addresses: ["10.11.2.2"] },
      { addresses: ["10.11.2.3"], conditions: { ready: false } },
    ]),
    slice("crowd", many),
  ],
});

const of = (name: string, type = "A") => zone.answer(name, type);
const kindOf = (name: string, type = "A") => of(name, type).kind;

describe("names of a cluster", () => {
  it("lead to a Service's address, in any case", () => {
    expect(of("Web.shop.SVC.cluster.local")).toMatchObject({ records: [{ type: "A", address: "10.96.0.7" }] });
  });

  it("lead to the ready endpoints of a headless Service, and to each by its own name", () => {
    expect(of("db.shop.svc.cluster.local")).toMatchObject({
      records: [{ address: "10.11.1.2" }, { address: "10.11.2.2" }],
    });
    expect(of("db-0.db.shop.svc.cluster.local")).toMatchObject({ records: [{ address: "10.11.1.2" }] });
    expect(of("10-11-2-2.db.shop.svc.cluster.local")).toMatchObject({ records: [{ address: "10.11.2.2" }] });
    expect(kindOf("10-11-2-3.db.shop.svc.cluster.local")).toBe("no-name");
  });

  it("tell a missing type from a missing name", () => {
    expect(kindOf("web.shop.svc.cluster.local", "AAAA")).toBe("no-data");
    expect(kindOf("shop.svc.cluster.local")).toBe("no-data");
    expect(kindOf("nothing.shop.svc.cluster.local")).toBe("no-name");
    expect(kindOf("web.elsewhere.svc.cluster.local")).toBe("no-name");
    expect(kindOf("idle.shop.svc.cluster.local")).toBe("no-name");
    expect(kindOf("web.shop.svc.cluster.local.shop.svc.cluster.local")).toBe("no-name");
    expect(kindOf("example.com")).toBe("foreign");
  });

  it("have SRV records per named port", () => {
    expect(of("_http._tcp.web.shop.svc.cluster.local", "SRV")).toMatchObject({
      records: [{ target: "web.shop.svc.cluster.local", port: 80 }],
    });
    expect(of("_sql._tcp.db.shop.svc.cluster.local", "SRV")).toMatchObject({
      records: [{ target: "db-0.db.shop.svc.cluster.local" }, { target: "10-11-2-2.db.shop.svc.cluster.local" }],
      additionals: [{ address: "10.11.1.2" }, { address: "10.11.2.2" }],
    });
    expect(kindOf("_http._udp.web.shop.svc.cluster.local", "SRV")).toBe("no-name");
  });

  it("cover pods by address, aliases and the way back", () => {
    expect(of("10-11-1-9.shop.pod.cluster.local")).toMatchObject({ records: [{ address: "10.11.1.9" }] });
    expect(of("out.shop.svc.cluster.local")).toMatchObject({ records: [{ type: "CNAME", target: "example.com" }] });
    expect(of("7.0.96.10.in-addr.arpa", "PTR")).toMatchObject({ records: [{ target: "web.shop.svc.cluster.local" }] });
    expect(kindOf("1.1.168.192.in-addr.arpa", "PTR")).toBe("foreign");
  });
});

describe("external names", () => {
  const answer = (name: string, type = "A") => answerFrom(zone, { name, type });

  it("are followed inside the cluster, and handed to the resolver behind when they lead out", () => {
    expect(answer("renamed.shop.svc.cluster.local")).toMatchObject({
      records: [
        { type: "CNAME", data: "web.shop.svc.cluster.local" },
        { type: "A", data: "10.96.0.7" },
      ],
    });
    expect(answer("out.shop.svc.cluster.local")).toMatchObject({ target: "example.com", alias: { type: "CNAME" } });
    expect(answer("out.shop.svc.cluster.local", "CNAME")).toMatchObject({ records: [{ data: "example.com" }] });
    expect(answer("example.com")).toBe("forward");
  });

  it("that lead to themselves end", () => {
    expect(answer("ring.shop.svc.cluster.local")).toMatchObject({ records: [{ type: "CNAME" }, { type: "CNAME" }] });
  });
});

describe("packets", () => {
  const ask = (name: string, transport: "udp" | "tcp", type: "A" | "AAAA" = "A") => {
    const query = readQuery(encode({ type: "query", id: 77, flags: 256, questions: [{ name, type }] }));
    const answer = query === undefined ? "forward" : answerFrom(zone, query.question);
    if (query === undefined || answer === "forward" || "target" in answer) return undefined;
    const reply = writeAnswer(query, answer, transport === "udp" ? query.udpBytesMax : undefined);
    return reply === undefined ? undefined : { size: reply.length, packet: decode(Buffer.from(reply)) };
  };

  it("say NXDOMAIN with an authority, so that resolvers may remember it", () => {
    const { packet } = ask("nothing.shop.svc.cluster.local", "udp") ?? {};
    expect(packet).toMatchObject({ id: 77, rcode: "NXDOMAIN", answers: [], authorities: [{ type: "SOA" }] });
    expect(ask("web.shop.svc.cluster.local", "udp", "AAAA")?.packet).toMatchObject({ rcode: "NOERROR", answers: [] });
  });

  it("are cut for plain UDP and whole over TCP", () => {
    const cut = ask("crowd.shop.svc.cluster.local", "udp");
    expect(cut?.size).toBeLessThanOrEqual(512);
    expect(cut?.packet.flag_tc).toBe(true);
    expect(cut?.packet.answers?.length).toBeGreaterThan(5);
    expect(ask("crowd.shop.svc.cluster.local", "tcp")?.packet.answers).toHaveLength(60);
  });

  it("that are no question are not answered", () => {
    expect(readQuery(Buffer.from("junk"))).toBeUndefined();
    expect(readQuery(encode({ type: "response", id: 1, questions: [{ name: "a", type: "A" }] }))).toBeUndefined();
  });
});

describe("upstream", () => {
  it("takes IPv4 servers of resolv.conf, and the machine itself without any", () => {
    expect(machineResolvers("# x\nnameserver 1.2.3.4\nnameserver ::1\n")).toEqual([{ address: "1.2.3.4", port: 53 }]);
    expect(machineResolvers("search x\n")).toEqual([{ address: "127.0.0.1", port: 53 }]);
  });
});
