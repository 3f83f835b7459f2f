import { describe, expect, it } from "vitest";
import {
  clusterNameProblem,
  freePodAddress,
  machinePath,
  isLoadBalancerAddress,
  planCluster,
  podLink,
  podNetns,
} from "./addresses.ts";

const planOf = (index: number) =>
  planCluster({ sandboxId: "ab12", cluster: `cluster${index}`, index, underlay: "198.18", nodes: 99 });

describe("address plan", () => {
  it("gives no two nodes of any two clusters the same address, pod range, namespace or link", () => {
    const nodes = [1, 2, 99].flatMap((index) => planOf(index).nodes);
    for (const field of ["address", "podCidr", "netns", "uplink", "name"] as const) {
      expect(new Set(nodes.map((node) => node[field])).size).toBe(nodes.length);
    }
  });

  it("keeps link names within what the kernel allows", () => {
    const longest = planOf(99).nodes.map(({ uplink }) => uplink.length);
    expect(Math.max(...longest)).toBeLessThanOrEqual(15);
    expect(podLink("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9").length).toBeLessThanOrEqual(15);
  });

  it("carries the sandbox id in every namespace", () => {
    const plan = planOf(2);
    expect(podNetns(plan, "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")).toBe("tmb-ab12-cluster2-pod-0a1b2c3d4e5f");
    expect(plan.nodes[0]?.netns).toBe("tmb-ab12-cluster2-node1");
  });

  it("takes only the cluster's own pool for LoadBalancer addresses", () => {
    expect(isLoadBalancerAddress(planOf(2), "198.18.2.200")).toBe(true);
    expect(isLoadBalancerAddress(planOf(2), "198.18.2.199")).toBe(false);
    expect(isLoadBalancerAddress(planOf(2), "198.18.1.200")).toBe(false);
  });

  it("goes round the pod range and stops when it is used up", () => {
    const node = planOf(1).nodes[0];
    if (node === undefined) throw new Error("no node");
    const taken = new Set<string>();
    for (;;) {
      const address = freePodAddress(node, taken, 250);
      if (address === undefined) break;
      taken.add(address);
    }
    expect(taken.size).toBe(253);
    expect(taken.has("10.11.1.254") && taken.has("10.11.1.2")).toBe(true);
    expect(taken.has("10.11.1.1") || taken.has("10.11.1.255")).toBe(false);
  });

  it("gives each node its own /run, but for the machine's network namespaces", () => {
    expect(machinePath("tmb-ab12-c-node1", "/run/tombolo")).toBe("/run/tombolo/tmb-ab12-c-node1/tombolo");
    expect(machinePath("n", "/var/run/x.sock")).toBe("/run/tombolo/n/x.sock");
    expect(machinePath("n", "/var/run/netns")).toBe("/run/netns");
    expect(machinePath("n", "/runner")).toBe("/runner");
    expect(machinePath("n", "/etc")).toBe("/etc");
    expect(machinePath("n", "/etc/cni/net.d")).toBe("/run/tombolo/n/.node/etc/cni/net.d");
    expect(machinePath("n", "/opt/cni/bin")).toBe("/run/tombolo/n/.node/opt/cni/bin");
  });

  it("refuses cluster names that cannot be part of a host name", () => {
    expect(clusterNameProblem("east")).toBeUndefined();
    expect(clusterNameProblem("East_1")).toContain("East_1");
    expect(clusterNameProblem("-a")).toBeDefined();
  });
});
