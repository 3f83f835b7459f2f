/** What an agent keeps of a row is equal to the row, and shares what rows have in common. */
import { expect, test } from "vitest";
import type { MeshService, Workload } from "../../core/mesh/model.ts";
import { keptService, keptWorkload } from "./kept-rows.ts";

const workload = (): Workload => ({
  uid: "c2/Remote/default/shop/web",
  name: "web",
  namespace: "shop",
  cluster: "c2",
  network: "n2",
  node: "node-1",
  addresses: ["10.0.0.1"],
  trustDomain: "cluster.local",
  serviceAccount: "web",
  tunnel: "native",
  hostNetwork: true,
  locality: { region: "r", zone: "z", subzone: "s" },
  isHealthy: true,
  capacity: 3,
  services: { "shop/web.shop.mesh.internal": [{ servicePort: 80, targetPort: 8080 }] },
  remote: { gateways: [{ host: "192.0.2.1", port: 15008 }], hostname: "web.shop.mesh.internal", identities: ["a"] },
  policies: ["shop/deny"],
  canonicalName: "web",
  canonicalRevision: "v1",
  workloadName: "web",
  workloadType: "job",
});

const service = (): MeshService => ({
  name: "web",
  namespace: "shop",
  hostname: "web.shop.svc.cluster.local",
  aliases: ["web"],
  addresses: [{ network: "n1", address: "10.96.0.1" }],
  ports: [{ name: "http", port: 80, protocol: "http" }],
  subjectAltNames: ["a"],
  trafficDistribution: "PreferClose",
  publishNotReady: true,
  isHeadless: true,
  exportedAs: "web.shop.mesh.internal",
});

test("no field is lost, whether optional ones are there or not", () => {
  const { remote: _remote, ...pod } = workload();
  const { exportedAs: _exportedAs, ...plain } = service();
  for (const row of [workload(), pod]) expect(keptWorkload(row.uid, row)).toStrictEqual(row);
  for (const row of [service(), plain]) expect(keptService(row)).toStrictEqual(row);
});

test("equal parts of different rows are kept once", () => {
  const [one, other] = [workload(), { ...workload(), uid: "c2/Remote/default/shop/web/2" }];
  const [first, second] = [keptWorkload(one.uid, one), keptWorkload(other.uid, other)];
  expect(second.services).toBe(first.services);
  expect(second.remote?.gateways).toBe(first.remote?.gateways);
  expect(keptService(service()).ports).toBe(keptService(service()).ports);
});
