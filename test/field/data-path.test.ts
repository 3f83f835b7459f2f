/** The data path with real Envoys: where connections go, as whom, and what they survive. Needs root. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { podRules } from "../../src/apps/agent/capture/rules.ts";
import { anything } from "../../src/core/mesh/authorization.ts";
import type { Policy } from "../../src/core/mesh/model.ts";
import { appPorts, identityOfAccount, Lab, podWorkload, poll, remoteWorkload, service } from "./kit/lab.ts";

const near = { cluster: "cluster1", network: "network1" };
const far = { cluster: "cluster2", network: "network2" };
const pods = {
  a: { name: "a", node: "n1", ip: "10.41.1.2", account: "a" },
  b: { name: "b", node: "n1", ip: "10.41.1.3", account: "b" },
  c: { name: "c", node: "n2", ip: "10.41.2.2", account: "c" },
  d: { name: "d", node: "n1", ip: "10.41.1.4", account: "d" },
  e: { name: "e", node: "n3", ip: "10.41.3.2", account: "e" },
} as const;
/** `all` has b (same node) before c (other node) before e (other cluster); the others have one of them. */
const vip = { all: "10.98.0.1", b: "10.98.0.2", c: "10.98.0.3", e: "10.98.0.4" } as const;
type ServiceName = keyof typeof vip;
const key = (name: string) => `shop/${name}.shop.svc.cluster.local`;
const inServices = (...names: readonly ServiceName[]) => Object.fromEntries(names.map((name) => [key(name), appPorts]));

interface Answer {
  readonly text: string;
  readonly error?: string;
  readonly ms: number;
}
interface Tally {
  readonly by: Readonly<Record<string, number>>;
  readonly msMax: number;
}

const lab = new Lab("dp");
const replica = lab.replica(near.cluster);
const remote = (identities: readonly string[]) =>
  remoteWorkload(
    { ...far, gateways: [{ host: "172.29.0.4", port: 15008 }], hostname: "all.shop.mesh.internal", identities },
    inServices("all", "e"),
  );
const banner = (host: string) => ({ do: "banner", host, port: 81 });
/** The greeting, or nothing when the connection is closed without one. */
const bannerFor = async (pod: string, host: string) =>
  (await lab.client<{ banner?: string }>(pod, banner(host))).banner ?? "";
const get = (pod: string, host: string, port = 80) => lab.client<Answer>(pod, { do: "get", host, port });

beforeAll(async () => {
  const { wire } = lab;
  await lab.trust();
  wire.node("n1", "172.29.0.1", "10.41.1.1");
  wire.node("n2", "172.29.0.2", "10.41.2.1");
  wire.node("n3", "172.29.0.3", "10.41.3.1");
  wire.node("gw", "172.29.0.4");
  for (const [node, other] of [
    ["n1", 2],
    ["n2", 1],
    ["gw", 1],
    ["gw", 2],
    ["gw", 3],
  ] as const) {
    wire.route(node, `10.41.${other}.0/24`, `172.29.0.${other}`);
  }
  for (const { name, node, ip } of Object.values(pods)) wire.pod(name, node, ip, ip.replace(/\d+$/, "1"));
  for (const [name, address] of Object.entries(vip)) {
    replica.setService(service(name, { network: near.network, address }));
  }
  const exported = service("all", { network: far.network, address: vip.all }, { exportedAs: "all.shop.mesh.internal" });
  lab.replica(far.cluster).setService(exported);
  await Promise.all([
    lab.node("n1", near.cluster, near.network),
    lab.node("n2", near.cluster, near.network),
    lab.node("n3", far.cluster, far.network),
    lab.gateway("gw", far.cluster, far.network),
  ]);
  await lab.pod(pods.a, {});
  await lab.pod(pods.b, inServices("all", "b"));
  await lab.pod(pods.c, inServices("all", "c"));
  await lab.pod(pods.d, {});
  await lab.pod(pods.e, inServices("all"));
  replica.setWorkload(remote([identityOfAccount("e")]));
});

afterAll(() => lab.close());

