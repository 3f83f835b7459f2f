/** Rollouts end to end: Deployment and ReplicaSet controllers over the fake API server, pods run by a stepped kubelet. */
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Pod } from "../../../core/api/pod.ts";
import { kinds, type RolledDeployment, type WorkloadCondition } from "./kinds.ts";
import { isDeleting, isReady } from "./pods.ts";
import { deploymentOf, startWorld, templateOf, type World } from "./testing/world.ts";

const worlds: World[] = [];
const open = async (nodes?: readonly string[]): Promise<World> => {
  const world = await startWorld(nodes);
  worlds.push(world);
  return world;
};
afterEach(() => worlds.splice(0).forEach((world) => world.stop()));

const ref = { name: "web", namespace: "default" };
const change = (world: World, spec: unknown): Promise<RolledDeployment> =>
  world.kube.patch(kinds.deployments, ref, { type: "merge", body: { spec } });
const live = (world: World): readonly Pod[] => world.pods().filter((pod) => !isDeleting(pod));
const images = (pods: readonly Pod[]): readonly (string | undefined)[] =>
  pods.map(({ spec }) => spec.containers[0]?.image);
const conditionOf = (deployment: RolledDeployment | undefined, type: string): WorkloadCondition | undefined =>
  deployment?.status?.conditions?.find((condition) => condition.type === type);

describe("a Deployment", () => {
  it("scales from 1 to 5 and reports what rollout status waits for", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web"));
    await world.run();
    expect(live(world)).toHaveLength(1);
    await change(world, { replicas: 5 });
    await world.run();
    const [deployment] = world.kube.all(kinds.deployments);
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(1);
    expect(deployment?.status).toMatchObject({
      replicas: 5,
      updatedReplicas: 5,
      readyReplicas: 5,
      availableReplicas: 5,
    });
    expect(deployment?.status?.observedGeneration).toBe(deployment?.metadata.generation);
    expect(conditionOf(deployment, "Progressing")?.reason).toBe("NewReplicaSetAvailable");
    expect(conditionOf(deployment, "Available")?.status).toBe("True");
  });

  it("scales to 0 and back without a new ReplicaSet", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 3 }));
    await world.run();
    await change(world, { replicas: 0 });
    await world.run();
    expect(world.pods()).toHaveLength(0);
    await change(world, { replicas: 2 });
    await world.run();
    expect(live(world)).toHaveLength(2);
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(1);
  });

  it("moves to a new image, keeps the old ReplicaSet, and goes back to it as the newest revision", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 3 }));
    await world.run();
    await change(world, { template: templateOf("web", "app:2") });
    await world.run();
    expect(images(live(world))).toEqual(["app:2", "app:2", "app:2"]);
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(2);
    await change(world, { template: templateOf("web", "app:1") });
    await world.run();
    expect(images(live(world))).toEqual(["app:1", "app:1", "app:1"]);
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(2);
    const revision = "deployment.kubernetes.io/revision";
    expect(world.kube.all(kinds.deployments)[0]?.metadata.annotations?.[revision]).toBe("3");
  });

  it("keeps no more old ReplicaSets than its history limit", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { revisionHistoryLimit: 1 }));
    for (const image of ["app:1", "app:2", "app:3", "app:4"]) {
      await change(world, { template: templateOf("web", image) });
      await world.run();
    }
    expect(world.kube.all(kinds.replicaSets)).toHaveLength(2);
    expect(images(live(world))).toEqual(["app:4"]);
  });

  it("of the type Recreate starts nothing new before the last old pod is gone", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2, strategy: { type: "Recreate" } }));
    await world.run();
    await change(world, { template: templateOf("web", "app:2") });
    await world.settle();
    const [first, second] = world.pods();
    if (first === undefined || second === undefined) throw new Error("both old pods are still ending");
    await world.end(first);
    expect(images(world.pods())).toEqual(["app:1"]);
    await world.end(second);
    expect(images(world.pods())).toEqual(["app:2", "app:2"]);
  });

  it("that is paused scales but does not roll", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 1 }));
    await world.run();
    await change(world, { paused: true, replicas: 2, template: templateOf("web", "app:2") });
    await world.run();
    expect(images(live(world))).toEqual(["app:1", "app:1"]);
    await change(world, { paused: false });
    await world.run();
    expect(images(live(world))).toEqual(["app:2", "app:2"]);
  });

  it("says after the deadline that it does not progress", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { progressDeadlineSeconds: 30 }));
    await world.settle();
    await world.pass(29_000);
    expect(conditionOf(world.kube.all(kinds.deployments)[0], "Progressing")?.status).toBe("True");
    await world.pass(2_000);
    const progressing = conditionOf(world.kube.all(kinds.deployments)[0], "Progressing");
    expect([progressing?.status, progressing?.reason]).toEqual(["False", "ProgressDeadlineExceeded"]);
  });

  it("writes nothing once it has come to rest, and nothing after a restart of the controllers", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 3 }));
    await world.run();
    const writes: string[] = [];
    world.kube.beforeWrite = (verb, type, name) => writes.push(`${verb} ${type.kind} ${name}`);
    await world.restart();
    expect(writes).toEqual([]);
  });

  it("never breaks maxSurge and maxUnavailable, whatever the order in which pods come and go", async () => {
    const setup = fc.record({
      replicas: fc.integer({ min: 1, max: 6 }),
      maxSurge: fc.integer({ min: 0, max: 3 }),
      maxUnavailable: fc.integer({ min: 0, max: 3 }),
      picks: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(setup, async ({ replicas, maxSurge, maxUnavailable, picks }) => {
        const unavailable = maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable;
        const world = await open();
        const strategy = { type: "RollingUpdate" as const, rollingUpdate: { maxSurge, maxUnavailable } };
        await world.kube.create(kinds.deployments, deploymentOf("web", { replicas, strategy }));
        await world.run();
        await change(world, { template: templateOf("web", "app:2") });
        await world.settle();
        for (let step = 0; step < 100; step += 1) {
          const alive = live(world);
          expect(alive.length).toBeLessThanOrEqual(replicas + maxSurge);
          expect(alive.filter(isReady).length).toBeGreaterThanOrEqual(replicas - unavailable);
          const due = world.pods().filter((pod) => isDeleting(pod) || !isReady(pod));
          const pod = due[(picks[step % picks.length] ?? 0) % Math.max(1, due.length)];
          if (pod === undefined) break;
          await (isDeleting(pod) ? world.end(pod) : world.setReady(pod, true));
        }
        expect(images(live(world))).toEqual(Array.from({ length: replicas }, () => "app:2"));
        world.stop();
      }),
      { numRuns: 25 },
    );
  });

  it("gives every ReplicaSet its share when it is scaled in the middle of a rollout", async () => {
    const world = await open();
    const strategy = { type: "RollingUpdate" as const, rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 10, strategy }));
    await world.run();
    await change(world, { template: templateOf("web", "app:2") });
    await world.settle();
    await change(world, { replicas: 20 });
    await world.settle();
    const sizes = world.kube.all(kinds.replicaSets).map(({ spec }) => spec.replicas ?? 0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(23);
    expect(Math.min(...sizes)).toBeGreaterThan(5);
    await world.run();
    expect(images(live(world)).filter((image) => image === "app:2")).toHaveLength(20);
  });
});

