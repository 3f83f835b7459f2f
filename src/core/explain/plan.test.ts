/** What a link would change, from the objects of two small clusters. */
import { describe, expect, it } from "vitest";
import type { Gateway } from "../api/mesh-kinds.ts";
import type { Export } from "../mesh/model.ts";
import { type ClusterObjects, planDirection } from "./plan.ts";

const settings = (cluster: string) => ({
  cluster,
  network: cluster,
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  ipAutoallocate: true,
  skipTrustDomainCheck: false,
});

const cluster = (
  name: string,
  protocol: string,
  labels: Record<string, string>,
  distribution: string,
): ClusterObjects => ({
  settings: settings(name),
  peerExports: {} satisfies Record<string, Export>,
  objects: {
    namespaces: [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } },
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    ],
    services: [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: {
          name: "web",
          namespace: "shop",
          labels,
          annotations: { "networking.istio.io/traffic-distribution": distribution },
        },
        spec: {
          clusterIP: "10.96.0.1",
          selector: { app: "web" },
          ports: [{ name: `${protocol}-web`, port: 80, protocol: "TCP" }],
        },
      } as never,
    ],
    nodes: [],
    pods: [],
    serviceEntries: [],
    workloadEntries: [],
    gateways: [],
    gatewayClasses: [],
    segments: [],
    authorizationPolicies: [],
    peerAuthentications: [],
  },
});

const linkTo = (name: string): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    name: `istio-remote-peer-${name}`,
    namespace: "istio-gateways",
    labels: { "topology.istio.io/cluster": name, "topology.istio.io/network": name },
  },
  spec: {
    gatewayClassName: "istio-remote",
    addresses: [{ type: "IPAddress", value: "192.0.2.1" }],
    listeners: [{ name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } }],
  },
});

describe("a plan", () => {
  const published = { "solo.io/service-scope": "global" };

  it("says what becomes visible, under which name", () => {
    const from = cluster("cluster1", "http", {}, "Any");
    const plan = planDirection(from, cluster("cluster2", "http", published, "Any"), linkTo("cluster2"));
    expect(plan.services).toMatchObject([
      {
        name: "web",
        hostname: "web.shop.mesh.internal",
        scope: "global",
        isJoined: false,
        readyPods: 0,
        differences: [],
      },
    ]);
    expect(plan.problems).toEqual([]);
  });

  it("finds ports and distributions that differ where both have the service", () => {
    const from = cluster("cluster1", "http", published, "PreferNetwork");
    const plan = planDirection(from, cluster("cluster2", "tcp", published, "Any"), linkTo("cluster2"));
    const [service] = plan.services;
    expect(service?.isJoined).toBe(true);
    expect(service?.differences).toEqual([
      "Port 80 of shop/web is http here and tcp in cluster2; make them equal.",
      "Traffic distribution of shop/web is PreferNetwork here and Any in cluster2; each cluster follows its own.",
    ]);
    expect(plan.problems.map(({ reason }) => reason)).toEqual(["PortConflict"]);
  });

  it("tells a local name that will lead to the other cluster", () => {
    const takeover = { ...published, "solo.io/service-takeover": "true" };
    const without = cluster("cluster1", "http", {}, "Any");
    const from = { ...without, objects: { ...without.objects, services: [] } };
    const plan = planDirection(from, cluster("cluster2", "http", takeover, "Any"), linkTo("cluster2"));
    expect(plan.services[0]?.takesOver).toBe("web.shop.svc.cluster.local");
  });

  it("sees nothing of what is not published, and says what stays hidden", () => {
    const hidden = { "solo.io/service-scope": "segment" };
    const from = cluster("cluster1", "http", {}, "Any");
    expect(planDirection(from, cluster("cluster2", "http", {}, "Any"), linkTo("cluster2")).services).toEqual([]);
    const other = cluster("cluster2", "http", hidden, "Any");
    const segment = {
      apiVersion: "admin.solo.io/v1alpha1",
      kind: "Segment",
      metadata: { name: "prod", namespace: "istio-system" },
      spec: { domain: "prod.internal" },
    };
    const system = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "istio-system", labels: { "admin.solo.io/segment": "prod" } },
    };
    const inProd = { ...other, objects: { ...other.objects, segments: [segment], namespaces: [system] } };
    const plan = planDirection(from, inProd, linkTo("cluster2"));
    expect([plan.services, plan.hidden]).toEqual([
      [],
      ["Service shop/web stays hidden: its scope is segment prod, and this cluster is in default."],
    ]);
  });
});
