/**
 * What happens to open and to just opened connections when the Envoy cluster that carries them is replaced, moved or
 * removed. Real Envoys, driven in process. Needs root.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Workload } from "../../src/core/mesh/model.ts";
import { appPorts, identityOfAccount, Lab, podWorkload, poll, remoteWorkload, service } from "./kit/lab.ts";

const near = { cluster: "cluster1", network: "network1" };
const far = { cluster: "cluster2", network: "network2" };
const pods = {
  a: { name: "a", node: "n1", ip: "10.42.1.2", account: "a" },
  b: { name: "b", node: "n1", ip: "10.42.1.3", account: "b" },
  c: { name: "c", node: "n2", ip: "10.42.2.2", account: "c" },
  e: { name: "e", node: "n3", ip: "10.42.3.2", account: "e" },
} as const;
const vip = { b: "10.97.0.2", c: "10.97.0.3", e: "10.97.0.4" } as const;
type ServiceName = keyof typeof vip;
const key = (name: string) => `shop/${name}.shop.svc.cluster.local`;
const inServices = (...names: readonly ServiceName[]) => Object.fromEntries(names.map((name) => [key(name), appPorts]));

interface Held {
  readonly greeted: number;
  readonly by: readonly string[];
  readonly ended: number;
  readonly echoed: number;
  readonly failed: readonly string[];
}

const lab = new Lab("oc");
const replica = lab.replica(near.cluster);
const gatewayAt = (host: string) => ({ host, port: 15008 });
const remote = (hosts: readonly string[], more: Partial<Workload> = {}) => ({
  ...remoteWorkload(
    { ...far, gateways: hosts.map(gatewayAt), hostname: "e.shop.mesh.internal", identities: [identityOfAccount("e")] },
    inServices("e"),
  ),
  ...more,
});
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

beforeAll(async () => {
  const { wire } = lab;
  await lab.trust();
  wire.node("n1", "172.28.0.1", "10.42.1.1");
  wire.node("n2", "172.28.0.2", "10.42.2.1");
  wire.node("n3", "172.28.0.3", "10.42.3.1");
  wire.node("gw1", "172.28.0.4");
  wire.node("gw2", "172.28.0.5");
  wire.route("n1", "10.42.2.0/24", "172.28.0.2");
  wire.route("n2", "10.42.1.0/24", "172.28.0.1");
  for (const gateway of ["gw1", "gw2"]) {
    wire.route(gateway, "10.42.3.0/24", "172.28.0.3");
    wire.route(gateway, "10.42.1.0/24", "172.28.0.1");
    wire.route(gateway, "10.42.2.0/24", "172.28.0.2");
  }
  for (const { name, node, ip } of Object.values(pods)) wire.pod(name, node, ip, ip.replace(/\d+$/, "1"));
  for (const [name, address] of Object.entries(vip)) {
    replica.setService(service(name, { network: near.network, address }));
  }
  const exported = service("e", { network: far.network, address: vip.e }, { exportedAs: "e.shop.mesh.internal" });
  lab.replica(far.cluster).setService(exported);
  await Promise.all([
    lab.node("n1", near.cluster, near.network),
    lab.node("n2", near.cluster, near.network, "%H%M%S"),
    lab.node("n3", far.cluster, far.network),
    lab.gateway("gw1", far.cluster, far.network),
    lab.gateway("gw2", far.cluster, far.network),
  ]);
  await lab.pod(pods.a, {});
  await lab.pod(pods.b, inServices("b"));
  await lab.pod(pods.c, inServices("c"));
  await lab.pod(pods.e, inServices("e"));
  replica.setWorkload(remote(["172.28.0.4"]));
}, 60_000);

afterAll(() => lab.close());

const hold = (host: string, count: number, paceMs: number, holdMs: number, from = "a") =>
  lab.client<Held>(from, { do: "holdMany", host, port: 81, count, paceMs, holdMs });

describe("a change of its destination", () => {
  /** Another identity among the endpoints: the TLS of the cluster changes, so Envoy gets the whole cluster anew. */
  const stranger = (name: ServiceName, number: number): Workload => ({
    ...podWorkload(near, { name: `x${number}`, node: "n9", ip: "10.42.9.9", account: `x${number}` }, inServices(name)),
    isHealthy: false,
  });

  it.each(Object.keys(vip).map((name) => name as ServiceName))(
    "that replaces the Envoy cluster ends no connection, open or just opened (%s)",
    async (name) => {
      const held = hold(vip[name], 60, 30, 3_000);
      for (let number = 0; number < 12; number++) {
        await pause(170);
        replica.setWorkload(stranger(name, number));
      }
      const result = await held;
      for (let number = 0; number < 12; number++) replica.removeWorkload(`cluster1//Pod/shop/x${number}`);
      expect(result).toEqual({ greeted: 60, by: [`220 ${name}`], ended: 0, echoed: 60, failed: [] });
    },
  );
});

