/** Namespaces, garbage collection and nodes, over the fake API server. */
import { afterEach, describe, expect, it } from "vitest";
import { controlledBy, conditionOf, isDeleting } from "./pods.ts";
import { kinds } from "./kinds.ts";
import { deploymentOf, namespaceOf, serviceOf, sorted, startWorld, type World } from "./testing/world.ts";

const worlds: World[] = [];
const open = async (nodes?: readonly string[]): Promise<World> => {
  const world = await startWorld(nodes);
  worlds.push(world);
  return world;
};
afterEach(() => worlds.splice(0).forEach((world) => world.stop()));

const web = { name: "web", namespace: "default" };

describe("a namespace", () => {
  it("gets its service account and root certificate, and gets them again", async () => {
    const world = await open();
    await world.kube.create(kinds.namespaces, namespaceOf("shop"));
    await world.settle();
    const account = { name: "default", namespace: "shop" };
    const map = { name: "kube-root-ca.crt", namespace: "shop" };
    expect((await world.kube.get(kinds.configMaps, map)).data).toEqual({ "ca.crt": "PEM" });
    await world.kube.delete(kinds.serviceAccounts, account);
    await world.kube.patch(kinds.configMaps, map, { type: "merge", body: { data: { "ca.crt": "other" } } });
    await world.settle();
    await expect(world.kube.get(kinds.serviceAccounts, account)).resolves.toBeDefined();
    expect((await world.kube.get(kinds.configMaps, map)).data).toEqual({ "ca.crt": "PEM" });
  });

  it("that terminates loses all its content and then itself, but only when the last pod has ended", async () => {
    const world = await open();
    await world.kube.create(kinds.namespaces, namespaceOf("shop"));
    const home = { namespace: "shop" };
    const deployment = deploymentOf("web", { replicas: 2 });
    const service = serviceOf("web");
    await world.kube.create(kinds.deployments, { ...deployment, metadata: { ...deployment.metadata, ...home } });
    await world.kube.create(kinds.services, { ...service, metadata: { ...service.metadata, ...home } });
    await world.run();
    await world.kube.delete(kinds.namespaces, { name: "shop" });
    await world.settle();
    // What kubectl deletes next by the same file is still there.
    expect(world.pods("shop").some(isDeleting)).toBe(false);
    await world.pass(2_000);
    const [first, second] = world.pods("shop");
    expect([first, second].every((pod) => pod !== undefined && isDeleting(pod))).toBe(true);
    await expect(world.kube.get(kinds.namespaces, { name: "shop" })).resolves.toBeDefined();
    await world.run();
    await expect(world.kube.get(kinds.namespaces, { name: "shop" })).rejects.toThrow("not found");
    for (const type of Object.values(kinds)) {
      expect(world.kube.all(type).filter(({ metadata }) => metadata.namespace === "shop")).toEqual([]);
    }
    expect(world.kube.all(kinds.namespaces)).toHaveLength(2);
  });
});

describe("the garbage collector", () => {
  const rolled = async (): Promise<World> => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2 }));
    await world.run();
    return world;
  };

  it("deletes what lost its owner, generation after generation", async () => {
    const world = await rolled();
    await world.kube.delete(kinds.deployments, web, { propagationPolicy: "Background" });
    await world.run();
    expect(world.kube.all(kinds.deployments)).toEqual([]);
    expect(world.kube.all(kinds.replicaSets)).toEqual([]);
    expect(world.pods()).toEqual([]);
  });

  it("keeps orphans, without the reference to the owner", async () => {
    const world = await rolled();
    await world.kube.delete(kinds.deployments, web, { propagationPolicy: "Orphan" });
    await world.run();
    expect(world.kube.all(kinds.deployments)).toEqual([]);
    expect(world.kube.all(kinds.replicaSets).map(({ metadata }) => metadata.ownerReferences)).toEqual([[]]);
    expect(world.pods()).toHaveLength(2);
  });

  it("in the foreground removes the owner last", async () => {
    const world = await rolled();
    await world.kube.delete(kinds.deployments, web, { propagationPolicy: "Foreground" });
    await world.settle();
    expect(world.kube.all(kinds.deployments)).toHaveLength(1);
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(1);
    expect(world.pods().every(isDeleting)).toBe(true);
    await world.run();
    expect(world.pods()).toEqual([]);
    expect(world.kube.all(kinds.replicaSets)).toEqual([]);
    expect(world.kube.all(kinds.deployments)).toEqual([]);
  });

  it("deletes an object whose owner never was there, but not one whose owner is of an unknown kind", async () => {
    const world = await open();
    const owned = (name: string, kind: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name,
        namespace: "default",
        ownerReferences: [{ apiVersion: "v1", kind, name: "nobody", uid: "no-such-uid" }],
      },
    });
    await world.kube.create(kinds.configMaps, owned("lost", "Service"));
    await world.kube.create(kinds.configMaps, owned("kept", "Mystery"));
    // Another object of the owner's name is not the owner.
    await world.kube.create(kinds.services, serviceOf("nobody"));
    await world.settle();
    const names = world.kube.all(kinds.configMaps).map(({ metadata }) => metadata.name);
    expect(names).toContain("kept");
    expect(names).not.toContain("lost");
  });

  it("only drops the reference while another owner is left", async () => {
    const world = await open();
    const one = await world.kube.create(kinds.services, serviceOf("one"));
    const two = await world.kube.create(kinds.services, serviceOf("two"));
    const ownerReferences = [controlledBy(one), { ...controlledBy(two), controller: false }];
    const metadata = { name: "shared", namespace: "default", ownerReferences };
    await world.kube.create(kinds.configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
    await world.kube.delete(kinds.services, { name: "one", namespace: "default" });
    await world.settle();
    const shared = await world.kube.get(kinds.configMaps, { name: "shared", namespace: "default" });
    expect(shared.metadata.ownerReferences?.map(({ name }) => name)).toEqual(["two"]);
  });
});