describe("a connection", () => {
  it("reaches a pod of the same node, as the client's identity and address", async () => {
    expect(await get("a", vip.b)).toMatchObject({ text: "b 10.41.1.2" });
    const seen = await poll("the log", () => lab.log("n1").find((line) => line.direction === "inbound"));
    expect(seen.identity).toBe(identityOfAccount("a"));
  });

  it("reaches a pod of another node by mutual TLS, as the client's identity and address", async () => {
    expect(await get("a", vip.c)).toMatchObject({ text: "c 10.41.1.2" });
    const seen = await poll("the log", () => lab.log("n2").find((line) => line.direction === "mtls"));
    expect(seen.identity).toBe(identityOfAccount("a"));
  });

  it("reaches another cluster through its gateway, which keeps the client's identity", async () => {
    expect((await get("a", vip.e)).text).toMatch(/^e /);
    const seen = await poll("the log", () => lab.log("n3").find((line) => line.direction === "mtls"));
    expect(seen.identity).toBe(identityOfAccount("a"));
    expect(lab.log("gw").map((line) => line.direction)).toContain("cross-network");
  });

  it("reaches a pod by its own address", async () => {
    expect(await get("a", pods.c.ip, 8080)).toMatchObject({ text: "c 10.41.1.2" });
    expect(await get("a", pods.b.ip, 8080)).toMatchObject({ text: "b 10.41.1.2" });
  });
});

describe("failover", () => {
  const many = (host: string, count = 240) => lab.client<Tally>("a", { do: "many", host, port: 80, count, paceMs: 50 });
  const total = (tally: Tally, ...names: readonly string[]) =>
    names.reduce((sum, name) => sum + (tally.by[name] ?? 0), 0);
  const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  /** As before the failure. */
  const isBack = async () => {
    await poll("the ejections to end", () => lab.ejected("n1").length === 0, 40_000);
    await poll("the near pod to be used again", async () => (await get("a", vip.all)).text.startsWith("b "));
  };

  it("loses nothing when pods are drained, on the same node and on another", async () => {
    const running = many(vip.all);
    await after(700);
    lab.drain("b", true);
    await after(700);
    // What the agent of c's node does at once, before the control plane knows.
    lab.wire.nft("c", podRules({ dnsAddress: undefined, isDraining: true }));
    const tally = await running;
    lab.drain("b", false);
    lab.wire.nft("c", podRules({ dnsAddress: undefined, isDraining: false }));
    await isBack();
    expect(total(tally, "b", "c", "e"), JSON.stringify(tally)).toBe(240);
    expect([tally.by["b"], tally.by["c"], tally.by["e"]].every((count) => count !== undefined && count > 0)).toBe(true);
  });

  it("loses at most the connections under way when an app's port closes without warning", async () => {
    const running = many(vip.all);
    await after(700);
    await lab.app("b").command({ close: 8080 });
    await after(700);
    await lab.app("c").command({ close: 8080 });
    const tally = await running;
    await lab.app("b").command({ open: 8080 });
    await lab.app("c").command({ open: 8080 });
    await isBack();
    // Four clients with one connection each, twice: accepted by the app's kernel, or amid the handshake.
    expect(total(tally, "b", "c", "e"), JSON.stringify(tally)).toBeGreaterThanOrEqual(232);
    expect([tally.by["b"], tally.by["c"], tally.by["e"]].every((count) => count !== undefined && count > 0)).toBe(true);
  });

  it("loses nothing when endpoints leave the model, and comes back to the near one", async () => {
    const running = many(vip.all);
    await after(700);
    replica.setWorkload({ ...podWorkload(near, pods.b, inServices("all", "b")), isHealthy: false });
    await after(700);
    replica.setWorkload({ ...podWorkload(near, pods.c, inServices("all", "c")), isHealthy: false });
    await after(700);
    replica.batch(() => {
      replica.setWorkload(podWorkload(near, pods.b, inServices("all", "b")));
      replica.setWorkload(podWorkload(near, pods.c, inServices("all", "c")));
    });
    const tally = await running;
    expect(total(tally, "b", "c", "e"), JSON.stringify(tally)).toBe(240);
    expect([tally.by["b"], tally.by["c"], tally.by["e"]].every((count) => count !== undefined && count > 0)).toBe(true);
    expect((await poll("the near pod to be back", async () => (await get("a", vip.all)).text)).split(" ")[0]).toBe("b");
  });

  it("sends nothing new to a draining pod of the same node", async () => {
    lab.drain("b", true);
    await poll("the draining pod to be passed over", async () => (await get("a", vip.all)).text.startsWith("c "));
    lab.drain("b", false);
    await poll("the pod to be back", async () => (await get("a", vip.all)).text.startsWith("b "));
  });
});

