/** A stream of a whole type: it remembers nothing of what it sent, and still tells of every change and removal. */
import { expect, test } from "vitest";
import { virtualHost } from "../host/virtual-host.ts";
import { DeltaStream } from "./delta-stream.ts";
import { decodeResponse, type DiscoveryRequest, type DiscoveryResponse } from "./discovery.ts";
import { EncodedRows } from "./encoded-rows.ts";
import type { ResourceSource } from "./resource-source.ts";

const fruit = "type.googleapis.com/test.Fruit";

interface Row {
  readonly text: string;
}

function begin(rows: Map<string, Row>, initialVersions: ReadonlyMap<string, string> = new Map()) {
  const encoded = new EncodedRows();
  const get = (_type: string, name: string) => {
    const row = rows.get(name);
    return row === undefined ? undefined : encoded.resource(row, ({ text }) => new TextEncoder().encode(text));
  };
  const source: ResourceSource = {
    names: () => rows.keys(),
    isListed: (_type, name) => rows.has(name),
    isWhole: () => true,
    get,
  };
  const host = virtualHost();
  const sent: DiscoveryResponse[] = [];
  const stream = new DeltaStream(host, source, {
    pushOrder: [fruit],
    acknowledgeMsMax: 60_000,
    send: (bytes) => sent.push(decodeResponse(bytes)),
    fail: (why) => expect.unreachable(why),
    rejected: () => undefined,
  });
  const request = (more: Partial<DiscoveryRequest>) =>
    stream.receive({ typeUrl: fruit, subscribe: [], unsubscribe: [], initialVersions: new Map(), nonce: "", ...more });
  request({ subscribe: ["*"], initialVersions });
  /** What was sent since the last call, acknowledged. */
  const heard = async () => {
    await host.settle();
    const news = sent.splice(0);
    for (const { nonce } of news) request({ nonce });
    return news.flatMap(({ resources, removed }) => [
      ...resources.map(({ name, bytes }) => `${name}=${new TextDecoder().decode(bytes)}`),
      ...removed.map((name) => `-${name}`),
    ]);
  };
  return { stream, request, heard, host, versionOf: (name: string) => get(fruit, name)?.version ?? "" };
}

test("changes, additions and removals are told once each, also of what was sent long ago", async () => {
  const rows = new Map([
    ["apple", { text: "red" }],
    ["pear", { text: "green" }],
  ]);
  const { stream, heard } = begin(rows);
  expect(await heard()).toEqual(["apple=red", "pear=green"]);
  rows.set("apple", { text: "yellow" });
  rows.delete("pear");
  rows.set("plum", { text: "blue" });
  stream.changed(fruit, ["apple", "pear", "plum"]);
  expect(await heard()).toEqual(["apple=yellow", "plum=blue", "-pear"]);
  expect(await heard()).toEqual([]);
});

test("a client that comes back is sent only what it lacks", async () => {
  const rows = new Map([
    ["apple", { text: "red" }],
    ["pear", { text: "green" }],
  ]);
  const has = begin(rows).versionOf("apple");
  const versions = new Map([
    ["apple", has],
    ["pear", "of yesterday"],
    ["gone", "of yesterday"],
  ]);
  expect(await begin(rows, versions).heard()).toEqual(["pear=green", "-gone"]);
});

test("what was refused is sent again until it is taken", async () => {
  const rows = new Map([["apple", { text: "red" }]]);
  const { request, heard, host } = begin(rows);
  await host.settle();
  request({ nonce: "1", error: "not ripe" });
  await host.advance(600);
  expect(await heard()).toContain("apple=red");
  await host.advance(60_000);
  expect(await heard()).toEqual([]);
});
