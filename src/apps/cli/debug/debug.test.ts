/** What explain, get and check print, from what the mesh's programs answer; no cluster is asked. */
import { describe, expect, it } from "vitest";
import type { CallExplanation } from "../../../core/explain/call.ts";
import { outcomeOf } from "../../../core/explain/outcome.ts";
import type { MeshService, Workload } from "../../../core/mesh/model.ts";
import { UsageError } from "../command.ts";
import { askedOf, isJson } from "../commands/explain.ts";
import { dataPathFinding, type NodeProbe } from "../multicluster/data-path-check.ts";
import { bad, findingText, good, warning } from "../multicluster/finding.ts";
import { overlap, type PairedFacts, pairFindings } from "../multicluster/pair-facts.ts";
import { explanationText } from "./explanation-text.ts";
import type { Explanation } from "./explanation.ts";
import { certificateTable, linkTable, policyTable, serviceTable, workloadTable } from "./row-tables.ts";

describe("what is asked", () => {
  it("is a pod and a place, however people write them", () => {
    const asked = { namespace: "shop", pod: "client", host: "web.shop.mesh.internal", port: 80 };
    expect(askedOf(["shop/client", "web.shop.mesh.internal:80"], "default")).toEqual(asked);
    expect(askedOf(["pod/client", "http://web.shop.mesh.internal:80/path"], "shop")).toEqual(asked);
    expect(askedOf(["deploy/client", "web.shop.mesh.internal:80"], "shop")).toEqual({
      namespace: "shop",
      deployment: "client",
      host: "web.shop.mesh.internal",
      port: 80,
    });
    expect(askedOf(["deploy/client", "web:80"], undefined)).toMatchObject({ namespace: "deploy", pod: "client" });
    expect(askedOf(["client", "10.0.0.1:8080"], "shop")).toMatchObject({ host: "10.0.0.1", port: 8080 });
  });

  it("is refused in a sentence when it is neither", () => {
    for (const words of [[], ["a"], ["a", "b"], ["a", "b:0"], ["a", "b:99999"], ["a/b/c", "d:1"], ["a", "b:1", "c"]]) {
      expect(() => askedOf(words, "default"), words.join(" ")).toThrow(UsageError);
    }
    expect(() => isJson("yaml")).toThrow(UsageError);
  });
});

const call: CallExplanation = {
  client: {
    namespace: "shop",
    name: "client",
    cluster: "cluster1",
    network: "cluster1",
    node: "node1",
    ip: "10.0.0.1",
    identity: "spiffe://cluster.local/ns/shop/sa/alice",
  },
  host: "web",
  port: 80,
  answer: { by: "mesh", addresses: ["240.0.0.1"], alias: "web.shop.svc.cluster.local" },
  address: "240.0.0.1",
  service: {
    key: "shop/web.shop.svc.cluster.local",
    hostname: "web.shop.svc.cluster.local",
    trafficDistribution: "Any",
    ports: ["http 80/http"],
  },
  route: "endpoints",
  envoyCluster: "s|240.0.0.1:80|x",
  candidates: [
    {
      uid: "a",
      namespace: "shop",
      name: "web-1",
      cluster: "cluster1",
      network: "cluster1",
      node: "node2",
      pods: 1,
      isUsed: true,
      priority: 0,
      ways: [{ kind: "mtls", address: "10.0.0.9:8080", weight: 1 }],
      verdict: { decision: "denied", policy: "shop/p", because: "DENY policy shop/p, rule 1, matches" },
    },
    {
      uid: "b",
      namespace: "shop",
      name: "web-2",
      cluster: "cluster1",
      network: "cluster1",
      node: "node1",
      pods: 1,
      isUsed: false,
      exclusion: "is not Ready",
      ways: [],
    },
  ],
};

const explanation = (fields: Partial<Explanation> = {}): Explanation => ({
  call,
  scope: undefined,
  envoy: { isHeld: true, endpoints: [], differences: [] },
  peers: [],
  unasked: {},
  outcome: outcomeOf(call),
  ...fields,
});