describe("a peer that goes silent", () => {
  it("ends open connections in time, with data under way or without", async () => {
    const hold = (isTicking: number) =>
      lab.client<{ isEnded: boolean; ms: number }>("a", { ...banner(vip.c), do: "hold", holdMs: 30_000, isTicking });
    const both = Promise.all([hold(0), hold(1)]);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const drop = (hook: string, match: string) =>
      `chain ${hook} { type filter hook ${hook} priority -400; ${match} drop; };`;
    lab.wire.nft(
      "c",
      `table ip silent { ${drop("prerouting", "iifname eth0")} ${drop("postrouting", "oifname eth0")} }\n`,
    );
    const [idle, ticking] = await both;
    lab.wire.nft("c", "delete table ip silent\n");
    expect(idle).toMatchObject({ isEnded: true });
    expect(idle.ms).toBeLessThan(8000);
    expect(ticking).toMatchObject({ isEnded: true });
    expect(ticking.ms).toBeLessThan(25_000);
    await poll("the pod to be reached again", async () => (await get("a", vip.c)).text.startsWith("c "), 30_000);
  });
});

describe("a client that comes for the first time", () => {
  it("stays connected when what let it in is taken away again", async () => {
    const held = lab.client<{ isEnded: boolean }>("a", { do: "hold", host: vip.c, port: 82, holdMs: 8000 });
    const isKnown = () => lab.clusters("n2").includes(`new|uid-c|8082|${identityOfAccount("a")}`);
    await poll("the cluster of a newcomer", isKnown);
    await poll("the cluster to go", () => !isKnown());
    expect((await held).isEnded).toBe(false);
  });
});

describe("policy", () => {
  const allowing = (name: string, principals: readonly string[]): Policy => ({
    name,
    namespace: "shop",
    scope: "namespace",
    action: "allow",
    groups: [
      [
        [
          {
            ...anything,
            principals: principals.map((value) => ({ kind: "exact", value: identityOfAccount(value).slice(9) })),
          },
        ],
      ],
    ],
  });
  const counts = async (name: string) => (await lab.app(name).command({ counts: true })).counts["8081"] ?? 0;

  it("lets the app of a denied connection see nothing, on the same node and on another", async () => {
    replica.setPolicy(allowing("only-a", ["a"]));
    await poll("the policy at b", async () => (await bannerFor("d", vip.b)) === "");
    await poll("the policy at c", async () => (await bannerFor("d", vip.c)) === "");
    const before = [await counts("b"), await counts("c")];
    for (const host of [vip.b, vip.c]) {
      const denied = await lab.client<{ banner?: string; error?: string }>("d", banner(host));
      expect(denied.banner ?? "").toBe("");
    }
    expect([await counts("b"), await counts("c")]).toEqual(before);
    const waits = ["n1", "n2"].flatMap((node) => lab.log(node).filter((line) => line.direction === "denied"));
    expect(Math.max(...waits.map(({ ms }) => ms))).toBeLessThan(500);
    expect((await lab.client<{ banner: string }>("a", banner(vip.b))).banner).toBe("220 b");
    expect((await lab.client<{ banner: string }>("a", banner(vip.c))).banner).toBe("220 c");
  });

  it("does not go on to another endpoint after a denial", async () => {
    // b of the same node denies; c has no policy of its own but the namespace's.
    expect((await get("d", vip.all)).text).toBe("");
  });

  /** Which of four open connections end, from a and d to another node and to their own, and after how long. */
  const heldThrough = async (change: () => void) => {
    const before = (await counts("b")) + (await counts("c"));
    const hold = async (pod: string, host: string) => {
      const task = { ...banner(host), do: "hold", holdMs: 4000 };
      const { isEnded } = await lab.client<{ isEnded: boolean }>(pod, task);
      return { isEnded, at: Date.now() };
    };
    const all = Promise.all([hold("a", vip.c), hold("a", vip.b), hold("d", vip.c), hold("d", vip.b)]);
    await poll("all four to be open", async () => (await counts("b")) + (await counts("c")) === before + 4);
    const changedAt = Date.now();
    change();
    const ends = await all;
    return {
      ended: ends.map(({ isEnded }) => isEnded),
      msMax: Math.max(...ends.slice(2).map(({ at }) => at - changedAt)),
    };
  };

  it.each([
    { what: "a first policy", from: undefined, to: allowing("only-a", ["a"]) },
    { what: "a narrower policy", from: allowing("only-a", ["a", "d"]), to: allowing("only-a", ["a"]) },
    { what: "a denial", from: undefined, to: { ...allowing("only-a", ["d"]), action: "deny" } as const },
  ])("cuts exactly the open connections that $what forbids", async ({ from, to }) => {
    replica.removePolicy("shop/only-a");
    if (from) replica.setPolicy(from);
    for (const host of [vip.b, vip.c]) await poll("d to be allowed", async () => (await bannerFor("d", host)) !== "");
    const { ended, msMax } = await heldThrough(() => replica.setPolicy(to));
    expect(ended).toEqual([false, false, true, true]);
    // Far less on an idle machine, and what the client's process takes to end.
    expect(msMax).toBeLessThan(1500);
    replica.removePolicy("shop/only-a");
    await poll("everyone to be allowed", async () => (await bannerFor("d", vip.b)) === "220 b");
  });
});

