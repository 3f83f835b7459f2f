import { describe, expect, it } from "vitest";
import type { Peer } from "./model.ts";
import { remoteConditions } from "./peer-conditions.ts";
import type { PeerState } from "./peer-state.ts";

const peer: Peer = {
  cluster: "c2",
  network: "n2",
  trustDomain: "td",
  gatewayServiceAccount: "istio-eastwest",
  region: "",
  dataPlane: [{ host: "198.51.100.1", port: 15008 }],
  controlPlane: [{ host: "198.51.100.1", port: 15012 }],
};

/** Connected, succeeded, data plane. */
const said = (state: Partial<PeerState> | undefined) =>
  remoteConditions(peer, undefined, state && { cluster: "c2", isConnected: false, isStale: false, ...state })
    .slice(2)
    .map(({ status, reason }) => `${status} ${reason}`);

describe("a remote Gateway says of its link", () => {
  it.each([
    ["nothing before the first attempt", undefined, ["Unknown Connecting", "Unknown Connecting", "Unknown Connecting"]],
    ["nothing while the peer only reads", {}, ["Unknown Connecting", "Unknown Connecting", "Unknown Connecting"]],
    ["that it is live", { isConnected: true }, ["True Connected", "True Synced", "True Programmed"]],
    [
      "that what it has is old",
      { isStale: true, reason: "LeaseLost", cause: "It is silent." },
      ["False LeaseLost", "False Stale", "True Programmed"],
    ],
    [
      "why there never was one",
      { reason: "WrongCluster", cause: "It is cluster c3." },
      ["False WrongCluster", "False WrongCluster", "False WrongCluster"],
    ],
  ])("%s", (_what, state, conditions) => {
    expect(said(state)).toEqual(conditions);
  });
});
