/** Generations and authority of the rows of one peer, under a virtual clock. */
import { expect, it } from "vitest";
import type { Export } from "../../core/mesh/model.ts";
import { encodeExport } from "../../core/proto/codec.ts";
import { exportName, typeUrl } from "../../core/proto/wire.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { PeerRows } from "./peer-rows.ts";

function world() {
  const host = virtualHost();
  const calls: string[] = [];
  const rows = new PeerRows(host, "peer", {
    setExport: (_key, row) => calls.push(`set ${exportName(row)} ${row.generation}`),
    removeExport: (_key, name) => calls.push(`remove ${name}`),
  });
  const send = (row: Export, name = exportName(row)) =>
    rows.take(
      { typeUrl: typeUrl.export, upserts: [{ name, version: "", bytes: encodeExport(row) }], removals: [] },
      "b",
    );
  const remove = (name: string) => rows.take({ typeUrl: typeUrl.export, upserts: [], removals: [name] }, "b");
  return { host, calls, rows, send, remove };
}

const row = (generation: number, cluster = "b"): Export => ({
  cluster,
  network: "n",
  trustDomain: "cluster.local",
  segment: "default",
  segmentDomain: "mesh.internal",
  namespace: "shop",
  name: "one",
  scope: "global",
  takeover: false,
  ports: [],
  identities: [],
  aliases: [],
  ready: [],
  endpoints: [],
  generation,
});

it("refuses an older generation, unless the peer stands by it", async () => {
  const { host, calls, send } = world();
  send(row(5));
  send(row(4));
  await host.advance(29_000);
  expect(calls).toEqual(["set b/shop/one 5"]);
  send(row(6));
  await host.advance(60_000);
  expect(calls).toEqual(["set b/shop/one 5", "set b/shop/one 6"]);
  send(row(2));
  await host.advance(30_000);
  expect(calls.at(-1)).toBe("set b/shop/one 2");
});

it("lets a removal end what was held back", async () => {
  const { host, calls, send, remove } = world();
  send(row(5));
  send(row(4));
  remove("b/shop/one");
  await host.advance(60_000);
  expect(calls).toEqual(["set b/shop/one 5", "remove b/shop/one"]);
});

it("takes no row of another cluster, under another name, or of rubbish, and goes on", () => {
  const { calls, rows, send } = world();
  send(row(1, "c"));
  send(row(1), "b/shop/two");
  const rubbish = { name: "b/shop/x", version: "", bytes: Uint8Array.from([0x0a, 0x7f]) };
  const good = { name: "b/shop/one", version: "", bytes: encodeExport(row(1)) };
  rows.take({ typeUrl: typeUrl.export, upserts: [rubbish, good], removals: ["b/shop/never"] }, "b");
  expect(calls).toEqual(["set b/shop/one 1"]);
});