describe("identity", () => {
  it("refuses a far end that proves another identity than the model says", async () => {
    replica.setWorkload(remote([identityOfAccount("someone-else")]));
    await poll("the refusal", async () => (await get("a", vip.e)).text === "");
    const failed = lab.log("n1").filter((line) => line.direction === "outbound" && line.failure !== null);
    expect(failed.length).toBeGreaterThan(0);
    replica.setWorkload(remote([identityOfAccount("e")]));
    await poll("the right one", async () => (await get("a", vip.e)).text.startsWith("e "));
  });

  it("never lets two identities share a connection", async () => {
    const task = { do: "many", host: vip.c, port: 80, count: 40, paceMs: 5 };
    await Promise.all([lab.client<Tally>("a", task), lab.client<Tally>("d", task)]);
    const accountsByAddress: Record<string, string> = { "10.41.1.2": "a", "10.41.1.4": "d" };
    const lines = await poll("all connections in the log", () => {
      const found = lab.log("n2").filter((line) => line.direction === "mtls" && line.identity !== null);
      return found.length >= 80 && found;
    });
    for (const line of lines) {
      const account = accountsByAddress[line.source.split(":")[0] ?? ""] ?? "";
      expect(line.identity).toBe(identityOfAccount(account));
    }
  });
});

describe("bytes", () => {
  const everywhere = ["b", "c", "e"] as const;

  it.each(everywhere)("arrive when the client finishes first (%s)", async (to) => {
    const result = await lab.client("a", { do: "upload", host: vip[to], port: 82, bytes: 300_000 });
    expect(result).toEqual({ bytes: 300_000, isIntact: true });
  });

  it.each(everywhere)("arrive when the server finishes first and goes on reading (%s)", async (to) => {
    const result = await lab.client("a", { do: "uploadAfterEnd", host: vip[to], port: 83, bytes: 300_000 });
    expect(result).toEqual({ text: "bye\n" });
    const app = lab.app(to);
    await poll("the upload", async () => (await app.command({ counts: true })).lastUpload["8083"] === 300_000);
  });

  it.each(everywhere)("of a greeting come at once (%s)", async (to) => {
    await lab.client("a", banner(vip[to]));
    const greeted = await lab.client<{ banner: string; ms: number }>("a", banner(vip[to]));
    expect(greeted.banner).toBe(`220 ${to}`);
    expect(greeted.ms).toBeLessThan(500);
  });

  const mebibytes = 64 << 20;
  const each = { bytes: mebibytes, isIntact: true };
  /** At the same time to all of them: most of it is waiting. */
  const inAll = (task: Readonly<Record<string, string | number>>) =>
    Promise.all(everywhere.map((to) => lab.client("a", { ...task, host: vip[to] })));

  it("of 64 MiB are intact when the server does not read for seconds, wherever it is", async () => {
    expect(await inAll({ do: "upload", port: 85, bytes: mebibytes, timeoutMs: 30_000 })).toEqual([each, each, each]);
  });

  it("of 64 MiB are intact when the server closes first on a reader that pauses, wherever it is", async () => {
    expect(await inAll({ do: "download", port: 84, pauseMs: 5000, timeoutMs: 30_000 })).toEqual([each, each, each]);
  });
});

it("has nothing refused by any Envoy", () => {
  expect(lab.rejections).toEqual([]);
});
