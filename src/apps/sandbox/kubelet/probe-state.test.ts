import { describe, expect, it } from "vitest";
import { firstState, mustRestart, nextState, probeSettings } from "./probe-state.ts";
import type { ProbeKind } from "./probe-state.ts";

const settings = probeSettings({ failureThreshold: 3, successThreshold: 2 });

/** What the probe says after each result; `+` is a success. */
const told = (kind: ProbeKind, results: string, from = firstState(kind)) => {
  let state = from;
  return results
    .split("")
    .map((result) => {
      state = nextState(state, result === "+", settings);
      return mustRestart(kind, state, settings) ? "!" : state.isPassing ? "y" : "n";
    })
    .join("");
};

describe("a probe", () => {
  it("says ready after enough successes in a row, and no longer after enough failures in a row", () => {
    expect(told("readiness", "+-++--+---+")).toBe("nnnyyyyyynn");
  });

  it("of liveness holds until it has failed often enough, and then restarts", () => {
    expect(told("liveness", "--+---")).toBe("yyyyy!");
  });

  it("of startup restarts when it never passes", () => {
    expect(told("startup", "---")).toBe("nn!");
    expect(told("startup", "--++")).toBe("nnny");
  });

  it("never restarts for readiness", () => {
    expect(told("readiness", "-----")).toBe("nnnnn");
  });
});
