/** Install values: what is taken, what is only accepted, what is refused, and which of several wins. */
import { describe, expect, it } from "vitest";
import { defaultSettings, readValues, treeOfPair } from "./values.ts";

const set = (...pairs: string[]) => readValues(pairs.map((pair) => treeOfPair(pair) ?? {}));

describe("values", () => {
  it("of files become settings; what is not given keeps its default", () => {
    const { settings, warnings, problems } = readValues([
      { global: { multiCluster: { clusterName: "east" }, network: "net-east" }, meshConfig: { trustDomain: "acme" } },
      { env: { PILOT_ENABLE_IP_AUTOALLOCATE: "false" }, ambient: { dnsCapture: true } },
    ]);
    expect([warnings, problems]).toEqual([[], []]);
    expect(settings).toEqual({
      ...defaultSettings,
      cluster: "east",
      network: "net-east",
      trustDomain: "acme",
      ipAutoallocate: false,
    });
  });

  it("given later win, also under another spelling of the same key", () => {
    expect(set("global.network=one", "network=two").settings.network).toBe("two");
  });

  it("that are unknown are named and have no effect", () => {
    const { settings, warnings, problems } = set("global.netwrok=one", "pilot.cni.enabled=true");
    expect(settings).toEqual(defaultSettings);
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      "global.netwrok: this value is not known here and has no effect.",
      "pilot.cni.enabled: this value is not known here and has no effect.",
    ]);
  });

  it("that cannot be used are named each, and keep nothing of theirs", () => {
    const { settings, problems } = readValues([
      { global: { network: "Not A Name" }, ambient: { dnsCapture: "perhaps" }, replicaCount: 0, profile: "demo" },
      { meshConfig: { trustDomain: 7 } },
    ]);
    expect(settings).toEqual(defaultSettings);
    expect(problems.map((one) => one.split(":")[0])).toEqual([
      "global.network",
      "ambient.dnsCapture",
      "replicaCount",
      "profile",
      "meshConfig.trustDomain",
    ]);
  });

  it("that other installs need are taken without a word", () => {
    expect(set("platforms.peering.enabled=true", "license.value=x")).toMatchObject({ warnings: [], problems: [] });
  });
});

describe("--set", () => {
  it("reads a path and a value; a dot in a key is escaped, a value may hold an equals sign", () => {
    expect(treeOfPair("a.b=c=d")).toEqual({ a: { b: "c=d" } });
    expect(treeOfPair("a\\.b.c=")).toEqual({ "a.b": { c: "" } });
  });

  it("knows what is no pair", () => {
    expect(treeOfPair("a.b")).toBeUndefined();
    expect(treeOfPair("=c")).toBeUndefined();
  });
});
