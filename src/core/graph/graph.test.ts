/** What the graph promises: one forward walk, remembered reads, net changes, and nothing left behind. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Collection, Source } from "./collection.ts";
import { Graph } from "./graph.ts";
import { sortedRows } from "./order.ts";

interface Item {
  readonly group: string;
  readonly size: number;
  readonly friend: string;
}

interface World {
  readonly graph: Graph;
  readonly left: Source<Item>;
  readonly right: Source<Item>;
  readonly limits: Source<number>;
  readonly outputs: readonly Collection<unknown>[];
}

/** Every operator once, with reads by key, by index and of everything. */
function wire(): World {
  const graph = new Graph();
  const left = graph.source<Item>("left");
  const right = graph.source<Item>("right");
  const limits = graph.source<number>("limits");
  const lifted = graph.derive<Item, Item>("lifted", left, function* (item, _read, key) {
    yield [`l${key}`, item];
    if (item.size > 5) yield [`big/${item.friend}/${key}`, { ...item, size: 5 }];
  });
  const moved = graph.derive<Item, Item>("moved", right, function* (item, _read, key) {
    yield [`r${key}`, item];
  });
  const items = graph.union("items", lifted, moved);
  const byGroup = graph.index(items, "byGroup", (item) => [item.group, item.friend]);
  const groups = graph.group("groups", items, (item) => [item.group]);
  const sums = graph.derive<readonly Item[], number>("sums", groups, function* (members, read, key) {
    const limit = read.get(limits, key) ?? 100;
    yield [
      key,
      Math.min(
        limit,
        members.reduce((sum, item) => sum + item.size, 0),
      ),
    ];
  });
  const friends = graph.derive<Item, readonly string[]>("friends", items, function* (item, read, key) {
    const found = read.lookup(byGroup, item.friend).map((other) => `${other.group}${other.size}`);
    const sum = item.size % 2 === 0 ? read.get(sums, item.group) : undefined;
    yield [key, [...found, `${sum ?? ""}`]];
  });
  const byFriend = graph.index(left, "byFriend", (item) => [item.friend]);
  const names = graph.values("names", byFriend, byGroup);
  const named = graph.derive<string, number>("named", names, function* (name, read, key) {
    yield [key, read.lookup(byFriend, name).length * 10 + read.lookup(byGroup, name).length];
  });
  const sizes = graph.view("sizes", items, (one) => ({ size: one.size }));
  const total = graph.derive<number, number>("total", limits, function* (limit, read, key) {
    yield [key, limit + read.all(sums).reduce((a, b) => a + b, 0)];
  });
  return { graph, left, right, limits, outputs: [items, groups, sums, friends, names, named, sizes, total] };
}

const dump = (world: World): unknown => world.outputs.map((out) => [out.name, sortedRows(out)]);

const item = fc.record({
  group: fc.constantFrom("a", "b", "c"),
  size: fc.nat(9),
  friend: fc.constantFrom("a", "b", "c"),
});
const key = fc.constantFrom("1", "2", "3", "4");
const step = fc.oneof(
  fc.record({ at: fc.constant("left" as const), key, row: fc.option(item, { nil: undefined }) }),
  fc.record({ at: fc.constant("right" as const), key, row: fc.option(item, { nil: undefined }) }),
  fc.record({
    at: fc.constant("limits" as const),
    key: fc.constantFrom("a", "b"),
    size: fc.option(fc.nat(20), { nil: undefined }),
  }),
  fc.record({ at: fc.constant("commit" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function take(world: World, next: Step): void {
  if (next.at === "commit") return world.graph.commit();
  if (next.at === "limits") {
    return next.size === undefined ? world.limits.delete(next.key) : world.limits.set(next.key, next.size);
  }
  return next.row === undefined ? world[next.at].delete(next.key) : world[next.at].set(next.key, next.row);
}

test(
  "a graph that lived a history equals a graph built from its end, and its " + "watchers heard exactly the way there",
  () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (history) => {
        const lived = wire();
        const heard = lived.outputs.map((out) => {
          const rows = new Map<string, unknown>();
          lived.graph.watch(out, (changes: readonly Change<unknown>[]) => {
            for (const change of changes) {
              expect(rows.get(change.key)).toEqual(change.before);
              expect(change.after).not.toEqual(change.before);
              if (change.after === undefined) rows.delete(change.key);
              else rows.set(change.key, change.after);
            }
          });
          return rows;
        });
        const fresh = wire();
        for (const next of history) {
          take(lived, next);
          if (next.at !== "commit") take(fresh, next);
        }
        lived.graph.commit();
        fresh.graph.commit();
        expect(dump(lived)).toEqual(dump(fresh));
        for (const [at, out] of lived.outputs.entries()) expect(heard[at]).toEqual(new Map(out.rows));
      }),
      { numRuns: 500 },
    );
  },
);

test("nothing is left behind when every input is withdrawn", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (history) => {
      const world = wire();
      for (const next of history) take(world, next);
      world.graph.commit();
      for (const source of [world.left, world.right, world.limits])
        for (const at of source.rows.keys()) source.delete(at);
      world.graph.commit();
      for (const table of world.graph.collections) {
        expect([table.name, table.rows.size, table.reads]).toEqual([table.name, 0, 0]);
      }
    }),
    { numRuns: 200 },
  );
});

