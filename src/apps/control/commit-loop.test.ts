/** When bursts become commits. */
import { expect, test } from "vitest";
import { virtualHost } from "../../io/host/virtual-host.ts";
import { CommitLoop } from "./commit-loop.ts";

function loop() {
  const host = virtualHost();
  const start = host.clock.now();
  const at: number[] = [];
  const commits = new CommitLoop(host.clock, () => at.push(host.clock.now() - start));
  return { host, commits, at };
}

test("a burst becomes one commit, soon after its last event", async () => {
  const { host, commits, at } = loop();
  commits.start();
  for (let event = 0; event < 5; event += 1) {
    commits.schedule();
    await host.advance(2);
  }
  await host.advance(100);
  expect(at).toEqual([0, 11]);
});

test("events without end are committed every 25 ms at the latest", async () => {
  const { host, commits, at } = loop();
  commits.start();
  for (let event = 0; event < 100; event += 1) {
    commits.schedule();
    await host.advance(1);
  }
  await host.advance(100);
  const pauses = at.map((time, index) => time - (at[index - 1] ?? 0));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(26);
  expect(at.length).toBeLessThan(8);
});

test("nothing is committed before the start or after the stop", async () => {
  const { host, commits, at } = loop();
  commits.schedule();
  await host.advance(100);
  expect(at).toEqual([]);
  commits.start();
  commits.schedule();
  commits.stop();
  await host.advance(100);
  expect(at).toEqual([100]);
});
