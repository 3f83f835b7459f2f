/** Clusters of past periods go when nobody used them for the whole idle time, and never while a connection is open. */
import { expect, it } from "vitest";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { evictIdle } from "./idle-clusters.ts";

it("evicts what had neither an open nor a new connection, and forgets what is gone", async () => {
  const host = virtualHost(1);
  const stop = new AbortController();
  const startMs = host.clock.now();
  const held = new Set(["idle", "open", "busy"].map((name) => `s|${name}|id|past`).concat("s|new|id|now", "probe|x"));
  const evicted: string[] = [];
  let isDown = false;
  let busyTotal = 0;
  void evictIdle(host, {
    source: {
      demandedClusters: () => [...held],
      evict: (names) => {
        for (const name of names) {
          held.delete(name);
          evicted.push(`${name} at ${host.clock.now() - startMs}`);
        }
      },
    },
    admin: {
      get: () => {
        busyTotal += 1;
        if (isDown) return Promise.reject(new Error("Envoy does not answer."));
        return Promise.resolve(
          [
            "s|idle|id|past::10.0.0.1:80::cx_active::0",
            "s|idle|id|past::10.0.0.1:80::cx_total::3",
            "s|open|id|past::10.0.0.1:80::cx_active::1",
            "s|open|id|past::10.0.0.1:80::cx_total::1",
            "s|busy|id|past::10.0.0.1:80::cx_active::0",
            `s|busy|id|past::10.0.0.1:80::cx_total::${busyTotal}`,
          ].join("\n"),
        );
      },
    },
    signal: stop.signal,
    idleMs: 5_000,
    lookMs: 1_000,
    periodAt: () => "now",
  });
  await host.advance(4_000);
  isDown = true;
  await host.advance(10_000);
  expect(evicted).toEqual([]);
  isDown = false;
  await host.advance(1_000);
  expect(evicted).toEqual(["s|idle|id|past at 15000"]);
  await host.advance(20_000);
  expect([...held]).toEqual(["s|open|id|past", "s|busy|id|past", "s|new|id|now", "probe|x"]);
  stop.abort(new Error("the test ended"));
});

it("knows the period in which Envoy makes a name", async () => {
  // 2027-01-15T08:00:00Z
  const host = virtualHost(1, 1_800_000_000_000);
  const stop = new AbortController();
  const held = new Set(["20270114PM", "20270115AM"].map((period) => `s|10.0.0.1:80|id|${period}`));
  void evictIdle(host, {
    source: { demandedClusters: () => [...held], evict: (names) => [...names].forEach((name) => held.delete(name)) },
    admin: { get: () => Promise.resolve("") },
    signal: stop.signal,
  });
  await host.advance(12 * 60_000);
  expect([...held]).toEqual(["s|10.0.0.1:80|id|20270115AM"]);
  await host.advance(4 * 3_600_000 + 5 * 60_000);
  expect(held.size).toBe(0);
  stop.abort(new Error("the test ended"));
});
