/** Whatever a crash leaves of the files, the store comes back with every write that it had called durable. */
import { readFileSync, readdirSync } from "node:fs";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { lineOf } from "./log-file.ts";
import { Store } from "./store.ts";

/** So small that a run has several snapshots. */
const snapshotBytes = 600;

type Files = ReadonlyMap<string, Buffer>;

/** The files as they are at this moment, read without a pause, as a crash would leave them. */
function filesOf(directory: string): Files {
  const found = readdirSync(directory).flatMap((name) => {
    try {
      return [[name, readFileSync(join(directory, name))] as const];
    } catch {
      // Renamed or removed since the folder was read.
      return [];
    }
  });
  return new Map(found);
}

async function layOut(directory: string, files: Files): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(directory, name), bytes);
}

const logOf = (files: Files): string =>
  [...files.keys()]
    .filter((name) => name.endsWith(".log"))
    .sort((one, other) => Number(one.split(".")[1]) - Number(other.split(".")[1]))
    .at(-1) ?? "";

/** How the files look when the crash came at this moment. */
type Crash = (before: Files, after: Files, part: number) => Files;

/** In the middle of the next record: some of its bytes are there. */
const tornTail: Crash = (_before, after, part) => {
  const name = logOf(after);
  const line = lineOf(JSON.stringify({ r: 9_999_999, o: "put", b: "/items", k: "torn", v: { metadata: {} } }));
  const torn = Buffer.from(line.slice(0, Math.floor(part * (line.length - 1))));
  return new Map([...after, [name, Buffer.concat([after.get(name) ?? Buffer.alloc(0), torn])]]);
};

/** A snapshot is in place, and what it replaces is not yet removed. */
const unremoved: Crash = (before, after) => new Map([...before, ...after]);

/** The snapshot is half written, and what it would replace is there. */
const halfSnapshot: Crash = (before, after, part) => {
  const fresh = [...after].filter(([name]) => name.endsWith(".snapshot") && !before.has(name));
  const halves = fresh.map(([name, bytes]) => [`${name}.partial`, bytes.subarray(0, part * bytes.length)] as const);
  const kept = [...after].filter(([name]) => !fresh.some(([other]) => other === name));
  return new Map([...before, ...kept, ...halves]);
};

const crashes = { tornTail, unremoved, halfSnapshot };

const item = (name: string, value: number): AnyObject => ({
  apiVersion: "v1",
  kind: "Item",
  metadata: { name },
  value,
});

const shown = (store: Store): unknown =>
  store.list("/items").map(({ metadata, ...rest }) => [metadata.name, metadata.resourceVersion, rest["value"]]);

const write = fc.record({ name: fc.constantFrom("a", "b", "c", "d"), isDelete: fc.boolean(), value: fc.nat(1000) });

it("loses nothing that was durable, at whatever point it is killed", async () => {
  const property = fc.asyncProperty(
    fc.array(write, { minLength: 1, maxLength: 25 }),
    fc.constantFrom(...(["tornTail", "unremoved", "halfSnapshot"] as const)),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(24),
    async (writes, crash, part, at) => {
      const root = await mkdtemp(join(tmpdir(), "store-crash-"));
      try {
        const directory = join(root, "first");
        const open = (path: string) => Store.open(virtualHost(), { directory: path, isSynced: true, snapshotBytes });
        const store = await open(directory);
        let before = filesOf(directory);
        for (const { name, isDelete, value } of writes.slice(0, at + 1)) {
          const live = store.get("/items", name);
          if (isDelete && live !== undefined) store.remove("/items", name, live);
          else store.put("/items", name, item(name, value));
          await store.durable();
          // A snapshot may have begun; what it replaces is still there.
          before = filesOf(directory);
        }
        await store.close();
        const after = filesOf(directory);
        await layOut(join(root, "second"), crashes[crash](before, after, part));
        const second = await open(join(root, "second"));
        expect(shown(second)).toEqual(shown(store));
        expect(second.revision).toBeGreaterThan(store.revision);
        await second.close();
      } finally {
        await rm(root, { recursive: true });
      }
    },
  );
  await fc.assert(property, { numRuns: 60 });
}, 60_000);
