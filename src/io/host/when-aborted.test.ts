import { expect, it } from "vitest";
import { whenAborted } from "./when-aborted.ts";

it("acts once, whether the end is still to come or has come already", () => {
  const end = new AbortController();
  let acts = 0;
  whenAborted(end.signal, () => (acts += 1));
  expect(acts).toBe(0);
  end.abort(new Error("The end."));
  whenAborted(end.signal, () => (acts += 10));
  expect(acts).toBe(11);
});
