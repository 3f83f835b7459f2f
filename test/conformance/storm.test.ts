/** A thousand watchers: the full size of what CI runs smaller. */
import { afterAll, expect, it } from "vitest";
import { ServerProcess } from "./kit/server-process.ts";
import { storm } from "./storm.ts";

const server = await ServerProcess.start();
afterAll(() => server.close());

it("serves a thousand watchers in bounded memory", async () => {
  await storm(server, { watchers: 1_000, rounds: 20 });
  expect(server.isRunning).toBe(true);
  expect(server.peakRss() / 1024 / 1024).toBeLessThan(500);
}, 300_000);
