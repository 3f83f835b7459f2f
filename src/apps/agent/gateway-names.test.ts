/** Names are wanted as long as a row holds them, and told only when they change. */
import { expect, it } from "vitest";
import type { Workload } from "../../core/mesh/model.ts";
import { MeshReplica } from "../../core/mesh/replica.ts";
import { GatewayNames } from "./gateway-names.ts";

const remote = (service: string, hosts: readonly string[], capacity = 1): Workload => ({
  uid: `cluster2/Remote/default/shop/${service}`,
  name: service,
  namespace: "shop",
  cluster: "cluster2",
  network: "cluster2",
  node: "",
  addresses: [],
  trustDomain: "cluster.local",
  serviceAccount: "default",
  tunnel: "native",
  hostNetwork: false,
  locality: { region: "", zone: "", subzone: "" },
  isHealthy: true,
  capacity,
  services: {},
  policies: [],
  canonicalName: service,
  canonicalRevision: "latest",
  workloadName: service,
  workloadType: "deployment",
  remote: { gateways: hosts.map((host) => ({ host, port: 15008 })), hostname: service, identities: [] },
});

it("follows the names of peers' gateways through changes of the model", () => {
  const replica = new MeshReplica();
  const names = new GatewayNames();
  const wanted: string[] = [];
  replica.onChange((change) => {
    const all = names.after(replica, change);
    wanted.push(all === undefined ? "-" : [...all].join(" "));
  });
  replica.setWorkload(remote("cart", ["172.18.0.9"]));
  replica.setWorkload(remote("cart", ["a.example.com"]));
  replica.setWorkload(remote("cart", ["a.example.com"], 7));
  replica.setWorkload(remote("web", ["a.example.com", "b.example.com"]));
  replica.removeWorkload("cluster2/Remote/default/shop/cart");
  replica.setWorkload(remote("web", ["172.18.0.9", "b.example.com"]));
  replica.removeWorkload("cluster2/Remote/default/shop/web");
  expect(wanted).toEqual([
    "-",
    "a.example.com",
    "-",
    "a.example.com b.example.com",
    "a.example.com b.example.com",
    "b.example.com",
    "",
  ]);
});
