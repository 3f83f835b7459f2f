/** Two candidates, one lease, a clock that only the test moves. */
import { expect, test } from "vitest";
import { builtin } from "../../core/api/resources.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { KubeError } from "./client.ts";
import { startElection } from "./leader.ts";
import { MemoryKubeClient } from "./memory-client.ts";
import type { Call } from "./memory-client.ts";

const ref = { namespace: "istio-system", name: "tombolod" };

/** Candidates `a` and `b`; `leading` are the identities whose `lead` runs, `away` those the API server does not hear. */
function world() {
  const host = virtualHost();
  const leading = new Set<string>();
  const away = new Set<string>();
  const store = new MemoryKubeClient();
  let most = 0;
  const candidate = (identity: string) => {
    const stop = new AbortController();
    const client = new Proxy(store, {
      get: (target, name) => {
        if (away.has(identity)) return () => Promise.reject(new KubeError(0, "Unreachable", "no route"));
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const election = startElection(host, client, { ...ref, identity, signal: stop.signal }, async (signal) => {
      leading.add(identity);
      most = Math.max(most, leading.size);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      leading.delete(identity);
    });
    return { election, stop: () => stop.abort(new Error("stopped")) };
  };
  return { host, store, leading, away, candidate, mostAtOnce: () => most };
}

test("one of two leads, and keeps leading while it renews", async () => {
  const { host, leading, candidate, mostAtOnce } = world();
  const [a, b] = [candidate("a"), candidate("b")];
  await host.advance(120_000);
  expect([...leading]).toEqual(["a"]);
  expect(b.election.holder).toBe("a");
  expect(mostAtOnce()).toBe(1);
  a.stop();
  b.stop();
});

test("a leader that stops hands over at once", async () => {
  const { host, leading, candidate, store } = world();
  const [a, b] = [candidate("a"), candidate("b")];
  await host.advance(10_000);
  a.stop();
  await a.election.ended;
  expect((await store.get(builtin.leases, ref)).spec?.holderIdentity).toBe("");
  await host.advance(3_000);
  expect([...leading]).toEqual(["b"]);
  expect((await store.get(builtin.leases, ref)).spec?.leaseTransitions).toBe(1);
  b.stop();
});

test("a leader that is cut off stops before another begins", async () => {
  const { host, leading, away, candidate, mostAtOnce } = world();
  const [a, b] = [candidate("a"), candidate("b")];
  await host.advance(10_000);
  away.add("a");
  await host.advance(13_000);
  expect([...leading]).toEqual([]);
  await host.advance(10_000);
  expect([...leading]).toEqual(["b"]);
  expect(mostAtOnce()).toBe(1);
  a.stop();
  b.stop();
});

test("a lease that expired in someone else's past is not taken before it was watched for its whole length", async () => {
  const { host, leading, candidate, store } = world();
  await store.create(builtin.leases, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: ref,
    spec: { holderIdentity: "dead", leaseDurationSeconds: 15, renewTime: "2001-01-01T00:00:00.000000Z" },
  });
  const a = candidate("a");
  await host.advance(12_000);
  expect([...leading]).toEqual([]);
  await host.advance(8_000);
  expect([...leading]).toEqual(["a"]);
  a.stop();
});

test("two that see a free lease at once do not both lead", async () => {
  const { host, leading, candidate, store, mostAtOnce } = world();
  const reads: Call[] = [];
  store.fault = (call) => void reads.push(call);
  await store.create(builtin.leases, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: ref,
    spec: { holderIdentity: "" },
  });
  const [a, b] = [candidate("a"), candidate("b")];
  await host.advance(5_000);
  expect(leading.size).toBe(1);
  expect(mostAtOnce()).toBe(1);
  a.stop();
  b.stop();
});
