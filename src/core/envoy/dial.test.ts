/** Calls read off the resources: from a pod to an address, which endpoints in which order, by which way, as whom. */
import { describe, expect, it } from "vitest";
import type { MeshService, TrafficDistribution, Workload } from "../mesh/model.ts";
import { MeshReplica } from "../mesh/replica.ts";
import { dialCluster, dialEndpoints } from "./dial.ts";
import { sniClusterName, sniOf } from "./names.ts";
import { sniCluster, sniEndpoints } from "./gateway.ts";
import type { EnvoyResource } from "./resource.ts";
import type { LocalPod, NodeView } from "./view.ts";

const home = { region: "eu", zone: "eu-1", subzone: "" };
const me = "spiffe://cluster.local/ns/shop/sa/web";
const key = "shop/cart.shop.mesh.internal";
const ports = { [key]: [{ servicePort: 80, targetPort: 8080 }] };

const pod = (name: string, more: Partial<Workload> = {}): Workload => ({
  uid: `c1//Pod/shop/${name}`,
  name,
  namespace: "shop",
  cluster: "c1",
  network: "n1",
  node: "node-2",
  addresses: [`10.0.0.${name.length}`],
  trustDomain: "cluster.local",
  serviceAccount: "cart",
  tunnel: "native",
  hostNetwork: false,
  locality: home,
  isHealthy: true,
  capacity: 1,
  services: ports,
  policies: [],
  canonicalName: "cart",
  canonicalRevision: "latest",
  workloadName: "cart",
  workloadType: "deployment",
  ...more,
});
const remote = (cluster: string, more: Partial<Workload> = {}): Workload => ({
  ...pod(cluster),
  uid: `${cluster}/Remote/default/shop/cart`,
  cluster,
  network: `${cluster}-net`,
  node: "",
  addresses: [],
  capacity: 4,
  remote: {
    gateways: [
      { host: "172.0.0.1", port: 15008 },
      { host: "172.0.0.2", port: 15008 },
    ],
    hostname: "cart.shop.mesh.internal",
    identities: ["spiffe://cluster.local/ns/shop/sa/cart-far"],
  },
  ...more,
});
const service = (more: Partial<MeshService> = {}): MeshService => ({
  name: "cart",
  namespace: "shop",
  hostname: "cart.shop.mesh.internal",
  aliases: [],
  addresses: [{ network: "n1", address: "240.240.0.1" }],
  ports: [{ name: "http", port: 80, protocol: "http" }],
  subjectAltNames: [],
  trafficDistribution: "PreferNetwork",
  publishNotReady: false,
  isHeadless: false,
  ...more,
});

function world(
  workloads: readonly Workload[],
  more: Partial<MeshService> = {},
  pods: readonly LocalPod[] = [],
): NodeView {
  const replica = new MeshReplica();
  replica.setService(service(more));
  for (const workload of workloads) replica.setWorkload(workload);
  return {
    node: "node-1",
    cluster: "c1",
    network: "n1",
    locality: home,
    trustDomain: "cluster.local",
    podsByUid: new Map(pods.map((one) => [one.uid, one])),
    replica,
  };
}
const local = (name: string, isDraining = false): LocalPod => ({
  uid: `uid-${name}`,
  namespace: "shop",
  name,
  serviceAccount: "cart",
  isDraining,
  identity: "spiffe://cluster.local/ns/shop/sa/cart",
  ip: "10.0.0.5",
  netnsPath: `/run/netns/${name}`,
});

// What the resources of dial.ts look like, as far as a call needs it.
interface Tls {
  readonly typed_config: {
    readonly sni: string;
    readonly common_tls_context: {
      readonly tls_certificate_sds_secret_configs: readonly { readonly name: string }[];
      readonly combined_validation_context: {
        readonly default_validation_context: {
          readonly match_typed_subject_alt_names: readonly { readonly matcher: { readonly exact: string } }[];
        };
      };
    };
  };
}
interface Cluster {
  readonly type: string;
  readonly transport_socket: Tls;
  readonly transport_socket_matches: readonly {
    readonly match: { readonly group: string };
    readonly transport_socket: Tls & { readonly name: string };
  }[];
}
interface LbEndpoint {
  readonly endpoint: {
    readonly address: {
      readonly socket_address?: { readonly address: string; readonly port_value: number };
      readonly envoy_internal_address?: { readonly server_listener_name: string; readonly endpoint_id: string };
    };
  };
  readonly metadata: {
    readonly filter_metadata: { readonly "envoy.transport_socket_match": { readonly group: string } };
  };
  readonly load_balancing_weight: number;
}
interface Assignment {
  readonly endpoints: readonly { readonly priority: number; readonly lb_endpoints: readonly LbEndpoint[] }[];
}

