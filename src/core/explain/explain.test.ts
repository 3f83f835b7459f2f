/** What is said of a call, without Envoy or a cluster: verdicts with their rule, endpoints with their rank, outcomes. */
import { describe, expect, it } from "vitest";
import type { LocalPod, NodeView } from "../envoy/view.ts";
import { anything } from "../mesh/authorization.ts";
import type { MeshService, Policy, PolicyMatch, Workload } from "../mesh/model.ts";
import { MeshReplica } from "../mesh/replica.ts";
import { explainCall } from "./call.ts";
import { compareWithEnvoy, heldEndpoints } from "./envoy-state.ts";
import { explainExport } from "./export.ts";
import { outcomeOf, questionsForPeers } from "./outcome.ts";
import { verdictOf } from "./verdict.ts";

const policy = (name: string, action: Policy["action"], ...matches: Partial<PolicyMatch>[]): Policy => ({
  name,
  namespace: "shop",
  scope: "namespace",
  action,
  groups: matches.map((match) => [[{ ...anything, ...match }]]),
});
const alice = "spiffe://cluster.local/ns/shop/sa/alice";
const exact = (identity: string) => ({ kind: "exact", value: identity.slice("spiffe://".length) }) as const;
const facts = { identity: alice, sourceIp: "10.0.0.1", destinationIp: "10.0.0.9", destinationPort: 8080 };

describe("a verdict", () => {
  it("names the rule that decides", () => {
    const deny = policy("no-alice", "deny", { principals: [exact("spiffe://x/y")] }, { principals: [exact(alice)] });
    expect(verdictOf([deny], facts)).toEqual({
      decision: "denied",
      policy: "shop/no-alice",
      because: "DENY policy shop/no-alice, rule 2, matches",
    });
    expect(verdictOf([policy("ports", "allow", { destinationPorts: [8080] })], facts)).toMatchObject({
      decision: "allowed",
      because: "ALLOW policy shop/ports, rule 1, matches",
    });
    expect(verdictOf([], facts)).toMatchObject({ decision: "allowed", because: "no policy applies to it" });
  });

  it("denies when no ALLOW matches, and a DENY wins over an ALLOW", () => {
    const allow = policy("alice-only", "allow", { principals: [exact(alice)] });
    expect(verdictOf([allow], { ...facts, identity: undefined })).toMatchObject({
      decision: "denied",
      because: "no rule of ALLOW policy shop/alice-only matches",
    });
    expect(verdictOf([allow, policy("never", "deny", {})], facts).decision).toBe("denied");
    // An ALLOW policy without rules allows nothing.
    expect(verdictOf([policy("nothing", "allow")], facts).decision).toBe("denied");
  });

  it("stays open when it depends on what is not known here", () => {
    const byAddress = policy("net", "allow", { sourceIps: ["10.0.0.0/24"] });
    expect(verdictOf([byAddress], facts).decision).toBe("allowed");
    expect(verdictOf([byAddress], { ...facts, sourceIp: "10.0.1.1" }).decision).toBe("denied");
    expect(verdictOf([byAddress], { ...facts, sourceIp: undefined }).decision).toBe("depends");
  });

  it("knows a client without identity from one with", () => {
    const strict = policy("istio_converted_static_strict", "deny", { notPrincipals: [{ kind: "presence" }] });
    expect(verdictOf([strict], facts).decision).toBe("allowed");
    expect(verdictOf([strict], { ...facts, identity: undefined })).toMatchObject({ decision: "denied" });
    expect(verdictOf([strict], { ...facts, identity: undefined }).because).toContain("PeerAuthentication");
  });
});

const nowhere = { region: "", zone: "", subzone: "" };
const key = "shop/web.shop.mesh.internal";
const ports = [{ servicePort: 80, targetPort: 8080 }];

const workload = (name: string, fields: Partial<Workload> = {}): Workload => ({
  uid: `cluster1//Pod/shop/${name}`,
  name,
  namespace: "shop",
  cluster: "cluster1",
  network: "cluster1",
  node: "node1",
  addresses: [],
  trustDomain: "cluster.local",
  serviceAccount: "web",
  tunnel: "native",
  hostNetwork: false,
  locality: nowhere,
  isHealthy: true,
  capacity: 1,
  services: { [key]: ports },
  policies: [],
  canonicalName: name,
  canonicalRevision: "latest",
  workloadName: name,
  workloadType: "pod",
  ...fields,
});

const web: MeshService = {
  name: "web",
  namespace: "shop",
  hostname: "web.shop.mesh.internal",
  aliases: [],
  addresses: [{ network: "cluster1", address: "240.0.0.1" }],
  ports: [{ name: "http", port: 80, protocol: "http" }],
  subjectAltNames: [],
  trafficDistribution: "PreferNetwork",
  publishNotReady: false,
  isHeadless: false,
};

const client: LocalPod = {
  uid: "uid-client",
  namespace: "shop",
  name: "client",
  serviceAccount: "alice",
  identity: alice,
  ip: "10.0.0.1",
  netnsPath: "/run/netns/client",
  isDraining: false,
};

function viewOf(workloads: readonly Workload[], policies: readonly Policy[] = []): NodeView {
  const replica = new MeshReplica();
  replica.setService(web);
  for (const row of workloads) replica.setWorkload(row);
  for (const row of policies) replica.setPolicy(row);
  const podsByUid = new Map([[client.uid, client]]);
  return {
    node: "node1",
    cluster: "cluster1",
    network: "cluster1",
    trustDomain: "cluster.local",
    locality: nowhere,
    podsByUid,
    replica,
  };
}

