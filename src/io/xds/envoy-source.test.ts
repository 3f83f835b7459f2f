/** Everything we make fits the schema of the very Envoy that takes it, and only what changed is pushed. */
import { beforeAll, describe, expect, it } from "vitest";
import { extractEnvoySchema } from "../../../scripts/extract-envoy-schema.mjs";
import { bootstrap } from "../../core/envoy/bootstrap.ts";
import { envoyPushOrder, envoyType } from "../../core/envoy/resource.ts";
import { gatewayResourceSet, nodeResourceSet } from "../../core/envoy/resource-set.ts";
import { trustSecretName } from "../../core/envoy/names.ts";
import type { LocalPod, SecretSource } from "../../core/envoy/view.ts";
import type { MeshService, Policy, Workload } from "../../core/mesh/model.ts";
import { MeshReplica } from "../../core/mesh/replica.ts";
import { systemHost } from "../host/host.ts";
import { EnvoySource } from "./envoy-source.ts";
import { EnvoySchema } from "./schema.ts";

const web = "spiffe://cluster.local/ns/shop/sa/web";
const dial = `s|240.240.0.1:80|${web}`;
const locality = { region: "", zone: "", subzone: "" };
const key = "shop/cart.shop.mesh.internal";

const pod: LocalPod = {
  uid: "1",
  namespace: "shop",
  name: "web",
  serviceAccount: "web",
  identity: web,
  ip: "10.0.0.1",
  netnsPath: "/run/netns/web",
  isDraining: false,
};
const workload = (name: string, ip: string, more: Partial<Workload> = {}): Workload => ({
  uid: `c1//Pod/shop/${name}`,
  name,
  namespace: "shop",
  cluster: "c1",
  network: "n1",
  node: "node-1",
  addresses: [ip],
  trustDomain: "cluster.local",
  serviceAccount: name,
  tunnel: "native",
  hostNetwork: false,
  locality,
  isHealthy: true,
  capacity: 1,
  services: {
    [key]: [
      {
        servicePort: 80,
        targetPort: 8080,
      },
    ],
  },
  policies: [],
  canonicalName: name,
  canonicalRevision: "latest",
  workloadName: name,
  workloadType: "deployment",
  ...more,
});
const service: MeshService = {
  name: "cart",
  namespace: "shop",
  hostname: "cart.shop.mesh.internal",
  aliases: [],
  subjectAltNames: [],
  addresses: [
    {
      network: "n1",
      address: "240.240.0.1",
    },
  ],
  ports: [
    {
      name: "http",
      port: 80,
      protocol: "http",
    },
  ],
  trafficDistribution: "PreferNetwork",
  publishNotReady: false,
  isHeadless: false,
  exportedAs: "cart.shop.mesh.internal",
};
const policy: Policy = {
  name: "p",
  namespace: "shop",
  scope: "namespace",
  action: "deny",
  groups: [
    [
      [
        {
          namespaces: [
            {
              kind: "prefix",
              value: "ba",
            },
          ],
          notNamespaces: [{ kind: "presence" }],
          principals: [
            {
              kind: "exact",
              value: "cluster.local/ns/bank/sa/b",
            },
          ],
          notPrincipals: [
            {
              kind: "suffix",
              value: "/sa/z",
            },
          ],
          sourceIps: ["10.0.0.0/8", "2001:db8::/32"],
          notSourceIps: ["10.1.2.3"],
          destinationIps: ["10.0.0.1"],
          notDestinationIps: ["10.9.0.0/16"],
          destinationPorts: [80, 81],
          notDestinationPorts: [82],
        },
        {
          namespaces: [],
          notNamespaces: [],
          principals: [],
          sourceIps: [],
          notSourceIps: [],
          destinationIps: [],
          notDestinationIps: [],
          destinationPorts: [],
          notDestinationPorts: [],
          notPrincipals: [{ kind: "presence" }],
        },
      ],
    ],
  ],
};
const secrets: SecretSource = {
  certificateOf: (identity) => (identity === web ? { certificateChain: "chain", privateKey: "key" } : undefined),
  bundlesByTrustDomain: () => new Map([["cluster.local", "root"]]),
};

let schema: EnvoySchema;
beforeAll(() => {
  schema = EnvoySchema.load(extractEnvoySchema());
}, 60_000);

function world() {
  const replica = new MeshReplica();
  replica.setService(service);
  replica.setWorkload(workload("web", "10.0.0.1"));
  replica.setWorkload(workload("cart", "10.0.0.2", { node: "node-2" }));
  const podsByUid = new Map([[pod.uid, pod]]);
  const view = {
    node: "node-1",
    cluster: "c1",
    network: "n1",
    locality,
    trustDomain: "cluster.local",
    podsByUid,
    replica,
  };
  const pushes: string[] = [];
  const errors: string[] = [];
  const push = (verb: string) => (type: string, names: Iterable<string>) => {
    for (const name of names) pushes.push(`${verb} ${type.split(".").at(-1)} ${name}`);
  };
  const host = systemHost("error");
  const log = { ...host.log, error: (_event: string, fields?: object) => errors.push(JSON.stringify(fields)) };
  const source = new EnvoySource(
    { ...host, log },
    schema,
    nodeResourceSet(() => view, secrets, { accessLogPath: "/dev/stdout" }),
    { changed: push("changed"), resend: push("resend"), withdraw: push("withdraw") },
  );
  replica.onChange((change) => source.replicaChanged(change));
  for (const type of [envoyType.cluster, envoyType.endpoints]) source.asked(type, dial);
  for (const name of [web, trustSecretName]) source.asked(envoyType.secret, name);
  pushes.length = 0;
  return { replica, source, podsByUid, pushes, errors };
}