/** `priority way to weight` for each endpoint. */
function call(view: NodeView, to: string, identity = me): readonly string[] | "passthrough" {
  const name = `s|${to}|${identity}`;
  // Both are made by dial.ts, whose form the interfaces above describe.
  const cluster = dialCluster(view, name)?.resource as unknown as Cluster;
  if (cluster.type === "ORIGINAL_DST") return "passthrough";
  const assignment = dialEndpoints(view, name)?.resource as unknown as Assignment;
  return assignment.endpoints.flatMap(({ priority, lb_endpoints: endpoints }) =>
    endpoints.map((one) => `${priority} ${wayOf(cluster, one)} x${one.load_balancing_weight}`),
  );
}

function wayOf(cluster: Cluster, { endpoint, metadata }: LbEndpoint): string {
  const { socket_address: socket, envoy_internal_address: internal } = endpoint.address;
  if (internal) return `${internal.server_listener_name} ${internal.endpoint_id}`;
  const to = `${socket?.address}:${socket?.port_value}`;
  const { group } = metadata.filter_metadata["envoy.transport_socket_match"];
  const transport = cluster.transport_socket_matches.find(({ match }) => match.group === group)?.transport_socket;
  if (transport?.name === "raw") return `plaintext ${to}`;
  const { sni, common_tls_context: tls } = (transport ?? cluster.transport_socket).typed_config;
  const accounts = tls.combined_validation_context.default_validation_context.match_typed_subject_alt_names;
  const peers = accounts.map(({ matcher }) => matcher.exact.split("/sa/")[1]).join(",");
  const as = tls.tls_certificate_sds_secret_configs[0]?.name.split("/sa/")[1];
  return `${as} to ${peers} ${sni} ${to}`;
}

const tcp = (host: string, port = 80) => `${host}:${port}`;
const vip = tcp("240.240.0.1");
const sni = sniOf(80, "cart.shop.mesh.internal");

describe("a call to a service", () => {
  it("goes to the node's own pods directly, to others by TLS, and abroad last, split over the gateways", () => {
    const view = world([pod("here", { node: "node-1" }), pod("other"), remote("c2")], {}, [local("here")]);
    expect(call(view, vip)).toEqual([
      "0 p|uid-here 10.0.0.4:8080 x1",
      `0 web to cart ${sni} 10.0.0.5:8080 x1`,
      `1 web to cart-far ${sni} 172.0.0.1:15008 x2`,
      `1 web to cart-far ${sni} 172.0.0.2:15008 x2`,
    ]);
  });

  it("lets each endpoint prove only its own identity", () => {
    const view = world([pod("ab", { serviceAccount: "blue" }), pod("abc", { serviceAccount: "green" })]);
    expect(call(view, vip)).toEqual([
      `0 web to blue ${sni} 10.0.0.2:8080 x1`,
      `0 web to green ${sni} 10.0.0.3:8080 x1`,
    ]);
  });

  it("leaves out what is not ready, what drains, and peers that may be anyone", () => {
    const unready = pod("ab", { isHealthy: false });
    const anyone = remote("c2", {
      remote: { gateways: [{ host: "172.0.0.1", port: 1 }], hostname: "x", identities: [] },
    });
    const draining = pod("drain", { node: "node-1" });
    expect(call(world([unready, anyone, draining], {}, [local("drain", true)]), vip)).toEqual([]);
    expect(call(world([unready], { publishNotReady: true }), vip)).toHaveLength(1);
  });

  it.each<[TrafficDistribution, string[]]>([
    ["Any", ["0", "0", "0", "0"]],
    ["PreferNetwork", ["0", "0", "0", "1"]],
    ["PreferRegion", ["0", "0", "1", "2"]],
    ["PreferClose", ["0", "0", "1", "2"]],
    ["PreferSameNode", ["0", "1", "2", "3"]],
  ])("with %s ranks by nearness", (trafficDistribution, priorities) => {
    const far = { region: "us", zone: "us-1", subzone: "" };
    const gateways = [{ host: "172.0.0.1", port: 15008 }];
    const view = world(
      [
        pod("a", { node: "node-1" }),
        pod("ab"),
        pod("abc", { locality: far }),
        remote("c2", {
          locality: far,
          remote: { gateways, hostname: "cart.shop.mesh.internal", identities: ["spiffe://x"] },
        }),
      ],
      { trafficDistribution },
    );
    const calls = call(view, vip);
    expect(calls === "passthrough" ? [] : calls.map((one) => one.split(" ")[0])).toEqual(priorities);
  });

  it("with SameNode takes no endpoint of another node, even when the node has none", () => {
    const strict = { trafficDistribution: "SameNode" } as const;
    expect(call(world([pod("a", { node: "node-1" }), pod("ab")], strict), vip)).toHaveLength(1);
    expect(call(world([pod("ab")], strict), vip)).toEqual([]);
  });

  it("keeps a Kubernetes Service outside the mesh as it is, but not a name of the mesh", () => {
    const unmeshed = pod("ab", { tunnel: "none" });
    const hostname = "cart.shop.svc.cluster.local";
    const inKubernetes = world([{ ...unmeshed, services: { [`shop/${hostname}`]: ports[key] ?? [] } }], { hostname });
    expect(call(inKubernetes, vip)).toBe("passthrough");
    expect(call(world([unmeshed]), vip)).toEqual(["0 plaintext 10.0.0.2:8080 x1"]);
  });

  it("goes to every address of a gateway's name, each once, and nowhere while the name has none", () => {
    const gateways = [
      { host: "gw.example.com", port: 15008 },
      { host: "172.0.0.1", port: 15008 },
    ];
    const remoteTarget = { gateways, hostname: "cart.shop.mesh.internal", identities: ["spiffe://td/ns/x/sa/far"] };
    const view = world([remote("c2", { remote: remoteTarget })]);
    expect(call(view, vip)).toEqual([`0 web to far ${sni} 172.0.0.1:15008 x4`]);
    const addressesByName = new Map([["gw.example.com", ["172.0.0.1", "172.0.0.2"]]]);
    expect(call({ ...view, addressesByName }, vip)).toEqual([
      `0 web to far ${sni} 172.0.0.1:15008 x2`,
      `0 web to far ${sni} 172.0.0.2:15008 x2`,
    ]);
    // The Envoy cluster is ready for the name before it is resolved.
    const onlyName = world([remote("c2", { remote: { ...remoteTarget, gateways: gateways.slice(0, 1) } })]);
    expect(call(onlyName, vip)).toEqual([]);
    const name = `s|${vip}|${me}`;
    expect(dialCluster({ ...onlyName, addressesByName }, name)).toEqual(dialCluster(onlyName, name));
  });

  it("never sends in the clear what only a ztunnel could take", () => {
    expect(call(world([pod("ab", { tunnel: "hbone" })]), vip)).toEqual([]);
  });
});

