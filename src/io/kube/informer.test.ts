/** The informer against a client that expires, ends and repeats watches. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { builtin } from "../../core/api/resources.ts";
import type { ConfigMap } from "../../core/api/kube.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { KubeError } from "./client.ts";
import { startInformer } from "./informer.ts";
import type { Informer, InformerChange } from "./informer.ts";
import { MemoryKubeClient } from "./memory-client.ts";

const configMap = (name: string, value: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "ns" },
  data: { value },
});

let host = virtualHost();
let client = new MemoryKubeClient();
let stop = new AbortController();
beforeEach(() => {
  host = virtualHost();
  client = new MemoryKubeClient();
  stop = new AbortController();
});
afterEach(() => stop.abort(new Error("the test ended")));

const start = (): Informer<ConfigMap> => startInformer(host, client, builtin.configMaps, { signal: stop.signal });

/** Changes as `+key=value`, `~key=value`, `-key`; fails on a change that does not follow from the one before. */
function journal(informer: Informer<ConfigMap>): string[] {
  const lines: string[] = [];
  const known = new Map<string, string>();
  informer.onChange((changes: readonly InformerChange<ConfigMap>[]) => {
    for (const { key, before, after } of changes) {
      expect(before?.data?.["value"]).toBe(known.get(key));
      const value = after?.data?.["value"];
      lines.push(value === undefined ? `-${key}` : `${before === undefined ? "+" : "~"}${key}=${value}`);
      if (value === undefined) known.delete(key);
      else known.set(key, value);
    }
  });
  return lines;
}

test("it lists, then follows additions, changes and removals", async () => {
  await client.create(builtin.configMaps, configMap("a", "1"));
  const informer = start();
  const lines = journal(informer);
  await informer.synced;
  expect(lines).toEqual(["+ns/a=1"]);
  await client.create(builtin.configMaps, configMap("b", "1"));
  await client.update(builtin.configMaps, configMap("a", "2"));
  await client.delete(builtin.configMaps, { name: "b", namespace: "ns" });
  await host.settle();
  expect(lines).toEqual(["+ns/a=1", "+ns/b=1", "~ns/a=2", "-ns/b"]);
  expect([...informer.objects.keys()]).toEqual(["ns/a"]);
});

test("a listener that comes late hears what is there as additions, once", async () => {
  await client.create(builtin.configMaps, configMap("a", "1"));
  const informer = start();
  await informer.synced;
  const lines = journal(informer);
  await host.advance(60_000);
  expect(lines).toEqual(["+ns/a=1"]);
});

test("a watch that ends is taken up where it ended, without a new list", async () => {
  const informer = start();
  const lines = journal(informer);
  await informer.synced;
  await host.settle();
  client.cutWatches();
  await client.create(builtin.configMaps, configMap("a", "1"));
  await client.update(builtin.configMaps, configMap("a", "2"));
  await host.advance(1_000);
  expect(lines).toEqual(["+ns/a=1", "~ns/a=2"]);
  expect(client.calls.filter(({ verb }) => verb === "list")).toHaveLength(1);
});

test("an expired revision leads to a new list, and only the differences are told", async () => {
  for (const name of ["kept", "changed", "removed"]) await client.create(builtin.configMaps, configMap(name, "1"));
  const informer = start();
  await informer.synced;
  const lines = journal(informer);
  await host.settle();
  let isDown = true;
  client.fault = ({ verb }) => (isDown && verb === "watch" ? new KubeError(0, "Unreachable", "no route") : undefined);
  client.cutWatches();
  await host.advance(1_000);
  lines.length = 0;
  await client.update(builtin.configMaps, configMap("changed", "2"));
  await client.delete(builtin.configMaps, { name: "removed", namespace: "ns" });
  await client.create(builtin.configMaps, configMap("added", "1"));
  client.compact();
  isDown = false;
  await host.advance(20_000);
  expect(lines.toSorted()).toEqual(["+ns/added=1", "-ns/removed", "~ns/changed=2"]);
});

test("it keeps asking while the server is away, at a bounded and growing pace", async () => {
  client.fault = () => new KubeError(0, "Unreachable", "no route");
  const informer = start();
  await host.advance(120_000);
  const asked = client.calls.length;
  expect(asked).toBeGreaterThan(12);
  expect(asked).toBeLessThan(40);
  client.fault = () => undefined;
  await client.create(builtin.configMaps, configMap("a", "1"));
  await host.advance(11_000);
  expect(informer.objects.size).toBe(1);
});

test("a server that ends every watch at once is not asked in a tight loop", async () => {
  const informer = start();
  await informer.synced;
  const cutting = setInterval(() => client.cutWatches(), 0);
  await host.advance(60_000);
  clearInterval(cutting);
  expect(client.calls.filter(({ verb }) => verb === "watch").length).toBeLessThan(60);
});

test("a kind that is not installed counts as empty, and is found once it is there", async () => {
  let isMissing = true;
  client.fault = ({ verb }) =>
    isMissing && (verb === "list" || verb === "watch") ? new KubeError(404, "NotFound", "no such kind") : undefined;
  const informer = start();
  let isSynced = false;
  void informer.synced.then(() => (isSynced = true));
  await host.settle();
  expect(isSynced).toBe(false);
  await host.advance(5_000);
  expect(isSynced).toBe(true);
  isMissing = false;
  await client.create(builtin.configMaps, configMap("a", "1"));
  await host.advance(11_000);
  expect([...informer.objects.keys()]).toEqual(["ns/a"]);
});

test("after the signal aborts nothing is asked any more", async () => {
  const informer = start();
  await informer.synced;
  stop.abort(new Error("enough"));
  await host.settle();
  const asked = client.calls.length;
  await host.advance(60_000);
  expect(client.calls.length).toBe(asked);
  expect(client.openWatches).toBe(0);
});

test("synced rejects when the informer is stopped before the first list", async () => {
  client.fault = () => new KubeError(0, "Unreachable", "no route");
  const informer = start();
  stop.abort(new Error("enough"));
  await expect(informer.synced).rejects.toThrow("enough");
});
