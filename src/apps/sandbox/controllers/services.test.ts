/** EndpointSlices, LoadBalancer addresses and the scheduler, over the fake API server. */
import { afterEach, describe, expect, it } from "vitest";
import type { EndpointSlice } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { kinds } from "./kinds.ts";
import { conditionOf } from "./pods.ts";
import { planSlices } from "./slices.ts";
import { VirtualClock } from "../../../io/host/virtual-clock.ts";
import {
  fakeHost,
  deploymentOf,
  nodeOf,
  serviceOf,
  sorted,
  startWorld,
  templateOf,
  type World,
} from "./testing/world.ts";

const worlds: World[] = [];
const open = async (nodes?: readonly string[]): Promise<World> => {
  const world = await startWorld(nodes);
  worlds.push(world);
  return world;
};
afterEach(() => worlds.splice(0).forEach((world) => world.stop()));

const slicesOf = (world: World): readonly EndpointSlice[] => world.kube.all(kinds.endpointSlices);
const endpointsOf = (world: World): EndpointSlice["endpoints"] => slicesOf(world).flatMap(({ endpoints }) => endpoints);

describe("endpoints", () => {
  it("follow readiness and deletion at once, with node and zone", async () => {
    const world = await open([]);
    const zone = { "topology.kubernetes.io/zone": "z1" };
    await world.kube.create(kinds.nodes, nodeOf("node1", world.clock.now(), zone));
    await world.kube.create(kinds.services, serviceOf("web"));
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2 }));
    await world.settle();
    expect(slicesOf(world).map(({ endpoints }) => endpoints)).toEqual([[]]);
    await world.run();
    expect(slicesOf(world).map(({ ports }) => ports)).toEqual([[{ name: "http", port: 8080, protocol: "TCP" }]]);
    expect(endpointsOf(world)).toMatchObject([
      { conditions: { ready: true, serving: true, terminating: false }, nodeName: "node1", zone: "z1" },
      { conditions: { ready: true, serving: true, terminating: false }, nodeName: "node1", zone: "z1" },
    ]);
    const [pod] = world.pods();
    if (pod === undefined) throw new Error("there are two pods");
    const endpoint = () => endpointsOf(world).find(({ targetRef }) => targetRef?.name === pod.metadata.name);
    await world.setReady(pod, false);
    expect(endpoint()?.conditions).toEqual({ ready: false, serving: false, terminating: false });
    await world.setReady(pod, true);
    await world.kube.delete(kinds.pods, pod.metadata);
    await world.settle();
    expect(endpoint()?.conditions).toEqual({ ready: false, serving: true, terminating: true });
    await world.end(pod);
    expect(endpoint()).toBeUndefined();
  });

  it("of pods that are not ready count as ready when the Service publishes them", async () => {
    const world = await open();
    await world.kube.create(kinds.services, serviceOf("web", { publishNotReadyAddresses: true }));
    await world.kube.create(kinds.deployments, deploymentOf("web"));
    await world.run();
    const [pod] = world.pods();
    if (pod === undefined) throw new Error("there is a pod");
    await world.setReady(pod, false);
    expect(endpointsOf(world)[0]?.conditions).toEqual({ ready: true, serving: false, terminating: false });
  });

  it("go with their Service, and hand-made slices of a Service without selector stay", async () => {
    const world = await open();
    const { selector: _selector, ...spec } = serviceOf("db").spec;
    await world.kube.create(kinds.services, { ...serviceOf("db"), spec });
    await world.kube.create(kinds.endpointSlices, {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "db-mine", namespace: "default", labels: { "kubernetes.io/service-name": "db" } },
      addressType: "IPv4",
      endpoints: [{ addresses: ["192.0.2.1"] }],
    });
    await world.kube.create(kinds.services, serviceOf("web"));
    await world.settle();
    expect(slicesOf(world)).toHaveLength(2);
    await world.kube.delete(kinds.services, { name: "web", namespace: "default" });
    await world.settle();
    expect(slicesOf(world).map(({ metadata }) => metadata.name)).toEqual(["db-mine"]);
    expect(endpointsOf(world)).toEqual([{ addresses: ["192.0.2.1"] }]);
  });

  it("are packed by 100, and one pod less changes one slice only", () => {
    const service = { ...serviceOf("web"), metadata: { name: "web", namespace: "default", uid: "u" } };
    const pods = Array.from({ length: 250 }, (_, at) => podOf(`web-${String(at).padStart(3, "0")}`, `10.0.${at}.1`));
    const view = { service, zoneOf: () => undefined, random: fakeHost(new VirtualClock(0)).random };
    const first = planSlices({ ...view, pods, existing: [] });
    expect(first.create.map(({ endpoints }) => endpoints.length)).toEqual([100, 100, 50]);
    const next = planSlices({ ...view, pods: pods.slice(1), existing: first.create });
    expect([next.create.length, next.update.length, next.remove.length]).toEqual([0, 1, 0]);
    const same = planSlices({ ...view, pods: pods.toReversed(), existing: first.create });
    expect([same.create.length, same.update.length, same.remove.length]).toEqual([0, 0, 0]);
  });

  it("of pods with different numbers for a named port are in different slices", () => {
    const service = serviceOf("web");
    const pods = [podOf("one", "10.0.0.1", 8080), podOf("two", "10.0.0.2", 9090), podOf("no", "10.0.0.3", 0)];
    const { create } = planSlices({
      service,
      pods,
      existing: [],
      zoneOf: () => undefined,
      random: fakeHost(new VirtualClock(0)).random,
    });
    const ports = create.map((slice) => [slice.ports?.map(({ port }) => port), slice.endpoints.length]);
    expect(ports).toContainEqual([[8080], 1]);
    expect(ports).toContainEqual([[9090], 1]);
    expect(ports).toContainEqual([[], 1]);
  });
});