test("an equal row stops the wave, and a read that is no longer made costs nothing", () => {
  const graph = new Graph();
  const numbers = graph.source<{ n: number }>("numbers");
  const names = graph.source<string>("names");
  const parity = graph.derive<{ n: number }, string>("parity", numbers, function* (row, _read, key) {
    yield [key, row.n % 2 === 0 ? "even" : "odd"];
  });
  let runs = 0;
  const named = graph.derive<string, string>("named", parity, function* (row, read, key) {
    runs += 1;
    yield [key, row === "odd" ? (read.get(names, key) ?? "?") : row];
  });
  numbers.set("x", { n: 1 });
  graph.commit();
  numbers.set("x", { n: 3 });
  graph.commit();
  expect(runs).toBe(1);
  names.set("x", "three");
  graph.commit();
  expect([runs, named.rows.get("x")]).toEqual([2, "three"]);
  numbers.set("x", { n: 4 });
  graph.commit();
  names.set("x", "four");
  graph.commit();
  expect([runs, named.rows.get("x")]).toEqual([3, "even"]);
});

test("writes show only after the commit, and a write back to the old row is no change", () => {
  const graph = new Graph();
  const rows = graph.source<number>("rows");
  const heard: Change<number>[] = [];
  graph.watch(rows, (changes) => heard.push(...changes));
  rows.set("b", 1);
  rows.set("a", 2);
  expect(rows.rows.size).toBe(0);
  graph.commit();
  expect(heard.map((change) => change.key)).toEqual(["a", "b"]);
  rows.set("a", 3);
  rows.set("a", 2);
  rows.delete("b");
  rows.set("b", 1);
  graph.commit();
  expect(heard.length).toBe(2);
});

test("keep leaves the earlier result, says why, and ends when the cause ends", () => {
  const graph = new Graph();
  const wishes = graph.source<string>("wishes");
  const known = graph.source<number>("known");
  const granted = graph.derive<string, number>("granted", wishes, function* (wish, read, key) {
    const value = read.get(known, wish);
    if (value === undefined) read.keep(`nobody knows ${wish}`);
    else yield [key, value];
  });
  wishes.set("w", "one");
  graph.commit();
  expect(granted.rows.size).toBe(0);
  known.set("one", 1);
  graph.commit();
  wishes.set("w", "two");
  graph.commit();
  expect(graph.explain("granted", "w")).toEqual({
    row: 1,
    input: "wishes[w]",
    reads: ["known[two]"],
    kept: "nobody knows two",
  });
  known.set("two", 2);
  graph.commit();
  expect(graph.explain("granted", "w")).toEqual({ row: 2, input: "wishes[w]", reads: ["known[two]"] });
});

test("explain names the input and every read, through each operator", () => {
  const world = wire();
  world.left.set("1", { group: "a", size: 4, friend: "b" });
  world.graph.commit();
  expect(world.graph.explain("friends", "l1")).toEqual({
    row: ["a4", "4"],
    input: "items[l1]",
    reads: ["items.byGroup[b]", "sums[a]"],
  });
  expect(world.graph.explain("items", "l1").input).toBe("lifted[l1]");
  expect(world.graph.explain("groups", "a").input).toBe("items[by a]");
  expect(world.graph.explain("left", "1").input).toBe("");
  expect(world.graph.explain("sizes", "l1")).toEqual({ row: { size: 4 }, input: "items[l1]", reads: [] });
  expect(world.graph.explain("names", "b").input).toBe("left.byFriend[b]");
  expect(world.graph.explain("names", "a").input).toBe("items.byGroup[a]");
});

test("a collection cannot read a later one, and two inputs cannot give one key", () => {
  const graph = new Graph();
  const a = graph.source<number>("a");
  let later: Collection<number> = a;
  graph.derive<number, number>("early", a, (_row, read, key) => [[key, read.get(later, "x") ?? 0]]);
  later = graph.source<number>("late");
  a.set("x", 1);
  expect(() => graph.commit()).toThrow("early may not read late");
  const clash = new Graph();
  const rows = clash.source<number>("rows");
  clash.derive<number, number>("same", rows, () => [["k", 1]]);
  rows.set("x", 1);
  rows.set("y", 1);
  expect(() => clash.commit()).toThrow("same: x and y both give k");
});
