/** The work queue, and the writer of generated objects against an API server that refuses, conflicts and lags. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ServiceEntry } from "../../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { startInformer } from "../../../io/kube/informer.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { generatedWriter } from "./generated.ts";
import type { Reconciler } from "./reconciler.ts";
import { WorkQueue } from "./work-queue.ts";

let host = virtualHost();
let stop = new AbortController();
beforeEach(() => {
  host = virtualHost();
  stop = new AbortController();
});
afterEach(() => stop.abort(new Error("the test ended")));

test("a key that is added while it is worked on is worked on once more, never twice at a time", async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  const queue = new WorkQueue(host, { name: "test", signal: stop.signal }, async () => {
    running += 1;
    most = Math.max(most, running);
    runs += 1;
    await host.clock.sleep(10);
    running -= 1;
  });
  queue.add("a");
  await host.settle();
  for (let index = 0; index < 5; index += 1) queue.add("a");
  await host.advance(100);
  expect([runs, most]).toEqual([2, 1]);
});

test("work that fails comes back at a growing, bounded pace, and at once on news", async () => {
  let runs = 0;
  let isBroken = true;
  const queue = new WorkQueue(host, { name: "test", signal: stop.signal, maxRetryMs: 10_000 }, async () => {
    runs += 1;
    if (isBroken) throw new Error("no");
  });
  queue.add("a");
  await host.advance(120_000);
  expect(runs).toBeGreaterThan(12);
  expect(runs).toBeLessThan(40);
  expect(queue.failing).toBe(1);
  isBroken = false;
  const before = runs;
  queue.add("a");
  await host.settle();
  expect(runs).toBe(before + 1);
  await host.advance(60_000);
  expect([runs, queue.failing]).toEqual([before + 1, 0]);
});

test("more keys than may be worked on at once all get their turn", async () => {
  const done: string[] = [];
  let running = 0;
  let most = 0;
  const queue = new WorkQueue(host, { name: "test", signal: stop.signal, concurrency: 3 }, async (key) => {
    running += 1;
    most = Math.max(most, running);
    await host.clock.sleep(5);
    running -= 1;
    done.push(key);
  });
  for (let index = 0; index < 20; index += 1) queue.add(`key${index}`);
  await host.advance(1_000);
  expect([done.length, most]).toEqual([20, 3]);
});

const entryOf = (name: string, host: string, labels: Record<string, string> = {}): ServiceEntry => ({
  apiVersion: "networking.istio.io/v1",
  kind: "ServiceEntry",
  metadata: { name, namespace: "istio-system", labels },
  spec: { hosts: [host] },
});

/** A writer with its cache; `wanted` is the test's to change, followed by a touch. */
async function writing(client: MemoryKubeClient, wanted: Map<string, ServiceEntry>): Promise<Reconciler> {
  const informer = startInformer(host, client, meshKinds.serviceEntries, { signal: stop.signal });
  await informer.synced;
  const writer = generatedWriter(host, client, { type: meshKinds.serviceEntries, wanted, actual: informer.objects });
  informer.onChange((changes) => {
    for (const { key } of changes) writer.touch(key);
  });
  void writer.run(stop.signal);
  await host.advance(1_000);
  return writer;
}
const writes = (client: MemoryKubeClient) =>
  client.calls.filter(({ verb }) => verb === "create" || verb === "update" || verb === "delete");
const key = (name: string) => `istio-system/${name}`;

test("what is wanted is made, what differs replaced, what is left over deleted, and nothing is written twice", async () => {
  const client = new MemoryKubeClient();
  const ours = { "app.kubernetes.io/managed-by": "tombolo" };
  await client.create(meshKinds.serviceEntries, entryOf("differs", "old.example", ours));
  await client.create(meshKinds.serviceEntries, entryOf("left", "left.example", ours));
  await client.create(meshKinds.serviceEntries, entryOf("same", "same.example", ours));
  client.calls.length = 0;
  const names = ["differs", "same", "new"];
  const writer = await writing(client, new Map(names.map((name) => [key(name), entryOf(name, `${name}.example`)])));
  expect(
    writes(client)
      .map(({ verb, target }) => `${verb} ${target}`)
      .toSorted(),
  ).toEqual(["create istio-system/new", "delete istio-system/left", "update istio-system/differs"]);
  writer.touchAll();
  await host.advance(1_000);
  expect(writes(client)).toHaveLength(3);
});

test("objects of others are never touched nor fought over; a name that becomes free is taken", async () => {
  const client = new MemoryKubeClient();
  await client.create(meshKinds.serviceEntries, entryOf("theirs", "theirs.example"));
  await client.create(meshKinds.serviceEntries, entryOf("other", "other.example"));
  client.calls.length = 0;
  const writer = await writing(client, new Map([[key("theirs"), entryOf("theirs", "ours.example")]]));
  await host.advance(600_000);
  expect(writes(client)).toEqual([]);
  expect(writer.failing).toBe(0);
  await client.delete(meshKinds.serviceEntries, { name: "theirs", namespace: "istio-system" });
  await host.advance(1_000);
  expect(client.all(meshKinds.serviceEntries).map(({ spec }) => spec.hosts[0])).toEqual([
    "other.example",
    "ours.example",
  ]);
});

test("a write that is refused because the object moved is repeated on the newer object", async () => {
  const client = new MemoryKubeClient();
  const wanted = new Map([[key("web"), entryOf("web", "web.example")]]);
  const writer = await writing(client, wanted);
  let refusals = 2;
  client.fault = ({ verb }) =>
    verb === "update" && refusals-- > 0 ? new KubeError(409, "Conflict", "the object has been modified") : undefined;
  wanted.set(key("web"), entryOf("web", "new.example"));
  writer.touch(key("web"));
  await host.advance(5_000);
  expect(client.all(meshKinds.serviceEntries)[0]?.spec.hosts).toEqual(["new.example"]);
  expect(writer.failing).toBe(0);
});

test("a writer that no longer leads writes nothing", async () => {
  const client = new MemoryKubeClient();
  const wanted = new Map<string, ServiceEntry>();
  const writer = await writing(client, wanted);
  stop.abort(new Error("another leads"));
  wanted.set(key("web"), entryOf("web", "web.example"));
  writer.touch(key("web"));
  await host.advance(5_000);
  expect(client.all(meshKinds.serviceEntries)).toEqual([]);
});