describe("a node", () => {
  const beat = async (world: World, name: string): Promise<void> => {
    const ref = { name, namespace: "kube-node-lease" };
    const renewTime = `${world.clock.now()}`;
    const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: ref, spec: { renewTime } };
    const exists = world.kube.all(kinds.leases).some(({ metadata }) => metadata.name === name);
    await (exists
      ? world.kube.patch(kinds.leases, ref, { type: "merge", body: { spec: { renewTime } } })
      : world.kube.create(kinds.leases, lease));
    await world.settle();
  };
  const statusOf = async (world: World, name: string): Promise<string | undefined> =>
    (await world.kube.get(kinds.nodes, { name })).status?.conditions?.[0]?.status;

  it("gets a pod range of its own", async () => {
    const world = await open();
    const ranges = world.kube.all(kinds.nodes).map(({ spec }) => spec?.podCIDR);
    expect(sorted(ranges)).toEqual(["10.11.1.0/24", "10.11.2.0/24"]);
  });

  it("that falls silent is not ready after 40 s, its endpoints leave then, its pods after their toleration", async () => {
    const world = await open();
    await world.kube.create(kinds.services, serviceOf("web"));
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2 }));
    await world.run();
    for (let second = 0; second < 50; second += 10) {
      await beat(world, "node2");
      if (second <= 10) await beat(world, "node1");
      expect(await statusOf(world, "node1")).toBe("True");
      await world.pass(10_000);
    }
    expect([await statusOf(world, "node1"), await statusOf(world, "node2")]).toEqual(["Unknown", "True"]);
    const [slice] = world.kube.all(kinds.endpointSlices);
    const ready = slice?.endpoints.map(({ nodeName, conditions }) => [nodeName, conditions?.ready]).sort();
    expect(ready).toEqual([
      ["node1", false],
      ["node2", true],
    ]);
    expect(world.pods().filter(isDeleting)).toEqual([]);
    for (let second = 0; second < 310; second += 10) {
      await beat(world, "node2");
      await world.pass(10_000);
    }
    expect(
      world
        .pods()
        .filter(isDeleting)
        .map(({ spec }) => spec.nodeName),
    ).toEqual(["node1"]);
    expect(
      world
        .pods()
        .filter((pod) => !isDeleting(pod))
        .map(({ spec }) => spec.nodeName),
    ).toEqual(["node2", "node2"]);
  });

  it("that comes back gets its pods back", async () => {
    const world = await open(["node1"]);
    await world.kube.create(kinds.deployments, deploymentOf("web"));
    await world.run();
    await world.pass(41_000);
    const ready = () => conditionOf(world.pods()[0] ?? { ...deploymentOf("x"), spec: { containers: [] } }, "Ready");
    expect([await statusOf(world, "node1"), ready()?.status]).toEqual(["Unknown", "False"]);
    const node = await world.kube.get(kinds.nodes, { name: "node1" });
    const status = { conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: "later" }] };
    await world.kube.update(kinds.nodes, { ...node, status }, { subresource: "status" });
    await world.settle();
    expect(ready()?.status).toBe("True");
    expect((await world.kube.get(kinds.nodes, { name: "node1" })).spec?.taints).toEqual([]);
  });

  it("that is deleted takes its pods with it", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2 }));
    await world.run();
    await world.kube.delete(kinds.nodes, { name: "node1" });
    await world.run();
    expect(world.pods().map(({ spec }) => spec.nodeName)).toEqual(["node2", "node2"]);
  });
});
