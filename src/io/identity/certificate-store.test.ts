/** Rotation under a virtual clock: at half life, through an outage, and never without need. */
import { describe, expect, it } from "vitest";
import { virtualHost } from "../host/virtual-host.ts";
import type { WorkloadCertificate } from "./certificate.ts";
import { CertificateStore } from "./certificate-store.ts";

const alice = "spiffe://cluster.local/ns/shop/sa/alice";
const hourMs = 3_600_000;

function world() {
  const host = virtualHost();
  const asked: number[] = [];
  const state = { isDown: false };
  const store = new CertificateStore(host, async (identity) => {
    asked.push(host.clock.now());
    if (state.isDown) throw new Error("The CA is away.");
    const now = host.clock.now();
    const certificate: WorkloadCertificate = {
      identity,
      chainPem: `chain ${asked.length}`,
      keyPem: "",
      rootPem: "",
      notBeforeMs: now - 60_000,
      notAfterMs: now + 24 * hourMs,
    };
    return certificate;
  });
  return { host, asked, state, store };
}

describe("a wanted identity", () => {
  it("is renewed at about half of its life and told to listeners", async () => {
    const { host, asked, store } = world();
    const heard: string[] = [];
    store.onChange((certificate) => heard.push(certificate.chainPem));
    store.want(alice);
    await host.settle();
    expect(store.get(alice)?.chainPem).toBe("chain 1");
    await host.advance(11 * hourMs);
    expect(asked).toHaveLength(1);
    await host.advance(hourMs);
    expect(asked).toHaveLength(2);
    expect(heard).toEqual(["chain 1", "chain 2"]);
    store.close();
  });

  it("is asked for at once when the CA is said to be back, however long the wait had become", async () => {
    const { host, asked, state, store } = world();
    state.isDown = true;
    store.want(alice);
    await host.advance(hourMs);
    state.isDown = false;
    const before = asked.length;
    store.retryFailed();
    await host.settle();
    expect(asked).toHaveLength(before + 1);
    expect(store.get(alice)).toBeDefined();
    store.retryFailed();
    await host.settle();
    expect(asked).toHaveLength(before + 1);
    store.close();
  });

  it("keeps a certificate that is still valid while the CA is away, and asks again within 150 s", async () => {
    const { host, asked, state, store } = world();
    store.want(alice);
    await host.settle();
    state.isDown = true;
    await host.advance(20 * hourMs);
    expect(store.get(alice)?.chainPem).toBe("chain 1");
    expect(store.problem(alice)).toBe("The CA is away.");
    const gaps = asked.slice(-20).map((at, index, all) => at - (all[index - 1] ?? at));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(150_001);
    expect(Math.min(...gaps.slice(1))).toBeGreaterThanOrEqual(75_000);
    await host.advance(5 * hourMs);
    expect(store.get(alice)).toBeUndefined();
    state.isDown = false;
    await host.advance(151_000);
    expect(store.get(alice)).toBeDefined();
    expect(store.problem(alice)).toBeUndefined();
    store.close();
  });

  it("is asked for again when the authority changed, within the time given and not all at once", async () => {
    const { host, asked, store } = world();
    for (let at = 0; at < 20; at++) store.want(`${alice}-${at}`);
    await host.settle();
    store.renewAll(10_000);
    await host.advance(1);
    expect(asked.length).toBeLessThan(30);
    await host.advance(10_000);
    expect(asked).toHaveLength(40);
    await host.advance(hourMs);
    expect(asked).toHaveLength(40);
    store.close();
  });

  it("is asked for once however many want it, and no more when nobody does", async () => {
    const { host, asked, store } = world();
    const releases = [store.want(alice), store.want(alice)];
    await host.settle();
    expect(asked).toHaveLength(1);
    releases[0]!();
    releases[0]!();
    expect(store.identities()).toEqual([alice]);
    releases[1]!();
    expect(store.identities()).toEqual([]);
    await host.advance(48 * hourMs);
    expect(asked).toHaveLength(1);
  });

  it("waits its turn: at most 16 requests are under way", async () => {
    const host = virtualHost();
    let [running, most] = [0, 0];
    const store = new CertificateStore(host, async (identity, signal) => {
      running += 1;
      most = Math.max(most, running);
      await host.clock.sleep(100, signal).finally(() => (running -= 1));
      return { identity, chainPem: "", keyPem: "", rootPem: "", notBeforeMs: 0, notAfterMs: host.clock.now() + hourMs };
    });
    for (let at = 0; at < 50; at++) store.want(`spiffe://cluster.local/ns/shop/sa/a${at}`);
    await host.advance(1000);
    expect(most).toBe(16);
    expect(store.identities().every((identity) => store.get(identity))).toBe(true);
    store.close();
  });
});