describe("the resources of a node", () => {
  it("fit the schema of the Envoy that takes them", () => {
    const { source, replica, errors } = world();
    replica.setPolicy(policy);
    replica.setWorkload(
      workload("far", "10.9.9.9", {
        network: "n2",
        remote: {
          gateways: [{ host: "172.0.0.1", port: 15008 }],
          hostname: "cart.shop.mesh.internal",
          identities: [web],
        },
      }),
    );
    replica.setWorkload(workload("plain", "10.0.0.3", { tunnel: "none" }));
    expect(errors).toEqual([]);
    for (const name of [dial, `s|93.184.216.34:443|${web}`]) source.asked(envoyType.cluster, name);
    expect(source.get(envoyType.cluster, `s|93.184.216.34:443|${web}`)).toBeDefined();
    for (const type of envoyPushOrder)
      for (const name of source.names(type)) expect(source.get(type, name)).toBeDefined();
    expect(source.get(envoyType.endpoints, dial)).toBeDefined();
    expect(source.get(envoyType.secret, web)).toBeDefined();
    expect(source.get(envoyType.secret, trustSecretName)).toBeDefined();
    expect(errors).toEqual([]);
  });

  it("include no gate that Envoy refuses to change, until it comes out different", () => {
    const { source, replica, pushes, errors } = world();
    const [gate, inbound] = ["p|1", "in|1"];
    expect([...source.names(envoyType.listener)]).toContain(gate);
    const told: string[] = [];
    source.closedListener = {
      closed: (name, message) => told.push(`closed ${name} ${message}`),
      accepted: (name) => told.push(`accepted ${name}`),
    };
    replica.setPolicy(policy);
    pushes.length = 0;
    source.refused({ typeUrl: envoyType.listener, names: [gate, inbound], message: `${gate}: no such thing` });
    expect([...source.names(envoyType.listener)]).not.toContain(gate);
    expect([...source.names(envoyType.listener)]).toContain(inbound);
    expect(pushes).toEqual([`changed Listener ${gate}`]);
    expect(errors).toHaveLength(1);
    source.refresh();
    expect([...source.names(envoyType.listener)]).not.toContain(gate);
    replica.removePolicy("shop/p");
    expect([...source.names(envoyType.listener)]).toContain(gate);
    source.accepted([gate, inbound]);
    expect(told).toEqual([`closed ${gate} ${gate}: no such thing`, `accepted ${gate}`]);
  });

  it("of a gateway, and the bootstrap, fit too", () => {
    const { replica } = world();
    const view = {
      cluster: "c1",
      network: "n1",
      replica,
      controlPlane: { host: "tombolod.istio-system", port: 15012 },
    };
    const gateway = gatewayResourceSet(() => view);
    const sni = "sni|outbound_.80_._.cart.shop.mesh.internal";
    const onDemand = [envoyType.cluster, envoyType.endpoints].map((type) => gateway.onDemand(type, sni));
    expect(onDemand).not.toContain(undefined);
    for (const made of [...gateway.always(), ...onDemand]) {
      if (made) expect(schema.encodeResource(made.type, made.resource).length).toBeGreaterThan(10);
    }
    const started = bootstrap({
      nodeId: "n",
      cluster: "c",
      xdsSocketPath: "/x",
      admin: { host: "127.0.0.1", port: 15000 },
    });
    const type = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";
    expect(schema.encodeResource(type, started).length).toBeGreaterThan(10);
  });

  it("are pushed only when they come out different", () => {
    const { replica, pushes } = world();
    replica.setWorkload(workload("cart", "10.0.0.2", { node: "node-2", canonicalRevision: "v2" }));
    replica.setWorkload(workload("stranger", "10.0.0.7", { services: {} }));
    expect(pushes).toEqual([]);
    replica.setWorkload(workload("cart", "10.0.0.2", { node: "node-2", isHealthy: false }));
    expect(pushes).toEqual([`changed ClusterLoadAssignment ${dial}`]);
  });

  it("send the endpoints once more when their Envoy cluster changed", () => {
    const { replica, pushes } = world();
    replica.setWorkload(workload("cart", "10.0.0.2", { node: "node-2", serviceAccount: "other" }));
    expect(pushes).toEqual([
      `changed Cluster ${dial}`,
      `resend ClusterLoadAssignment ${dial}`,
      `changed ClusterLoadAssignment ${dial}`,
    ]);
  });

  it("follow the pods: those that go take their listeners along", () => {
    const { source, podsByUid, pushes } = world();
    podsByUid.clear();
    source.refresh();
    expect(pushes).toContain("changed Listener out|1");
    expect([...source.names(envoyType.listener)]).toEqual([]);
  });

  it("open no gate before the model knows the pod", () => {
    const { source, replica } = world();
    expect(source.isListed(envoyType.listener, "p|1")).toBe(true);
    replica.removeWorkload("c1//Pod/shop/web");
    expect(source.isListed(envoyType.listener, "p|1")).toBe(false);
  });
});

describe("a resource that does not fit", () => {
  it("is named, with what is wrong in it", () => {
    expect(() => schema.encodeResource(envoyType.cluster, { name: "cart", conect_timeout: "1s" })).toThrow(
      /Envoy resource Cluster "cart" does not fit the schema: .*conect_timeout/,
    );
    const unknown = { name: "l", listener_filters: [{ typed_config: { "@type": "type.googleapis.com/no.Such" } }] };
    expect(() => schema.encodeResource(envoyType.listener, unknown)).toThrow(/"l" .*no\.Such/);
  });
});
