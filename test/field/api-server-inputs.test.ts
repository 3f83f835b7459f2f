/** Bad input and too much of it, over the wire: a Status with reason and causes, bounded memory, never a crash. */
import { afterAll, afterEach, expect, it } from "vitest";
import { ServerProcess } from "../conformance/kit/server-process.ts";
import { storm } from "../conformance/storm.ts";
import { exchange, json, stream, type Ask } from "../conformance/kit/wire.ts";

const server = await ServerProcess.start();
afterAll(() => server.close());
const endpoint = { url: server.url, ca: server.ca, token: server.adminToken };
const path = "/api/v1/namespaces/default/configmaps";
const merge = "application/merge-patch+json";

afterEach(async () => {
  expect(server.isRunning).toBe(true);
  expect((await exchange(endpoint, { path: "/readyz" })).text).toBe("ok");
});

const post = (body: string | Buffer, query = "", more: Partial<Ask> = {}) =>
  exchange(endpoint, { method: "POST", path: `${path}${query}`, body, ...more });

const configMap = (name: string, data: object = {}) =>
  JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });

it.each([
  ["a body of four megabytes", "x".repeat(4 * 1024 * 1024), 413, "RequestEntityTooLarge"],
  ["half an object", '{"apiVersion":"v1","kind":', 400, "BadRequest"],
  ["a list instead of an object", "[]", 400, "BadRequest"],
  ["text", '"hello"', 400, "BadRequest"],
  ["nothing", "null", 400, "BadRequest"],
  [
    "a hundred thousand brackets",
    `{"metadata":{"name":"x"},"data":${'{"a":'.repeat(100_000)}1${"}".repeat(100_001)}`,
    400,
    "BadRequest",
  ],
  ["another kind", JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "x" } }), 400, "BadRequest"],
  ["metadata that is a list", JSON.stringify({ metadata: [] }), 400, "BadRequest"],
  ["a name that is a number", JSON.stringify({ metadata: { name: 7 } }), 400, "BadRequest"],
  ["__proto__ in it", '{"metadata":{"name":"x"},"data":{"__proto__":{"a":1}}}', 400, "BadRequest"],
])("answers %s with a Status", async (_what, body, code, reason) => {
  const answer = await post(body);
  const status = JSON.parse(answer.text) as Record<string, unknown>;
  expect({ code: answer.code, status }).toMatchObject({
    code,
    status: { kind: "Status", status: "Failure", code, reason },
  });
  expect(String(status["message"]).length).toBeGreaterThan(10);
});

it("takes bytes that are no UTF-8 for what they can be read as, and protobuf that is none for none", async () => {
  const broken = Buffer.concat([
    Buffer.from('{"metadata":{"name":"utf"},"data":{"a":"'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}}'),
  ]);
  expect((await post(broken)).code).toBe(201);
  const { body } = await json(endpoint, { path: `${path}/utf` });
  expect(body["data"]).toEqual({ a: "\ufffd\ufffd" });
  const garbage = await post(Buffer.from([0x6b, 0x38, 0x73, 0, 0xff, 0xff, 0xff]), "", {
    type: "application/vnd.kubernetes.protobuf",
  });
  expect(garbage.code).toBe(400);
  expect((await post("a: [", "", { type: "application/yaml" })).code).toBe(400);
  expect((await post("{}", "", { type: "application/x-none" })).code).toBe(415);
});

it("says what it thinks of unknown fields and of keys given twice, as strictly as asked", async () => {
  const odd = '{"metadata":{"name":"odd"},"data":{"a":"1","a":"2"},"dta":{}}';
  const strict = await post(odd, "?fieldValidation=Strict");
  expect(strict.code).toBe(400);
  expect(strict.text).toMatch(/strict decoding error: unknown field \\"dta\\", duplicate field \\"data.a\\"/);
  const warned = await post(odd, "?fieldValidation=Warn&dryRun=All");
  expect([warned.code, String(warned.headers["warning"])]).toEqual([
    201,
    String.raw`299 - "unknown field \"dta\"", 299 - "duplicate field \"data.a\""`,
  ]);
  const ignored = await post(odd, "?fieldValidation=Ignore&dryRun=All");
  expect([ignored.code, ignored.headers["warning"]]).toEqual([201, undefined]);
  expect((await post(odd, "?fieldValidation=Perhaps")).code).toBe(400);
});

it("lets one of many patches win that count on the same revision", async () => {
  await post(configMap("contested"));
  const { body } = await json(endpoint, { path: `${path}/contested` });
  const { resourceVersion } = body["metadata"] as { resourceVersion: string };
  const patches = Array.from({ length: 20 }, (_, at) =>
    exchange(endpoint, {
      method: "PATCH",
      path: `${path}/contested`,
      type: merge,
      body: JSON.stringify({ metadata: { resourceVersion }, data: { winner: String(at) } }),
    }),
  );
  const codes = (await Promise.all(patches)).map(({ code }) => code).sort((one, other) => one - other);
  expect(codes).toEqual([200, ...Array.from({ length: 19 }, () => 409)]);
});

it("serves two hundred watchers at once", async () => {
  await storm(server, { watchers: 200, rounds: 5 });
  expect(server.peakRss() / 1024 / 1024).toBeLessThan(500);
}, 60_000);

it("keeps its memory when watchers do not read", async () => {
  await post(configMap("large", { text: "x".repeat(200_000) }));
  const watch = `${path}?watch=true&resourceVersion=0`;
  const open = await Promise.all(Array.from({ length: 20 }, () => stream(endpoint, watch)));
  for (const answer of open) answer.pause();
  const before = server.rss();
  for (let round = 0; round < 60; round += 1) {
    const body = JSON.stringify({ data: { round: String(round) } });
    await exchange(endpoint, { method: "PATCH", path: `${path}/large`, type: merge, body });
  }
  const grown = (server.rss() - before) / 1024 / 1024;
  for (const answer of open) answer.destroy();
  // All of it for each of them would be 240 MB.
  expect(grown).toBeLessThan(150);
}, 60_000);
