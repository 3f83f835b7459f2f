/** Merge patch and strategic merge patch. */
import { describe, expect, it } from "vitest";
import type { Schema } from "../kind.ts";
import { mergePatch, strategicMerge } from "./merge-patch.ts";

const schema: Schema = {
  type: "object",
  properties: {
    containers: {
      type: "array",
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "name",
      items: { type: "object", properties: { name: { type: "string" }, args: { type: "array" } } },
    },
    finalizers: { type: "array", "x-kubernetes-patch-strategy": "merge", items: { type: "string" } },
    tolerations: { type: "array", items: { type: "object" } },
    strategy: { type: "object", "x-kubernetes-patch-strategy": "retainKeys", properties: { type: { type: "string" } } },
  },
};
const containers = [
  { name: "a", image: "1", args: ["x"] },
  { name: "b", image: "1" },
];

describe("merge patch", () => {
  it("merges maps, replaces the rest, and removes what is null", () => {
    const patch = { a: null, b: { c: 2, d: null, e: { f: null, g: 1 } }, list: [3] };
    expect(mergePatch({ a: 1, b: { c: 1, d: 1 }, list: [1, 2] }, patch)).toEqual({
      b: { c: 2, e: { g: 1 } },
      list: [3],
    });
  });
});

describe("strategic merge patch", () => {
  it("merges list items by their merge key and adds new ones at the end", () => {
    const patch = {
      containers: [
        { name: "b", image: "2" },
        { name: "c", image: "3" },
      ],
    };
    expect(strategicMerge({ containers }, patch, schema)).toEqual({
      containers: [containers[0], { name: "b", image: "2" }, { name: "c", image: "3" }],
    });
  });

  it("deletes an item, replaces lists without a strategy", () => {
    const patch = { containers: [{ name: "a", $patch: "delete" }], tolerations: [{ key: "k" }] };
    expect(strategicMerge({ containers, tolerations: [{ key: "old" }] }, patch, schema)).toEqual({
      containers: [containers[1]],
      tolerations: [{ key: "k" }],
    });
  });

  it("replaces a whole list and a whole map on request", () => {
    const list = { containers: [{ $patch: "replace" }, { name: "z", image: "9" }] };
    expect(strategicMerge({ containers }, list, schema)).toEqual({ containers: [{ name: "z", image: "9" }] });
    const map = { strategy: { $patch: "replace", type: "Recreate" } };
    expect(strategicMerge({ strategy: { type: "x", more: 1 } }, map, schema)).toEqual({
      strategy: { type: "Recreate" },
    });
  });

  it("keeps only the named keys with $retainKeys", () => {
    const patch = { strategy: { $retainKeys: ["type"], type: "Recreate" } };
    expect(strategicMerge({ strategy: { type: "RollingUpdate", rollingUpdate: {} } }, patch, schema)).toEqual({
      strategy: { type: "Recreate" },
    });
  });

  it("adds to and deletes from lists of plain values", () => {
    const patch = { finalizers: ["c"], "$deleteFromPrimitiveList/finalizers": ["a"] };
    expect(strategicMerge({ finalizers: ["a", "b"] }, patch, schema)).toEqual({ finalizers: ["b", "c"] });
  });

  it("puts items in the asked order, and leaves strangers where they are", () => {
    const live = { containers: [{ name: "a" }, { name: "x" }, { name: "b" }] };
    const patch = { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }] };
    expect(strategicMerge(live, patch, schema)).toEqual({ containers: [{ name: "b" }, { name: "x" }, { name: "a" }] });
  });

  it("refuses an item without its merge key", () => {
    expect(() => strategicMerge({ containers }, { containers: [{ image: "2" }] }, schema)).toThrow(/merge key: name/);
  });
});