const podOf = (name: string, podIP: string, port = 8080): Pod => {
  const { metadata, spec } = templateOf("web");
  const [container] = spec.containers;
  if (container === undefined) throw new Error("the template has a container");
  const ports = port === 0 ? [] : [{ name: "http", containerPort: port }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name, labels: metadata?.labels ?? {} },
    spec: { containers: [{ ...container, ports }] },
    status: { podIP, conditions: [{ type: "Ready", status: "True" }] },
  };
};

describe("a LoadBalancer address", () => {
  const addresses = (world: World): Record<string, string | undefined> =>
    Object.fromEntries(
      world.kube
        .all(kinds.services)
        .map(({ metadata, status }) => [metadata.name, status?.loadBalancer?.ingress?.[0]?.ip]),
    );
  const balanced = (name: string, spec = {}) => serviceOf(name, { type: "LoadBalancer", ...spec });

  it("stays over a restart, is freed by deletion, and goes to the Service that waited", async () => {
    const world = await open();
    for (const name of ["a", "b", "c", "d"]) {
      await world.kube.create(kinds.services, balanced(name));
      await world.settle();
    }
    const before = addresses(world);
    expect(before).toEqual({ a: "198.18.1.200", b: "198.18.1.201", c: "198.18.1.202", d: undefined });
    const events = world.kube.all(kinds.events).filter(({ reason }) => reason === "AddressPoolExhausted");
    expect(events[0]?.message).toContain("default/d has no address");
    await world.restart();
    expect(addresses(world)).toEqual(before);
    await world.kube.delete(kinds.services, { name: "b", namespace: "default" });
    await world.settle();
    expect(addresses(world)).toEqual({ a: "198.18.1.200", c: "198.18.1.202", d: "198.18.1.201" });
    await world.kube.delete(kinds.services, { name: "a", namespace: "default" });
    await world.restart();
    expect(addresses(world)).toEqual({ c: "198.18.1.202", d: "198.18.1.201" });
  });

  it("is the one asked for when it is free, and is taken back when the type changes", async () => {
    const world = await open();
    await world.kube.create(kinds.services, balanced("a", { loadBalancerIP: "198.18.1.202" }));
    await world.kube.create(kinds.services, balanced("b", { loadBalancerIP: "198.18.1.202" }));
    await world.settle();
    expect(addresses(world)).toEqual({ a: "198.18.1.202", b: undefined });
    const body = { spec: { type: "ClusterIP", loadBalancerIP: null } };
    await world.kube.patch(kinds.services, { name: "a", namespace: "default" }, { type: "merge", body });
    await world.settle();
    expect(addresses(world)).toEqual({ a: undefined, b: "198.18.1.202" });
  });
});

describe("the scheduler", () => {
  const nodesOf = (world: World): readonly string[] => sorted(world.pods().map(({ spec }) => spec.nodeName));

  it("spreads the pods of one owner over the nodes", async () => {
    const world = await open(["node1", "node2", "node3"]);
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 6 }));
    await world.settle();
    expect(nodesOf(world)).toEqual(["node1", "node1", "node2", "node2", "node3", "node3"]);
  });

  it("leaves out cordoned and unready nodes, says why, and binds when one is back", async () => {
    const world = await open(["node1", "node2"]);
    const cordon = (unschedulable: boolean) =>
      world.kube.patch(kinds.nodes, { name: "node1" }, { type: "merge", body: { spec: { unschedulable } } });
    await cordon(true);
    const node = await world.kube.get(kinds.nodes, { name: "node2" });
    const status = { conditions: [{ type: "Ready", status: "False" }] };
    await world.kube.update(kinds.nodes, { ...node, status }, { subresource: "status" });
    await world.settle();
    await world.kube.create(kinds.deployments, deploymentOf("web"));
    await world.settle();
    expect(nodesOf(world)).toEqual([""]);
    const [pod] = world.pods();
    const condition = pod === undefined ? undefined : conditionOf(pod, "PodScheduled");
    expect(condition?.message).toBe(
      "0/2 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, " +
        "1 node(s) were unschedulable.",
    );
    expect(world.kube.all(kinds.events).map(({ reason }) => reason)).toContain("FailedScheduling");
    await cordon(false);
    await world.settle();
    expect(nodesOf(world)).toEqual(["node1"]);
    expect(world.kube.all(kinds.events).map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^Successfully assigned default\/web-\S+ to node1$/),
    );
  });

  it("puts pods with one host port on different nodes and keeps the last waiting until a port is free", async () => {
    const world = await open(["node1", "node2"]);
    const template = templateOf("web");
    template.spec.containers = [{ name: "app", image: "app:1", ports: [{ containerPort: 80, hostPort: 80 }] }];
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 3, template }));
    await world.settle();
    expect(nodesOf(world)).toEqual(["", "node1", "node2"]);
    const bound = world.pods().find(({ spec }) => spec.nodeName === "node1");
    if (bound === undefined) throw new Error("one pod is on node1");
    await world.kube.delete(kinds.pods, bound.metadata);
    await world.settle();
    expect(nodesOf(world)).toEqual(["", "", "node1", "node2"]);
    await world.end(bound);
    expect(nodesOf(world)).toEqual(["", "node1", "node2"]);
    expect(world.pods().find(({ spec }) => spec.nodeName === "node1")?.metadata.name).not.toBe(bound.metadata.name);
  });
});
