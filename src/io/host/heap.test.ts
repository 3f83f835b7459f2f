/** When memory is given back: after a burst, at rest, rarely; and that the engine really does it. */
import { expect, test } from "vitest";
import { engineHeap, type Heap, keepSmall } from "./heap.ts";
import { virtualHost } from "./virtual-host.ts";

const mebibyte = 1 << 20;

class FakeHeap implements Heap {
  bytes = 0;
  live = 0;
  busyMs = 0;
  compactions = 0;

  held(): number {
    return this.bytes;
  }

  cpuMs(): number {
    return this.busyMs;
  }

  compact(): Promise<void> {
    this.compactions += 1;
    this.bytes = this.live;
    return Promise.resolve();
  }
}

function start() {
  const host = virtualHost();
  const heap = new FakeHeap();
  const stop = new AbortController();
  const ended = keepSmall(host, heap, stop.signal);
  return { host, heap, stop, ended };
}

test("what a burst has left behind is given back once the program rests, and not while it works", async () => {
  const { host, heap, stop, ended } = start();
  [heap.bytes, heap.live] = [300 * mebibyte, 150 * mebibyte];
  for (let at = 0; at < 4; at += 1) {
    heap.busyMs += 4000;
    await host.advance(5000);
  }
  expect(heap.compactions, "while it is busy").toBe(0);
  await host.advance(5000);
  expect(heap.compactions, "at rest").toBe(1);
  await host.advance(600_000);
  expect(heap.compactions, "there is nothing more to give").toBe(1);
  stop.abort();
  await ended;
});

test("little slack is left alone, and much of it is given back no more than once a minute", async () => {
  const { host, heap, stop, ended } = start();
  [heap.bytes, heap.live] = [150 * mebibyte, 140 * mebibyte];
  await host.advance(5000);
  expect(heap.compactions).toBe(1);
  heap.bytes = 170 * mebibyte;
  await host.advance(600_000);
  expect(heap.compactions, "a fifth more").toBe(1);
  heap.bytes = 300 * mebibyte;
  await host.advance(5000);
  expect(heap.compactions).toBe(2);
  heap.bytes = 300 * mebibyte;
  await host.advance(50_000);
  expect(heap.compactions, "within a minute").toBe(2);
  await host.advance(20_000);
  expect(heap.compactions, "after a minute").toBe(3);
  stop.abort();
  await ended;
});

test("a program that stops compacts nothing any more", async () => {
  const { host, heap, stop, ended } = start();
  heap.bytes = 300 * mebibyte;
  stop.abort();
  await ended;
  await host.advance(60_000);
  expect(heap.compactions).toBe(0);
});

test("the engine gives back what nobody needs any more", async () => {
  let kept: number[][] | undefined = [];
  for (let at = 0; at < 400; at += 1) kept.push(Array.from({ length: 10_000 }, (_, index) => index + at));
  const before = engineHeap.held();
  expect(kept.length).toBe(400);
  kept = undefined;
  await engineHeap.compact();
  expect(before - engineHeap.held()).toBeGreaterThan(20 * mebibyte);
  expect(engineHeap.cpuMs()).toBeGreaterThan(0);
});
