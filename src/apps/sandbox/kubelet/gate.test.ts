/** A closed gate holds timers and requests of a node, and an open one lets them through in order. */
import { expect, it } from "vitest";
import { builtin } from "../../../core/api/resources.ts";
import { VirtualClock } from "../../../io/host/virtual-clock.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { fakeHost } from "../controllers/testing/world.ts";
import { Gate, gatedClient, gatedHost } from "./gate.ts";

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

it("holds what comes due while it is closed, and nothing else", async () => {
  const clock = new VirtualClock(0);
  const gate = new Gate();
  const host = gatedHost(fakeHost(clock), gate);
  const client = gatedClient(new MemoryKubeClient(), gate);
  const seen: string[] = [];
  host.clock.after(10, () => seen.push("first"));
  host.clock.after(20, () => seen.push("second"));
  const cancel = host.clock.after(25, () => seen.push("cancelled"));
  void host.clock.sleep(30).then(() => seen.push("slept"));
  clock.moveTo(10);
  gate.close();
  clock.moveTo(40);
  cancel();
  void client.list(builtin.pods).then(() => seen.push("listed"));
  await turns();
  expect(seen).toEqual(["first"]);
  gate.open();
  await turns();
  expect(seen).toEqual(expect.arrayContaining(["first", "second", "slept", "listed"]));
  expect(seen).not.toContain("cancelled");
});

it("ends the wait of a sleeper whose signal aborts, as soon as the gate is open", async () => {
  const gate = new Gate();
  const clock = new VirtualClock(0);
  const host = gatedHost(fakeHost(clock), gate);
  const ending = new AbortController();
  const slept = host.clock.sleep(10, ending.signal).then(
    () => "slept",
    () => "ended",
  );
  gate.close();
  clock.moveTo(10);
  await turns();
  ending.abort(new Error("over"));
  gate.open();
  expect(await slept).toBe("ended");
});
