/** Conditions of ours beside those of others. */
import { expect, test } from "vitest";
import type { Condition } from "../../../core/api/kube.ts";
import { mergeConditions } from "./merge-conditions.ts";

const options = { ownTypes: ["Accepted", "Programmed"], generation: 3, now: "2026-02-02T00:00:00Z" };
const accepted = { type: "Accepted", status: "True", reason: "Accepted", message: "fine" } as const;
const written = (more: Partial<Condition> = {}): Condition => ({
  ...accepted,
  lastTransitionTime: "2026-01-01T00:00:00Z",
  observedGeneration: 3,
  ...more,
});
const foreign = written({ type: "example.com/Checked", observedGeneration: 1 });

test("what is as wanted is not written again", () => {
  expect(mergeConditions([foreign, written()], [accepted], options)).toBeUndefined();
});

test("a changed message keeps the time of the last transition, a changed status moves it", () => {
  const refused = { ...accepted, status: "False", reason: "Invalid" } as const;
  const said = mergeConditions([written()], [{ ...accepted, message: "still fine" }], options);
  expect(said?.[0]).toMatchObject({ message: "still fine", lastTransitionTime: "2026-01-01T00:00:00Z" });
  const turned = mergeConditions([written()], [refused], options);
  expect(turned?.[0]).toMatchObject({ status: "False", lastTransitionTime: options.now, observedGeneration: 3 });
});

test("a new generation is observed although nothing else changed", () => {
  const before = written({ observedGeneration: 2 });
  expect(mergeConditions([before], [accepted], options)).toEqual([written()]);
});

test("conditions of others stay as they are and where they are; ours that are wanted no more go", () => {
  const programmed = written({ type: "Programmed" });
  expect(mergeConditions([programmed, foreign, written()], [accepted], options)).toEqual([foreign, written()]);
  expect(mergeConditions([foreign], [accepted], options)).toEqual([
    foreign,
    written({ lastTransitionTime: options.now }),
  ]);
});
