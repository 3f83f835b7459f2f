import { expect, it } from "vitest";
import type { Peer } from "../../core/mesh/model.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { TrustBundles } from "../identity/trust.ts";
import type { LinkState } from "./link-state.ts";
import { PeerLinks } from "./peer-links.ts";

const peerOf = (cluster: string): Peer => ({
  cluster,
  network: cluster,
  trustDomain: "td",
  gatewayServiceAccount: "gateway",
  region: "",
  dataPlane: [],
  controlPlane: [{ host: "192.0.2.1", port: 15012 }],
});

it("a peer too many is told so, and is linked once another one is gone", () => {
  const states = new Map<string, LinkState>();
  const links = new PeerLinks(virtualHost(), {
    self: () => ({ cluster: "self", network: "self", trustDomain: "td", segment: "default", version: "1" }),
    certificate: () => undefined,
    bundles: new TrustBundles(),
    sink: {
      setExport: () => undefined,
      removeExport: () => undefined,
      setLinkState: (key, state) => states.set(key, state),
      removePeer: (key) => states.delete(key),
    },
  });
  for (let at = 0; at < 257; at += 1) links.setPeer(`g/${at}`, peerOf(`c${at}`));
  expect(states.get("g/256")?.reason).toBe("TooManyPeers");
  expect([...states.values()].filter(({ reason }) => reason === "TooManyPeers")).toHaveLength(1);
  links.removePeer("g/7");
  expect(states.has("g/7")).toBe(false);
  expect(states.get("g/256")?.reason).not.toBe("TooManyPeers");
  links.close();
  expect(states.size).toBe(0);
});
