/** The work queue on a virtual clock. */
import { describe, expect, it } from "vitest";
import { startQueue, type QueueOptions } from "./queue.ts";
import { VirtualClock } from "../../../io/host/virtual-clock.ts";
import { fakeHost } from "./testing/world.ts";

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

const open = (reconcile: QueueOptions["reconcile"], options: Partial<QueueOptions> = {}) => {
  const clock = new VirtualClock(0);
  const stop = new AbortController();
  const queue = startQueue(fakeHost(clock), {
    name: "test",
    ready: Promise.resolve(),
    signal: stop.signal,
    keys: () => [],
    reconcile,
    ...options,
  });
  return { clock, stop, queue };
};

describe("the work queue", () => {
  it("runs a key once for many adds, and once more when it was added while running", async () => {
    const ran: string[] = [];
    let finish: () => void = () => undefined;
    const { queue } = open(async (key) => {
      ran.push(key);
      await new Promise<void>((resolve) => (finish = resolve));
    });
    queue.add("a");
    queue.add("a");
    await turns();
    expect(ran).toEqual(["a"]);
    queue.add("a");
    queue.add("a");
    await turns();
    expect(ran).toEqual(["a"]);
    finish();
    await turns();
    expect(ran).toEqual(["a", "a"]);
  });

  it("retries a failure with growing pauses and begins anew after a success", async () => {
    const ranAt: number[] = [];
    let isFailing = true;
    const { queue, clock } = open(async () => {
      ranAt.push(clock.now());
      if (isFailing) throw new Error("no");
    });
    queue.add("a");
    await turns();
    for (let ms = 1; ms <= 40; ms += 1) {
      clock.moveTo(ms);
      await turns();
    }
    expect(ranAt).toEqual([0, 5, 15, 35]);
    isFailing = false;
    clock.moveTo(75);
    await turns();
    isFailing = true;
    queue.add("a");
    await turns();
    clock.moveTo(80);
    await turns();
    expect(ranAt).toEqual([0, 5, 15, 35, 75, 75, 80]);
  });

  it("never runs more keys at once than it has workers, and starts nothing after the signal", async () => {
    let running = 0;
    let most = 0;
    const finish: (() => void)[] = [];
    const { queue, stop } = open(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => finish.push(resolve));
        running -= 1;
      },
      { workers: 2 },
    );
    for (const key of ["a", "b", "c", "d"]) queue.add(key);
    await turns();
    finish[0]?.();
    await turns();
    expect([most, finish.length]).toEqual([2, 3]);
    stop.abort(new Error("end"));
    finish[1]?.();
    queue.add("e");
    await turns();
    expect(finish).toHaveLength(3);
  });

  it("keeps the shortest of several pauses", async () => {
    const ranAt: number[] = [];
    const { queue, clock } = open(async () => void ranAt.push(clock.now()));
    queue.addAfter("a", 100);
    queue.addAfter("a", 10);
    queue.addAfter("a", 50);
    for (const ms of [9, 10, 50, 100]) {
      clock.moveTo(ms);
      await turns();
    }
    expect(ranAt).toEqual([10]);
  });
});