describe("a ReplicaSet", () => {
  it("gives up pods that are not ready before ready ones", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 3 }));
    await world.run();
    const [sick] = world.pods();
    if (sick === undefined) throw new Error("there are three pods");
    await world.setReady(sick, false);
    await change(world, { replicas: 2 });
    await world.settle();
    expect(
      world
        .pods()
        .filter(isDeleting)
        .map(({ metadata }) => metadata.name),
    ).toEqual([sick.metadata.name]);
  });

  it("releases a pod whose label was changed and adopts it when the label is back", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 1 }));
    await world.run();
    const [pod] = world.pods();
    if (pod === undefined) throw new Error("there is one pod");
    const relabel = (app: string): Promise<Pod> =>
      world.kube.patch(kinds.pods, pod.metadata, { type: "merge", body: { metadata: { labels: { app } } } });
    await relabel("debug");
    await world.run();
    expect(live(world)).toHaveLength(2);
    await relabel("web");
    await world.run();
    expect(live(world)).toHaveLength(1);
  });

  it("creates and deletes each pod once although the watch of pods is late", async () => {
    const world = await open();
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 1 }));
    await world.run();
    const writes: string[] = [];
    world.kube.beforeWrite = (verb, type) => {
      if (type.kind === "Pod" && (verb === "create" || verb === "delete")) writes.push(verb);
    };
    world.kube.hold(kinds.pods);
    for (const replicas of [4, 5]) {
      await change(world, { replicas });
      await world.settle();
    }
    expect(writes).toEqual(["create", "create", "create", "create"]);
    world.kube.release(kinds.pods);
    await world.run();
    world.kube.hold(kinds.pods);
    writes.length = 0;
    for (const replicas of [3, 2]) {
      await change(world, { replicas });
      await world.settle();
    }
    expect(writes).toEqual(["delete", "delete", "delete"]);
    expect(live(world)).toHaveLength(2);
    world.kube.release(kinds.pods);
    await world.run();
    expect(world.pods()).toHaveLength(2);
  });

  it("makes up for a pod that was deleted before the watch ever showed it", async () => {
    const world = await open();
    world.kube.hold(kinds.pods);
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 1 }));
    await world.settle();
    const [pod] = world.pods();
    if (pod === undefined) throw new Error("there is a pod");
    await world.end(pod);
    world.kube.release(kinds.pods);
    await world.settle();
    await world.pass(10_000);
    expect(live(world)).toHaveLength(1);
  });

  it("carries on after conflicts", async () => {
    const world = await open();
    let conflicts = 6;
    world.kube.beforeWrite = (verb, type) => {
      if (!verb.startsWith("update") || type.kind === "Pod" || conflicts === 0) return;
      conflicts -= 1;
      throw Object.assign(new Error("modified"), { reason: "Conflict", code: 409 });
    };
    await world.kube.create(kinds.deployments, deploymentOf("web", { replicas: 2 }));
    await world.run();
    await world.pass(2_000);
    await world.run();
    expect(conflicts).toBe(0);
    expect(world.kube.all(kinds.deployments)[0]?.status?.availableReplicas).toBe(2);
  });
});
