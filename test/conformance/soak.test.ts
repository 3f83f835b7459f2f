/** Ten reflectors, 5,000 writes, three crashes: the full size of what CI runs smaller. */
import { afterAll, expect, it } from "vitest";
import { ServerProcess } from "./kit/server-process.ts";
import { soak } from "./soak.ts";

const server = await ServerProcess.start();
afterAll(() => server.close());

it("keeps ten reflectors right through 5,000 writes and three kill -9", async () => {
  const result = await soak(server, { watchers: 10, writes: 5_000, kills: 3 });
  console.log(result);
  expect(result.acknowledged).toBeGreaterThan(1_000);
  expect(result.events).toBeGreaterThan(result.acknowledged);
}, 300_000);
