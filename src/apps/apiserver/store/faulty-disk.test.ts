/**
 * Whatever the disk refuses (space, writing, fsync, putting a snapshot in place): what was acknowledged stays, what was
 * refused was never there for readers, and the store goes on when the disk does.
 */
import { mkdtemp, open, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Files } from "./log-file.ts";
import { Store } from "./store.ts";

const faults = ["append", "torn append", "fsync", "rename", "truncate", "open"] as const;
type Fault = (typeof faults)[number];

/** Files as Node has them, until a fault is set. */
class FaultyDisk {
  readonly broken = new Set<Fault>();

  readonly files: Files = {
    open: async (...args) => {
      const isNew = args[1] !== "r";
      if (isNew) this.#check("open");
      const handle = await open(...args);
      const appendFile = handle.appendFile.bind(handle);
      const datasync = handle.datasync.bind(handle);
      const sync = handle.sync.bind(handle);
      const truncate = handle.truncate.bind(handle);
      handle.appendFile = async (data, ...rest) => {
        this.#check("append");
        const text = String(data);
        if (this.broken.has("torn append")) await appendFile(text.slice(0, text.length / 2), ...rest);
        this.#check("torn append");
        await appendFile(data, ...rest);
      };
      handle.datasync = async () => {
        this.#check("fsync");
        await datasync();
      };
      handle.sync = async () => {
        this.#check("fsync");
        await sync();
      };
      handle.truncate = async (length) => {
        this.#check("truncate");
        await truncate(length);
      };
      return handle;
    },
    rename: async (from, to) => {
      this.#check("rename");
      await rename(from, to);
    },
  };

  #check(fault: Fault): void {
    if (!this.broken.has(fault)) return;
    throw Object.assign(new Error(`ENOSPC: no space left on device, ${fault}`), { code: "ENOSPC" });
  }
}

const bucket = "/items";
const item = (name: string, value: number): AnyObject => ({
  apiVersion: "v1",
  kind: "Item",
  metadata: { name },
  value,
});
const valueOf = (object: AnyObject | undefined): unknown => object?.["value"];

let directory = "";
let host = virtualHost();
let disk = new FaultyDisk();
let store: Store;
const opened = (snapshotBytes?: number) =>
  Store.open(host, { directory, isSynced: true, files: disk.files, snapshotBytes });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "store-faulty-"));
  host = virtualHost();
  disk = new FaultyDisk();
  store = await opened();
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

async function put(name: string, value: number): Promise<void> {
  store.put(bucket, name, item(name, value));
  await store.durable();
}

/** The store asks the disk again each second of its clock; the disk itself is real, and takes real time. */
async function mended(of: Store): Promise<void> {
  for (let turn = 0; turn < 200 && of.failure !== undefined; turn += 1) {
    await host.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(of.failure).toBeUndefined();
}

it("shows a write to readers and watchers only when it is on disk", async () => {
  await put("a", 1);
  const revision = store.revision;
  const heard: unknown[] = [];
  store.watch(bucket, revision, ({ type, object }) => heard.push([type, valueOf(object)]));
  store.put(bucket, "a", item("a", 2));
  store.put(bucket, "b", item("b", 3));
  store.remove(bucket, "b", item("b", 3));
  store.remove(bucket, "a", item("a", 2));
  expect(store.list(bucket)).toEqual([]);
  expect(store.readAll(bucket).map(valueOf)).toEqual([1]);
  expect([valueOf(store.read(bucket, "a")), store.read(bucket, "b")]).toEqual([1, undefined]);
  expect([heard, store.revision]).toEqual([[], revision]);
  await store.durable();
  expect(heard).toEqual([
    ["MODIFIED", 2],
    ["ADDED", 3],
    ["DELETED", 3],
    ["DELETED", 2],
  ]);
  expect([store.readAll(bucket), store.revision]).toEqual([[], revision + 4]);
});

it.each(["append", "torn append", "fsync"] as const)("%s: refuses, takes back, says so, and goes on", async (fault) => {
  await put("kept", 1);
  const heard: unknown[] = [];
  store.watch(bucket, store.revision, ({ object }) => heard.push(valueOf(object)));
  disk.broken.add(fault);
  const refusal: unknown = await put("kept", 2).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(KubeError);
  expect(refusal).toMatchObject({ code: 500, reason: "InternalError" });
  expect(String(refusal)).toMatch(/nothing was changed.*ENOSPC.*Free space/);
  expect(store.failure).toContain("ENOSPC");
  expect(() => store.put(bucket, "more", item("more", 3))).toThrow(/nothing was changed/);
  expect([store.get(bucket, "kept"), store.read(bucket, "kept")].map(valueOf)).toEqual([1, 1]);
  // As long as it lasts, nothing is taken; not even when only the mending fails.
  await host.advance(5_000);
  expect(store.failure).toBeDefined();
  disk.broken.delete(fault);
  disk.broken.add("truncate");
  await host.advance(5_000);
  expect(store.failure).toBeDefined();
  disk.broken.clear();
  await mended(store);
  await put("kept", 4);
  expect(heard).toEqual([4]);
  const { revision } = store;
  await store.close();
  store = await opened();
  expect(store.list(bucket).map(valueOf)).toEqual([4]);
  expect(store.revision).toBeGreaterThan(revision);
});

it("open and rename: a snapshot that fails costs no write, and the next one works", async () => {
  await store.close();
  store = await opened(400);
  for (const fault of ["open", "rename"] as const) {
    disk.broken.add(fault);
    for (let value = 0; value < 20; value += 1) await put(fault, value);
    disk.broken.clear();
  }
  for (let value = 0; value < 20; value += 1) await put("after", value);
  expect(store.failure).toBeUndefined();
  await store.close();
  store = await opened();
  expect(store.list(bucket).map(valueOf)).toEqual([19, 19, 19]);
});

const step = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  isDelete: fc.boolean(),
  breaks: fc.option(fc.constantFrom(...faults), { freq: 3, nil: undefined }),
  heals: fc.boolean(),
});

it("loses no acknowledged write and keeps no refused one, whatever fails when", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 12 }),
    async (groups) => {
      disk.broken.clear();
      await store.close();
      await rm(directory, { recursive: true });
      store = await opened(500);
      const wanted = new Map<string, unknown>();
      let value = 0;
      for (const group of groups) {
        // Of one group all are on their way at the same time.
        const done = group.map(async ({ name, isDelete, breaks, heals }) => {
          if (heals) disk.broken.clear();
          if (breaks !== undefined) disk.broken.add(breaks);
          value += 1;
          const mine = value;
          const live = store.get(bucket, name);
          const isRemoval = isDelete && live !== undefined;
          if (isRemoval) store.remove(bucket, name, live);
          else store.put(bucket, name, item(name, mine));
          await store.durable();
          if (isRemoval) wanted.delete(name);
          else wanted.set(name, mine);
        });
        await Promise.allSettled(done);
        const seen = store.readAll(bucket).map((object) => [object.metadata.name, valueOf(object)]);
        expect(new Map(seen as [string, unknown][])).toEqual(wanted);
        if (group[0]?.heals === true && store.failure !== undefined) {
          disk.broken.clear();
          await mended(store);
        }
      }
      disk.broken.clear();
      await store.close();
      store = await opened();
      expect(new Map(store.list(bucket).map((object) => [object.metadata.name, valueOf(object)]))).toEqual(wanted);
    },
  );
  await fc.assert(property, { numRuns: 40 });
}, 60_000);
