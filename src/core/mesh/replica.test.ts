/** The agent's copy of the model answers by address and name, and tells what changed, once per batch. */
import { describe, expect, it } from "vitest";
import type { MeshService, Policy, Workload } from "./model.ts";
import { MeshReplica, type ReplicaChange } from "./replica.ts";

const workload = (uid: string, more: Partial<Workload> = {}): Workload => ({
  uid,
  name: uid,
  namespace: "shop",
  cluster: "c1",
  network: "n1",
  node: "",
  addresses: ["10.0.0.1"],
  trustDomain: "cluster.local",
  serviceAccount: "a",
  tunnel: "native",
  hostNetwork: false,
  isHealthy: true,
  locality: {
    region: "",
    zone: "",
    subzone: "",
  },
  capacity: 1,
  services: {},
  policies: [],
  canonicalName: "",
  canonicalRevision: "",
  workloadName: "",
  workloadType: "pod",
  ...more,
});
const service = (name: string, more: Partial<MeshService> = {}): MeshService => ({
  name,
  namespace: "shop",
  hostname: `${name}.shop`,
  aliases: [],
  addresses: [],
  ports: [],
  subjectAltNames: [],
  trafficDistribution: "Any",
  publishNotReady: false,
  isHeadless: false,
  ...more,
});
const policy = (name: string, namespace: string, scope: Policy["scope"]): Policy => ({
  name,
  namespace,
  scope,
  action: "allow",
  groups: [],
});

describe("a replica", () => {
  it("forgets old addresses, names and services of a row that changed", () => {
    const replica = new MeshReplica();
    replica.setWorkload(workload("w", { services: { "shop/x.shop": [] } }));
    replica.setWorkload(workload("w", { addresses: ["10.0.0.2"], services: { "shop/y.shop": [] } }));
    expect(replica.workloadByAddress("n1", "10.0.0.1")).toBeUndefined();
    expect(replica.workloadByAddress("n1", "10.0.0.2")?.uid).toBe("w");
    expect(replica.workloadByAddress("n2", "10.0.0.2")).toBeUndefined();
    expect(replica.endpointsOf("shop/x.shop")).toEqual([]);
    expect(replica.endpointsOf("shop/y.shop")).toHaveLength(1);
    replica.setService(service("x", { aliases: ["old"], exportedAs: "old.global" }));
    replica.setService(service("x", { aliases: ["new"], exportedAs: "new.global" }));
    expect(replica.serviceByHostname("old")).toBeUndefined();
    expect(replica.serviceByHostname("new")?.name).toBe("x");
    expect(replica.servicesByExport("old.global")).toEqual([]);
    expect(replica.servicesByExport("new.global")).toHaveLength(1);
  });

  it("answers the same whatever the order of arrival", () => {
    const rows = [workload("b"), workload("a")];
    for (const order of [rows, [...rows].reverse()]) {
      const replica = new MeshReplica();
      for (const row of order) replica.setWorkload(row);
      expect(replica.workloadByAddress("n1", "10.0.0.1")?.uid).toBe("a");
    }
  });

  it("finds an address that is valid on every network, after one of the own network", () => {
    const replica = new MeshReplica();
    replica.setService(service("everywhere", { addresses: [{ network: "", address: "240.240.0.1" }] }));
    expect(replica.serviceByAddress("n1", "240.240.0.1")?.name).toBe("everywhere");
    replica.setService(service("here", { addresses: [{ network: "n1", address: "240.240.0.1" }] }));
    expect(replica.serviceByAddress("n1", "240.240.0.1")?.name).toBe("here");
  });

  it("knows which policies apply to a workload", () => {
    const replica = new MeshReplica();
    replica.setPolicy(policy("all", "istio-system", "global"));
    replica.setPolicy(policy("ours", "shop", "namespace"));
    replica.setPolicy(policy("theirs", "bank", "namespace"));
    replica.setPolicy(policy("chosen", "shop", "workload"));
    replica.setPolicy(policy("other", "shop", "workload"));
    const applied = replica.policiesFor(workload("w", { policies: ["shop/chosen"] }));
    expect(applied.map(({ name }) => name)).toEqual(["all", "chosen", "ours"]);
  });

  it("tells once per batch what changed, with both the old and the new address and service", () => {
    const replica = new MeshReplica();
    replica.setWorkload(workload("w", { services: { "shop/x.shop": [] } }));
    const changes: ReplicaChange[] = [];
    const stop = replica.onChange((change) => changes.push(change));
    replica.batch(() => {
      replica.setWorkload(workload("w", { addresses: ["10.0.0.2"], services: { "shop/y.shop": [] } }));
      replica.setPolicy(policy("p", "shop", "namespace"));
      replica.removeService("shop/never");
    });
    expect(changes).toEqual([
      {
        services: new Set(["shop/x.shop", "shop/y.shop"]),
        workloads: new Set(["w"]),
        addresses: new Set(["n1/10.0.0.1", "n1/10.0.0.2"]),
        policies: new Set(["shop/p"]),
      },
    ]);
    stop();
    replica.removeWorkload("w");
    expect(changes).toHaveLength(1);
  });
});