describe("a call to an address", () => {
  const view = world([pod("ab"), pod("abc", { tunnel: "none" })]);

  it("goes by TLS to a captured pod, whatever the port", () => {
    expect(call(view, tcp("10.0.0.2", 9999))).toEqual([`0 web to cart ${sniOf(9999, "ab.shop")} 10.0.0.2:9999 x1`]);
  });

  it("goes on as it is to everything else", () => {
    expect(call(view, tcp("10.0.0.3"))).toBe("passthrough");
    expect(call(view, tcp("93.184.216.34", 443))).toBe("passthrough");
  });

  it("is not understood when it is not one", () => {
    expect(dialCluster(view, "s|nonsense|x")).toBeUndefined();
    expect(dialCluster(view, "inbound")).toBeUndefined();
  });
});

describe("a connection at the gateway", () => {
  const own = pod("ab");
  const replica = world([own, pod("abc", { isHealthy: false }), remote("c3")], {
    exportedAs: "cart.shop.mesh.internal",
  }).replica;
  const view = { cluster: "c1", network: "n1", replica, controlPlane: { host: "istiod", port: 15012 } };
  const addresses = (resource: EnvoyResource | undefined) =>
    (resource?.resource as unknown as Assignment | undefined)?.endpoints.flatMap(({ lb_endpoints: endpoints }) =>
      endpoints.map(({ endpoint }) => endpoint.address.socket_address?.address),
    );

  it("reaches the ready pods of this cluster and never another gateway", () => {
    expect(addresses(sniEndpoints(view, sniClusterName(sni)))).toEqual(["10.0.0.2"]);
    expect(addresses(sniEndpoints(view, `${sniClusterName(sni)}|20260131PM`))).toEqual(["10.0.0.2"]);
  });

  it("is closed when the name or the port is not exported", () => {
    for (const name of [
      sniOf(81, "cart.shop.mesh.internal"),
      sniOf(80, "other.shop.mesh.internal"),
      "cart",
      "",
      `${sni}|20260131PM|x`,
    ]) {
      expect(sniCluster(view, sniClusterName(name))).toBeUndefined();
    }
  });
});