describe("an explanation", () => {
  it("tells name, service, endpoints, hops and what comes of it", () => {
    const text = explanationText(explanation());
    for (const part of [
      "Pod shop/client of cluster1 to web:80",
      "web is web.shop.svc.cluster.local, which is 240.0.0.1; the mesh knows it",
      "not published to other clusters",
      "denied: DENY policy shop/p, rule 1, matches",
      "out: it is not Ready",
      "  2  Envoy of node node1, as spiffe://cluster.local/ns/shop/sa/alice",
      "Envoy     holds just these endpoints",
      "Result    Denied by shop/web-1 of cluster1: DENY policy shop/p, rule 1, matches.",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("says when Envoy has something else, and which cluster was not looked at", () => {
    const envoy = { isHeld: true, endpoints: [], differences: ["Envoy lacks endpoint 10.0.0.9:8080."] };
    const text = explanationText(explanation({ envoy, unasked: { cluster2: "give its context" } }));
    expect(text).toContain("Envoy     Envoy lacks endpoint 10.0.0.9:8080. (It may be a moment behind; ask again.)");
    expect(text).toContain("In cluster2: not looked at; give its context");
  });

  it("of a name that nobody knows is short", () => {
    const lost = {
      ...call,
      answer: { by: "nobody", addresses: [] } as const,
      address: undefined,
      service: undefined,
      route: "unresolved" as const,
      candidates: [],
    };
    const text = explanationText(explanation({ call: lost, outcome: outcomeOf(lost), envoy: undefined }));
    expect(text).toContain("Result    The caller is told that the name does not exist.");
    expect(text).not.toContain("Endpoints");
  });
});

const service: MeshService = {
  name: "web",
  namespace: "shop",
  hostname: "web.shop.mesh.internal",
  aliases: [],
  addresses: [
    { network: "n", address: "240.0.0.1" },
    { network: "n", address: "2001:2::1" },
  ],
  ports: [],
  subjectAltNames: [],
  trafficDistribution: "PreferNetwork",
  publishNotReady: false,
  isHeadless: false,
};
const workload = (name: string, isHealthy: boolean): Workload => ({
  uid: `cluster1//Pod/shop/${name}`,
  name,
  namespace: "shop",
  cluster: "cluster1",
  network: "n",
  node: "node1",
  addresses: ["10.0.0.9"],
  trustDomain: "cluster.local",
  serviceAccount: "web",
  tunnel: "native",
  hostNetwork: false,
  locality: { region: "", zone: "", subzone: "" },
  isHealthy,
  capacity: 1,
  services: { "shop/web.shop.mesh.internal": [] },
  policies: [],
  canonicalName: name,
  canonicalRevision: "latest",
  workloadName: name,
  workloadType: "pod",
});

const linesOf = (text: string): readonly string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.replaceAll(/ {2,}/g, " | "));

describe("rows", () => {
  it("have ztunnel-config's columns, and more when wide", () => {
    const rows = [workload("a", true), workload("b", false)];
    expect(linesOf(serviceTable([service], rows, false))).toEqual([
      "NAMESPACE | SERVICE NAME | SERVICE VIP | WAYPOINT | ENDPOINTS",
      "shop | web | 240.0.0.1,2001:2::1 | None | 1/2",
    ]);
    expect(linesOf(workloadTable(rows, true))).toEqual([
      "NAMESPACE | POD NAME | ADDRESS | NODE | WAYPOINT | PROTOCOL | NETWORK | CLUSTER | READY",
      "shop | a | 10.0.0.9 | node1 | None | NATIVE | n | cluster1 | 1",
      "shop | b | 10.0.0.9 | node1 | None | NATIVE | n | cluster1 | 0",
    ]);
  });

  it("leave out what is no user's: the rows by which links are probed", () => {
    const probe = { ...workload("agent", true), uid: "cluster2/Probe/istio-gateways/x" };
    expect(linesOf(workloadTable([probe], false))).toHaveLength(1);
  });

  it("of policies, certificates and links say what is wrong", () => {
    const policy = { name: "p", namespace: "shop", scope: "workload", action: "deny", groups: [[], []] } as const;
    expect(linesOf(policyTable([policy]))[1]).toBe("shop | p | Deny | WorkloadSelector | 2");
    const lost = {
      node: "node1",
      type: "Leaf",
      isValid: false,
      identity: "spiffe://x",
      problem: "The control plane is away.",
    } as const;
    expect(certificateTable([lost])).toContain("Unavailable: The control plane is away.");
    const peer = {
      cluster: "cluster2",
      network: "n2",
      trustDomain: "td",
      gatewayServiceAccount: "istio-eastwest",
      region: "",
      dataPlane: [{ host: "1.2.3.4", port: 15008 }],
      controlPlane: [],
    };
    const state = { cluster: "cluster2", isConnected: false, isStale: true, cause: "It is silent." };
    const [, line] = linesOf(linkTable([{ gateway: "gw/x", peer, state, services: 4 }]));
    expect(line).toBe("cluster2 | n2 | spiffe://td/ns/gw/sa/istio-eastwest | 1.2.3.4:15008 | 4 | Stale: It is silent.");
  });
});

describe("findings", () => {
  it("are one line, with the way out of problems, and more when asked", () => {
    expect(findingText("Peers Check", good("fine", ["a", "b"]), false)).toBe("✅ Peers Check: fine\n");
    expect(findingText("Peers Check", good("fine", ["a"]), true)).toBe(
      "--- Peers Check ---\n✅ Peers Check: fine\n   a\n",
    );
    expect(findingText("X", bad("broken", "Mend it."), false)).toBe("❌ X: broken\n   Mend it.\n");
    expect(findingText("X", warning("odd"), false)).toBe("⚠️ X: odd\n");
  });

  const probe = (fields: Partial<NodeProbe> = {}): NodeProbe => ({
    from: "node1",
    cluster: "cluster2",
    node: "",
    via: "1.2.3.4:15008",
    isGood: true,
    ms: 3.4,
    reached: { cluster: "cluster2", node: "n", server: "s", client: "c" },
    ...fields,
  });

  it("of the data path are good only when every request came back and every link was tried", () => {
    expect(dataPathFinding("a", [probe()], ["cluster2"])).toMatchObject({
      level: "good",
      text: "requests went through to all nodes and to cluster2 (1 way, slowest 3 ms)",
    });
    const failed = dataPathFinding(
      "a",
      [probe(), probe({ isGood: false, problem: "Envoy answers 503" })],
      ["cluster2"],
    );
    expect(failed).toMatchObject({ level: "bad", text: "1 of 2 probes came to nothing" });
    expect(failed.fixes.join()).toContain("port 15008");
    // A link that no node knows a way for must not be green for lack of probes.
    expect(dataPathFinding("a", [], ["cluster2"])).toMatchObject({ level: "bad", text: "no way to cluster2" });
    expect(dataPathFinding("a", [], []).level).toBe("warning");
  });

  const facts = (fields: Partial<PairedFacts> = {}): PairedFacts => ({
    context: "one",
    cluster: "one",
    network: "one",
    trustDomain: "cluster.local",
    skipTrustDomainCheck: false,
    roots: ["root"],
    version: "1",
    podRanges: ["10.1.0.0/16"],
    serviceAddresses: ["10.96.0.1"],
    gatewayAddresses: ["1.1.1.1"],
    ...fields,
  });
  const other = facts({ cluster: "two", network: "two", podRanges: ["10.2.0.0/16"], gatewayAddresses: ["2.2.2.2"] });
  const levels = (a: PairedFacts, b: PairedFacts) =>
    Object.fromEntries(pairFindings(a, b).map(({ name, finding }) => [name.split(" ")[0], finding.level]));

  it("of two clusters see what cannot work together", () => {
    const fine = { Cluster: "good", Networks: "good", Addresses: "good", Intermediate: "good", Versions: "good" };
    expect(levels(facts(), other)).toEqual(fine);
    const cases: readonly (readonly [Partial<PairedFacts>, Record<string, string>])[] = [
      [{ cluster: "one" }, { Cluster: "bad" }],
      [{ network: "" }, { Networks: "bad" }],
      [{ network: "one" }, { Networks: "warning" }],
      [{ podRanges: ["10.1.4.0/24"] }, {}],
      [
        { podRanges: ["10.1.4.0/24"], network: "one" },
        { Networks: "warning", Addresses: "bad" },
      ],
      [{ gatewayAddresses: ["1.1.1.1"] }, { Addresses: "bad" }],
      [{ roots: ["another"] }, { Intermediate: "bad" }],
      [{ roots: [] }, { Intermediate: "bad" }],
      [{ trustDomain: "two.local" }, { Intermediate: "bad" }],
      [{ version: "2" }, { Versions: "warning" }],
    ];
    for (const [change, expected] of cases) {
      expect(levels(facts(), { ...other, ...change }), JSON.stringify(change)).toEqual({ ...fine, ...expected });
    }
    const skipping = { skipTrustDomainCheck: true };
    expect(levels(facts(skipping), { ...other, ...skipping, trustDomain: "two.local" })).toEqual(fine);
  });

  it("know whether ranges overlap", () => {
    expect(overlap("10.0.0.0/8", "10.2.3.0/24")).toBe(true);
    expect(overlap("10.0.0.0/16", "10.1.0.0/16")).toBe(false);
    expect(overlap("10.0.0.1", "10.0.0.1")).toBe(true);
    expect(overlap("10.0.0.0/8", "2001:db8::/32")).toBe(false);
  });
});
