/** What survives a crash, and what a watch sees. */
import { appendFile, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import type { Change } from "./history.ts";
import { Store } from "./store.ts";

const item = (name: string, value: number): AnyObject => ({
  apiVersion: "v1",
  kind: "Item",
  metadata: { name },
  value,
});

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "store-test-"));
});
afterEach(() => rm(directory, { recursive: true }));

const open = (snapshotBytes?: number) => Store.open(virtualHost(), { directory, isSynced: true, snapshotBytes });
const logPath = async () => {
  const logs = (await readdir(directory)).filter((name) => name.endsWith(".log"));
  return join(directory, logs.at(-1) ?? "");
};

describe("the store on disk", () => {
  it("has everything that was durable when it is opened again", async () => {
    const first = await open();
    first.put("/items", "a", item("a", 1));
    first.put("/items", "b", item("b", 1));
    const last = first.put("/items", "a", item("a", 2));
    first.remove("/items", "b", item("b", 1));
    await first.durable();
    await first.close();
    const second = await open();
    expect(second.list("/items")).toEqual([last]);
    await second.close();
  });

  it("cuts off a record that a crash left unfinished, and goes on from there", async () => {
    const first = await open();
    first.put("/items", "a", item("a", 1));
    await first.durable();
    await first.close();
    const whole = await readFile(await logPath(), "utf8");
    const lastLine = whole.trimEnd().split("\n").at(-1) ?? "";
    await appendFile(await logPath(), lastLine.slice(0, 20));
    const second = await open();
    expect(second.list("/items")).toHaveLength(1);
    second.put("/items", "b", item("b", 1));
    await second.durable();
    await second.close();
    const third = await open();
    expect(third.list("/items").map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
    await third.close();
  });

  it("refuses a log that is damaged before records that are whole", async () => {
    const first = await open();
    for (const value of [1, 2, 3]) first.put("/items", "a", item("a", value));
    await first.durable();
    await first.close();
    const path = await logPath();
    await writeFile(path, (await readFile(path, "utf8")).replace('"value":2', '"value":7'));
    await expect(open()).rejects.toThrow(/is damaged at byte/);
  });

  it("never gives a revision twice, and answers 410 for those that a crash took back", async () => {
    const first = await open();
    const durable = first.put("/items", "a", item("a", 1));
    await first.durable();
    const seen = Number(durable.metadata.resourceVersion);
    await first.close();
    const second = await open();
    expect(second.revision).toBeGreaterThan(seen + 1);
    expect(() => second.watch("/items", seen + 1, () => {})).toThrow(/too old resource version/);
    const heard: Change[] = [];
    second.watch("/items", seen, (change) => heard.push(change));
    second.put("/items", "b", item("b", 1));
    await second.durable();
    expect(heard.map(({ key }) => key)).toEqual(["b"]);
    await second.close();
  });

  it("replays changes to a watch that resumes from before the restart", async () => {
    const first = await open();
    const begin = Number(first.put("/items", "a", item("a", 1)).metadata.resourceVersion);
    first.put("/items", "a", item("a", 2));
    first.remove("/items", "a", item("a", 2));
    await first.durable();
    await first.close();
    const second = await open();
    const heard: string[] = [];
    second.watch("/items", begin, ({ type }) => heard.push(type));
    expect(heard).toEqual(["MODIFIED", "DELETED"]);
    await second.close();
  });

  it("writes a snapshot when the log is long, and removes what it replaces", async () => {
    const first = await open(2_000);
    for (let value = 0; value < 60; value += 1) {
      first.put("/items", `k${value % 3}`, item(`k${value % 3}`, value));
      await first.durable();
    }
    await first.close();
    const names = await readdir(directory);
    expect(names.filter((name) => name.endsWith(".snapshot"))).toHaveLength(1);
    const second = await open();
    expect(second.list("/items").map((object) => object["value"])).toEqual([57, 58, 59]);
    expect(() => second.watch("/items", 1, () => {})).toThrow(/too old/);
    await second.close();
  });
});

describe("watching the store", () => {
  it("gives every change after the revision once, those of the past first", async () => {
    const store = await Store.open(virtualHost(), { isSynced: false });
    const first = store.put("/items", "a", item("a", 1));
    store.put("/items", "b", item("b", 1));
    const heard: string[] = [];
    const stop = store.watch("/items", Number(first.metadata.resourceVersion), ({ type, key }) =>
      heard.push(`${type} ${key}`),
    );
    store.put("/items", "a", item("a", 2));
    store.put("/others", "a", item("a", 2));
    store.remove("/items", "b", item("b", 1));
    stop();
    store.put("/items", "c", item("c", 1));
    expect(heard).toEqual(["ADDED b", "MODIFIED a", "DELETED b"]);
  });

  it("keeps at least 1000 changes, then forgets the old ones by age", async () => {
    const host = virtualHost();
    const store = await Store.open(host, { isSynced: false });
    const begin = store.revision;
    for (let value = 0; value < 1_500; value += 1) store.put("/items", "a", item("a", value));
    expect(() => store.assertReachable("/items", begin)).not.toThrow();
    await host.advance(6 * 60_000);
    store.put("/items", "a", item("a", 0));
    expect(() => store.assertReachable("/items", begin)).toThrow(/too old/);
    expect(() => store.assertReachable("/items", store.revision - 1_000)).not.toThrow();
  });
});