describe("gateways of a peer", () => {
  const many = (count: number) =>
    lab.client<{ by: Record<string, number>; msMax: number }>("a", {
      do: "many",
      host: vip.e,
      port: 80,
      count,
      paceMs: 20,
    });
  const passed = (gateway: string) => lab.log(gateway).filter(({ direction }) => direction === "cross-network").length;

  it("are all used", async () => {
    replica.setWorkload(remote(["172.28.0.4", "172.28.0.5"]));
    const before = [passed("gw1"), passed("gw2")];
    expect((await many(80)).by).toEqual({ e: 80 });
    await poll("the log", () => passed("gw1") + passed("gw2") >= (before[0] ?? 0) + (before[1] ?? 0) + 80);
    expect(passed("gw1") - (before[0] ?? 0)).toBeGreaterThan(10);
    expect(passed("gw2") - (before[1] ?? 0)).toBeGreaterThan(10);
  });

  it("may have a name, and a name that moves takes new connections along and leaves the open ones", async () => {
    lab.resolve("gw.example.com", ["172.28.0.4"]);
    replica.setWorkload(remote(["gw.example.com"]));
    const open = hold(vip.e, 5, 10, 3_000);
    await pause(500);
    lab.resolve("gw.example.com", ["172.28.0.5"]);
    const moved = passed("gw2");
    const tally = await many(40);
    expect(tally.by).toEqual({ e: 40 });
    await poll("the log", () => passed("gw2") >= moved + 40);
    expect(await open).toMatchObject({ greeted: 5, ended: 0, echoed: 5 });
  });

  it("that change their address lose no connection, and none that is open", async () => {
    replica.setWorkload(remote(["172.28.0.4"]));
    const open = hold(vip.e, 5, 10, 3_000);
    const running = many(160);
    for (const host of ["172.28.0.5", "172.28.0.4", "172.28.0.5"]) {
      await pause(250);
      replica.setWorkload(remote([host]));
    }
    expect((await running).by).toEqual({ e: 160 });
    expect(await open).toMatchObject({ greeted: 5, ended: 0, echoed: 5 });
  });

  it("that fall silent are left within two seconds, and what is new goes through the other", async () => {
    replica.setWorkload(remote(["172.28.0.4", "172.28.0.5"]));
    await many(8);
    lab.wire.nft("gw1", "table ip silent { chain i { type filter hook input priority -400; iifname wire drop; }; }\n");
    const first = await many(40);
    expect(first.by).toEqual({ e: 40 });
    expect(first.msMax).toBeLessThan(4_000);
    await poll("calls that do not wait for the silent one", async () => (await many(20)).msMax < 500);
    lab.wire.nft("gw1", "delete table ip silent\n");
  });
});

describe("an Envoy cluster that nobody uses", () => {
  const clusters = async (host: string, port: number) =>
    ((await lab.admin("n2", "/clusters")).match(/^s\|.*(?=::added_via_api::)/gm) ?? []).filter((name) =>
      name.startsWith(`s|${host}:${port}|`),
    ).length;

  it("goes, while one that carries a connection stays; the next connection brings it back", async () => {
    replica.setWorkload(remote(["172.28.0.4"]));
    const stop = new AbortController();
    const open = hold(vip.b, 3, 10, 8_000, "c");
    await lab.client("c", { do: "get", host: vip.c, port: 80 });
    await lab.client("c", { do: "get", host: vip.e, port: 80 });
    expect(await clusters(vip.c, 80)).toBeGreaterThan(0);
    expect(await clusters(vip.e, 80)).toBeGreaterThan(0);
    const evicting = lab.evictIdle("n2", 800, stop.signal);
    await poll("the idle ones to go", async () => (await clusters(vip.c, 80)) + (await clusters(vip.e, 80)) === 0);
    expect(await clusters(vip.b, 81)).toBeGreaterThan(0);
    expect(await open).toMatchObject({ greeted: 3, ended: 0, echoed: 3 });
    await poll("the last one to go", async () => (await clusters(vip.b, 81)) === 0);
    stop.abort(new Error("enough"));
    await evicting;
    for (const [name, host] of Object.entries(vip)) {
      expect((await lab.client<{ text: string }>("c", { do: "get", host, port: 80 })).text).toMatch(`${name} `);
    }
  });

  it("may go at any moment without harm to the connections that it carries or is just making", async () => {
    const held = [hold(vip.b, 60, 50, 2_500, "c"), hold(vip.c, 60, 50, 2_500, "c"), hold(vip.e, 60, 50, 2_500, "c")];
    for (let round = 0; round < 40; round++) {
      await pause(100);
      lab.evictNow("n2");
    }
    for (const result of await Promise.all(held)) {
      expect(result).toMatchObject({ greeted: 60, ended: 0, echoed: 60, failed: [] });
    }
  });
});

it("has nothing refused by any Envoy", () => {
  expect(lab.rejections).toEqual([]);
});
