/** The rules of faults as nft and tc are told them. */
import { describe, expect, it } from "vitest";
import type { LinkFault } from "./fault.ts";
import { apiRules, linkRules, shapingCalls, unshapingCalls } from "./rules.ts";

const link = (more: Partial<LinkFault>): LinkFault => ({ type: "cut", from: "a", to: "b", isOneWay: false, ...more });

describe("rules of a link", () => {
  it.each([
    [link({ type: "cut" }), "ip daddr @on drop"],
    [link({ type: "drop", percent: 30 }), "ip daddr @on numgen random mod 100 < 30 drop"],
    [link({ type: "drop", percent: 100 }), "ip daddr @on drop"],
    [link({ type: "limit", rate: "1mbit" }), "ip daddr @on meta priority set 7a:13"],
  ])("%j", (fault, rule) => {
    const text = linkRules(3, fault, "198.18.2.0/24", 9_500);
    expect(text).toContain(rule);
    expect(text).toContain("table ip fault_3");
    expect(text).toContain("198.18.2.0/24 timeout 10s");
  });

  it("of a delay lead to a class with a late queue; the last one takes the whole discipline away", () => {
    const calls = shapingCalls(3, link({ type: "delay", ms: 200 })).map((call) => call.join(" "));
    expect(calls.at(-1)).toBe("qdisc replace dev eth0 parent 7a:13 netem delay 200ms");
    expect(unshapingCalls(3, false)).toEqual([["class", "del", "dev", "eth0", "classid", "7a:13"]]);
    expect(unshapingCalls(3, true)).toEqual([["qdisc", "del", "dev", "eth0", "root"]]);
  });
});

it("those of an API server touch its own addresses only, and end by themselves", () => {
  const text = apiRules("tmb_ab12_fault_1", ["127.0.0.1", "198.18.0.1"], 16443, 400);
  expect(text).toContain("127.0.0.1 . 16443 timeout 1s, 198.18.0.1 . 16443 timeout 1s");
});
