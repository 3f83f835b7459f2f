/** Ways to probe come from the model, lead to agents only, and exist for nothing else. */
import { expect, it } from "vitest";
import { spiffeId, type Workload } from "../mesh/model.ts";
import { MeshReplica } from "../mesh/replica.ts";
import { exportedPort, isProbeAffected } from "./gateway.ts";
import { sniClusterName, sniOf } from "./names.ts";
import { parseProbeName, probeCluster, probeListeners, probeTargets } from "./probe.ts";
import type { NodeView } from "./view.ts";

const identity = spiffeId("cluster.local", "istio-system", "tombolo-agent");

const agent = (node: string, host: string, fields: Partial<Workload> = {}): Workload => ({
  uid: `cluster1//Pod/istio-system/agent-${node}`,
  name: `agent-${node}`,
  namespace: "istio-system",
  cluster: "cluster1",
  network: "n1",
  node,
  addresses: [host],
  trustDomain: "cluster.local",
  serviceAccount: "tombolo-agent",
  tunnel: "none",
  hostNetwork: true,
  locality: { region: "", zone: "", subzone: "" },
  isHealthy: true,
  capacity: 1,
  services: {},
  policies: [],
  canonicalName: "tombolo-agent",
  canonicalRevision: "latest",
  workloadName: "tombolo-agent",
  workloadType: "pod",
  ...fields,
});

const peer = agent("", "", {
  uid: "cluster2/Probe/istio-gateways/istio-remote-peer-cluster2",
  cluster: "cluster2",
  network: "n2",
  node: "",
  addresses: [],
  remote: {
    gateways: [
      { host: "198.18.2.200", port: 15008 },
      { host: "gateway.example", port: 15008 },
    ],
    hostname: "tombolo-probe.cluster2",
    identities: [identity],
  },
});

function viewOf(...workloads: readonly Workload[]): NodeView & { readonly replica: MeshReplica } {
  const replica = new MeshReplica();
  for (const row of workloads) replica.setWorkload(row);
  return {
    node: "node1",
    cluster: "cluster1",
    network: "n1",
    trustDomain: "cluster.local",
    locality: { region: "", zone: "", subzone: "" },
    podsByUid: new Map(),
    replica,
    probe: { nodeIp: "10.0.0.1", doorPath: "/run/probe.sock", identity },
  };
}

const textOf = (value: unknown): string => JSON.stringify(value);

it("there is a way to each other node and through each gateway of each peer, none to the own node", () => {
  const view = viewOf(agent("node1", "10.0.0.1"), agent("node2", "10.0.0.2"), peer);
  expect(probeTargets(view).map(({ cluster, node, via }) => [cluster, node, `${via.host}:${via.port}`])).toEqual([
    ["cluster1", "node2", "10.0.0.2:15016"],
    ["cluster2", "", "198.18.2.200:15008"],
    ["cluster2", "", "gateway.example:15008"],
  ]);
});

it("an agent that is not ready, or a pod that is none, is no way", () => {
  const sick = agent("node2", "10.0.0.2", { isHealthy: false });
  const stranger = agent("node3", "10.0.0.3", { namespace: "shop" });
  expect(probeTargets(viewOf(sick, stranger))).toEqual([]);
});

it("a way is dialled as the agent, to an agent, by a name that only the peer's gateways know", () => {
  const view = viewOf(peer);
  const [first, named] = probeTargets(view).map(({ envoyCluster }) => probeCluster(view, envoyCluster)?.resource);
  expect(first).toMatchObject({ type: "STATIC" });
  expect(named).toMatchObject({ type: "STRICT_DNS" });
  expect(textOf(first)).toContain("outbound_.15016_._.tombolo-probe.cluster2");
  expect(textOf(first)).toContain(`{"exact":"${identity}"}`);
});

it("names lead nowhere that the model does not have", () => {
  const web = agent("node2", "10.0.0.9", { uid: "cluster1//Pod/shop/web", namespace: "shop", workloadName: "web" });
  const view = viewOf(peer, web);
  for (const name of [
    `probe|${peer.uid}|192.0.2.1:15008`,
    `probe|${web.uid}|10.0.0.9:15016`,
    "probe|nobody|10.0.0.9:15016",
    "probe|",
    "s|10.0.0.9:80|x",
  ]) {
    expect(probeCluster(view, name), name).toBeUndefined();
  }
  expect(parseProbeName(`probe|${peer.uid}|198.18.2.200:15008`)).toEqual({
    uid: peer.uid,
    via: { host: "198.18.2.200", port: 15008 },
  });
});

it("the responder is there once the agent has its certificate, so that it holds nothing up before", () => {
  const names = (hasCertificate: boolean) => probeListeners(viewOf(), () => hasCertificate).map(({ name }) => name);
  expect([names(false), names(true)]).toEqual([["probe-door"], ["probe-door", "probe-responder"]]);
  expect(probeListeners({ ...viewOf(), probe: undefined } as never, () => true)).toEqual([]);
});

it("a gateway leads its own cluster's name to its nodes, and no other's", () => {
  const { replica } = viewOf(agent("node1", "10.0.0.1"), agent("node2", "10.0.0.2"), peer);
  const view = { cluster: "cluster1", network: "n1", replica, controlPlane: { host: "c", port: 1 } };
  const name = (cluster: string) => sniClusterName(sniOf(15016, `tombolo-probe.${cluster}`));
  expect(exportedPort(view, name("cluster1"))?.ranked.map(({ way }) => way.socket.host)).toEqual([
    "10.0.0.1",
    "10.0.0.2",
  ]);
  expect(exportedPort(view, name("cluster2"))).toBeUndefined();
  const change = (uid: string) => ({
    workloads: new Set([uid]),
    services: new Set<string>(),
    addresses: new Set<string>(),
    policies: new Set<string>(),
  });
  expect(isProbeAffected(view, name("cluster1"), change("cluster1//Pod/istio-system/agent-node3"))).toBe(true);
  expect(isProbeAffected(view, name("cluster1"), change("cluster1//Pod/shop/web"))).toBe(false);
});
