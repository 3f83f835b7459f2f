import { describe, expect, it } from "vitest";
import { configurationName } from "../../../core/api/cni.ts";
import { chained, unchained } from "./chain.ts";

const list = (...plugins: object[]) => JSON.stringify({ cniVersion: "1.0.0", name: "pods", plugins });
const typesIn = (text: string | undefined) =>
  (JSON.parse(text ?? "{}") as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
const textOf = (answer: ReturnType<typeof chained>) => ("text" in answer ? answer.text : undefined);

describe("the node's CNI configuration", () => {
  it("is the first file by name, of those that a container runtime reads", () => {
    expect(configurationName(["99-b.conflist", "10-a.conf", "05-x.conflist.new", "README"])).toBe("10-a.conf");
    expect(configurationName([".lock"])).toBeUndefined();
  });

  it("gets the plugin at its end, once, and keeps all else", () => {
    const before = list({ type: "bridge", ipam: { type: "host-local" } }, { type: "portmap" });
    const after = textOf(chained(before));
    expect(typesIn(after)).toEqual(["bridge", "portmap", "tombolo-cni"]);
    expect(JSON.parse(after ?? "")).toMatchObject({
      name: "pods",
      plugins: [{ ipam: { type: "host-local" } }, {}, {}],
    });
    expect(chained(after ?? "")).toEqual({ text: undefined });
  });

  it("gets it at its end again when another one was put behind it", () => {
    const after = textOf(chained(list({ type: "bridge" }, { type: "tombolo-cni" }, { type: "bandwidth" })));
    expect(typesIn(after)).toEqual(["bridge", "bandwidth", "tombolo-cni"]);
  });

  it("is as before once the plugin is taken out, and left alone when there is none", () => {
    const before = list({ type: "bridge" });
    expect(typesIn(unchained(textOf(chained(before)) ?? ""))).toEqual(["bridge"]);
    expect(unchained(before)).toBeUndefined();
    expect(unchained("{")).toBeUndefined();
  });

  it.each([
    ["{", "it is not JSON"],
    ["[]", "no list of plugins"],
    [JSON.stringify({ type: "bridge" }), "no list of plugins"],
    [list(), "list of plugins is empty"],
  ])("is refused, with the reason: %s", (text, reason) => {
    expect(chained(text)).toMatchObject({ problem: expect.stringContaining(reason) });
  });
});
