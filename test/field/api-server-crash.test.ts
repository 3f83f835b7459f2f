/** The API server as a process that is killed: what reflectors hold afterwards. The full size is in test/conformance. */
import { afterAll, expect, it } from "vitest";
import { ServerProcess } from "../conformance/kit/server-process.ts";
import { soak } from "../conformance/soak.ts";

const server = await ServerProcess.start();
afterAll(() => server.close());

it("keeps reflectors right through three kill -9", async () => {
  const result = await soak(server, { watchers: 6, writes: 900, kills: 3 });
  expect(result.acknowledged).toBeGreaterThan(200);
  expect(result.resumed).toBeGreaterThan(0);
}, 60_000);
