import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "../../../core/api/kube.ts";
import { planCluster } from "../network/addresses.ts";
import type { NodePlan } from "../network/addresses.ts";
import { placeAddresses } from "./balancer-addresses.ts";
import { proxiedPorts } from "./ports.ts";
import { nodeRules } from "./rules.ts";

const plan = planCluster({ sandboxId: "ab12", cluster: "c", index: 1, underlay: "198.18", nodes: 2 });
const [first, second] = plan.nodes as [NodePlan, NodePlan];

const service = (spec: Service["spec"], status?: Service["status"]): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop" },
  spec: { clusterIP: "10.96.0.7", ports: [{ name: "http", port: 80, nodePort: 30080 }], ...spec },
  ...(status === undefined ? {} : { status }),
});

type Endpoint = EndpointSlice["endpoints"][number];

const slice = (endpoints: Endpoint[]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "web-1", namespace: "shop", labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  endpoints,
  ports: [{ name: "http", port: 8080, protocol: "TCP" }],
});

const at = (address: string, node: NodePlan, conditions: Endpoint["conditions"] = { ready: true }): Endpoint => ({
  addresses: [address],
  nodeName: node.name,
  ...(conditions === undefined ? {} : { conditions }),
});

const rulesFor = (node: NodePlan, services: Service[], slices: EndpointSlice[]) =>
  nodeRules(plan, node, proxiedPorts(services, slices));

describe("rules of a node", () => {
  it("spreads a Service over its ready endpoints only", () => {
    const slices = [
      slice([at("10.11.1.2", first), at("10.11.2.2", second), at("10.11.2.3", second, { ready: false })]),
    ];
    const rules = rulesFor(first, [service({})], slices);
    expect(rules).toContain("numgen random mod 2 map { 0 : 10.11.1.2 . 8080, 1 : 10.11.2.2 . 8080 }");
    expect(rules).not.toContain("10.11.2.3");
  });

  it("keeps to endpoints that end but still serve when no other is left", () => {
    const ending = { ready: false, serving: true, terminating: true };
    expect(rulesFor(first, [service({})], [slice([at("10.11.1.2", first, ending)])])).toContain("10.11.1.2:8080");
  });

  it("refuses a Service without endpoints instead of leaving it unanswered", () => {
    const rules = rulesFor(first, [service({ type: "NodePort" })], []);
    expect(rules).toMatch(/set closed \{[^}]*10\.96\.0\.7 \. tcp \. 80/);
    expect(rules).toMatch(/set closed-node-ports \{[^}]*tcp \. 30080/);
    expect(rules).not.toMatch(/set open \{[^}]*10\.96\.0\.7/);
  });

  it("gives headless Services and external names no rules", () => {
    const rules = rulesFor(first, [service({ clusterIP: "None" }), service({ type: "ExternalName" })], []);
    expect(rules).not.toContain("shop/web");
  });

  it("keeps outside traffic on the node when the Service says Local", () => {
    const spec: Service["spec"] = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
    const balanced = service(spec, { loadBalancer: { ingress: [{ ip: "198.18.1.200" }] } });
    const slices = [slice([at("10.11.2.2", second)])];
    expect(rulesFor(first, [balanced], slices)).toMatch(/ip saddr 10\.11\.0\.0\/16 goto s1\n\s+drop/);
    expect(rulesFor(second, [balanced], slices)).toMatch(/ip saddr 10\.11\.0\.0\/16 goto s1\n\s+goto s2/);
  });
});

describe("LoadBalancer addresses", () => {
  const balanced = (local: boolean) =>
    proxiedPorts(
      [
        service(
          { type: "LoadBalancer", externalTrafficPolicy: local ? "Local" : "Cluster" },
          { loadBalancer: { ingress: [{ ip: "198.18.1.200" }] } },
        ),
      ],
      [slice([at("10.11.2.2", second)])],
    );
  const names = [first.name, second.name];
  const place = (local: boolean, ready: string[], before: [string, string][] = []) =>
    placeAddresses(balanced(local), names, (name) => ready.includes(name), new Map(before)).get("198.18.1.200");

  it("are on the first ready node, and leave a node that is not", () => {
    expect(place(false, names)).toBe(first.name);
    expect(place(false, [second.name], [["198.18.1.200", first.name]])).toBe(second.name);
  });

  it("stay where they are while that node is ready", () => {
    expect(place(false, names, [["198.18.1.200", second.name]])).toBe(second.name);
  });

  it("follow the endpoints of a Service that says Local", () => {
    expect(place(true, names, [["198.18.1.200", first.name]])).toBe(second.name);
  });
});