const near = workload("near", { addresses: ["10.0.0.9"], node: "node2" });
const sick = workload("sick", { addresses: ["10.0.0.10"], isHealthy: false });
const far = workload("web", {
  uid: "cluster2/Remote/default/shop/web",
  cluster: "cluster2",
  network: "cluster2",
  node: "",
  capacity: 3,
  remote: {
    gateways: [{ host: "198.18.2.200", port: 15008 }],
    hostname: "web.shop.mesh.internal",
    identities: ["spiffe://cluster.local/ns/shop/sa/web"],
  },
});
const question = {
  pod: { namespace: "shop", name: "client" },
  host: web.hostname,
  port: 80,
  answer: { by: "mesh", addresses: ["240.0.0.1"] },
} as const;

function callIn(view: NodeView, asked = question) {
  const call = explainCall(view, asked);
  if (call === undefined) throw new Error("the pod is not known");
  return call;
}

describe("a call", () => {
  it("shows every endpoint with its rank, or why it is out", () => {
    const call = callIn(viewOf([near, sick, far]));
    expect(call.route).toBe("endpoints");
    expect(call.candidates.map(({ name, priority, exclusion }) => [name, priority, exclusion])).toEqual([
      ["near", 0, undefined],
      ["sick", undefined, "is not Ready"],
      ["web", 1, undefined],
    ]);
    expect(call.candidates[2]).toMatchObject({
      pods: 3,
      ways: [{ kind: "gateway", address: "198.18.2.200:15008", weight: 3 }],
    });
  });

  it("ends at the endpoints of the first rank, with what their policies say", () => {
    const denied = callIn(viewOf([near, far], [policy("none", "allow")]));
    expect(outcomeOf(denied)).toMatchObject({
      kind: "destinations",
      destinations: [
        { name: "near", decision: "denied", because: "no rule of ALLOW policy shop/none matches", seenAs: alice },
      ],
    });
    expect(outcomeOf(callIn(viewOf([sick])))).toEqual({
      kind: "noEndpoint",
      because: "no endpoint can be used: sick is not Ready",
    });
  });

  it("behind a gateway is known once the peer was asked", () => {
    const call = callIn(viewOf([far]));
    expect(outcomeOf(call)).toMatchObject({ destinations: [{ decision: "unknown" }] });
    const [[cluster = "", asked] = []] = questionsForPeers(call);
    expect([cluster, asked]).toEqual(["cluster2", { hostname: "web.shop.mesh.internal", port: 80, ip: undefined }]);
    const there = new MeshReplica();
    there.setService({ ...web, exportedAs: web.hostname });
    there.setWorkload(
      workload("pod", {
        uid: "cluster2//Pod/shop/pod",
        cluster: "cluster2",
        network: "cluster2",
        addresses: ["10.9.0.1"],
      }),
    );
    there.setPolicy(policy("alice-only", "allow", { principals: [exact(alice)] }));
    const peer = explainExport(
      { cluster: "cluster2", network: "cluster2", replica: there },
      { hostname: "web.shop.mesh.internal", port: 80, identity: alice },
    );
    expect(outcomeOf(call, new Map([[cluster, peer]]))).toMatchObject({
      destinations: [{ name: "pod", cluster: "cluster2", decision: "allowed" }],
    });
  });

  it("of a pod outside the mesh goes where Kubernetes sends it, without identity", () => {
    const view = viewOf(
      [near, workload("stranger", { addresses: ["10.0.0.5"], tunnel: "none", services: {} })],
      [policy("alice-only", "allow", { principals: [exact(alice)] })],
    );
    const call = callIn(view, { ...question, pod: { namespace: "shop", name: "stranger" } as never });
    expect(call).toMatchObject({ route: "outside", envoyCluster: undefined, client: { identity: undefined } });
    expect(outcomeOf(call)).toMatchObject({ destinations: [{ decision: "denied", seenAs: undefined }] });
  });

  it("to a name without address, or from a pod that the node does not have, goes nowhere", () => {
    const call = callIn(viewOf([]), { ...question, answer: { by: "nobody", addresses: [] } as never });
    expect(outcomeOf(call)).toEqual({ kind: "unresolved" });
    expect(explainCall(viewOf([]), { ...question, pod: { namespace: "shop", name: "nobody" } })).toBeUndefined();
  });
});

describe("Envoy's state", () => {
  const page = (port: number, priority: number) => ({
    cluster_statuses: [
      {
        name: "c",
        host_statuses: [
          {
            address: { socket_address: { address: "10.0.0.9", port_value: port } },
            weight: 1,
            priority,
            health_status: { failed_outlier_check: true },
          },
        ],
      },
    ],
  });
  const { candidates } = callIn(viewOf([near]));

  it("is compared with the model, endpoint by endpoint", () => {
    expect(compareWithEnvoy(candidates, heldEndpoints(page(8080, 0), "c"))).toEqual({
      isHeld: true,
      endpoints: [{ address: "10.0.0.9:8080", priority: 0, weight: 1, isEjected: true }],
      differences: [],
    });
    expect(compareWithEnvoy(candidates, heldEndpoints(page(8080, 1), "c")).differences).toHaveLength(1);
    expect(compareWithEnvoy(candidates, heldEndpoints(page(9, 0), "c")).differences).toEqual([
      "Envoy lacks endpoint 10.0.0.9:8080.",
      "Envoy still has endpoint 10.0.0.9:9.",
    ]);
    expect(compareWithEnvoy(candidates, heldEndpoints(page(8080, 0), "other")).isHeld).toBe(false);
  });
});
