/** DaemonSets, StatefulSets, Jobs and CronJobs over the fake API server. */
import { afterEach, describe, expect, it } from "vitest";
import { kinds, type CountedDaemonSet, type CronJob, type Job, type StatefulSet } from "./kinds.ts";
import { isDeleting, isReady } from "./pods.ts";
import { nodeOf, sorted, startWorld, templateOf, type World } from "./testing/world.ts";

const worlds: World[] = [];
const open = async (nodes?: readonly string[]): Promise<World> => {
  const world = await startWorld(nodes);
  worlds.push(world);
  return world;
};
afterEach(() => worlds.splice(0).forEach((world) => world.stop()));

const metadata = { name: "x", namespace: "default" };
const selector = { matchLabels: { app: "x" } };
const images = (world: World) => world.pods().map(({ spec }) => spec.containers[0]?.image);

describe("a DaemonSet", () => {
  const daemons = (updateStrategy: CountedDaemonSet["spec"]["updateStrategy"] = {}): CountedDaemonSet => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata,
    spec: { selector, template: templateOf("x"), updateStrategy },
  });
  const update = (world: World) =>
    world.kube.patch(kinds.daemonSets, metadata, {
      type: "merge",
      body: { spec: { template: templateOf("x", "app:2") } },
    });

  it("has one pod on every node, cordoned and new ones included", async () => {
    const world = await open(["node1", "node2"]);
    await world.kube.patch(kinds.nodes, { name: "node1" }, { type: "merge", body: { spec: { unschedulable: true } } });
    await world.kube.create(kinds.daemonSets, daemons());
    await world.run();
    await world.kube.create(kinds.nodes, nodeOf("node3", world.clock.now()));
    await world.run();
    expect(sorted(world.pods().map(({ spec }) => spec.nodeName))).toEqual(["node1", "node2", "node3"]);
    const [set] = world.kube.all(kinds.daemonSets);
    expect(set?.status).toMatchObject({ desiredNumberScheduled: 3, numberAvailable: 3, updatedNumberScheduled: 3 });
  });

  it("is updated node by node, never with two nodes without a serving pod", async () => {
    const world = await open(["node1", "node2", "node3"]);
    await world.kube.create(kinds.daemonSets, daemons());
    await world.run();
    await update(world);
    await world.settle();
    for (let step = 0; step < 20; step += 1) {
      const serving = world.pods().filter((pod) => isReady(pod) && !isDeleting(pod));
      expect(serving.length).toBeGreaterThanOrEqual(2);
      const due = world.pods().find((pod) => isDeleting(pod) || !isReady(pod));
      if (due === undefined) break;
      await (isDeleting(due) ? world.end(due) : world.setReady(due, true));
    }
    expect(images(world)).toEqual(["app:2", "app:2", "app:2"]);
  });

  it("with a surge always has a serving pod on every node", async () => {
    const world = await open(["node1", "node2"]);
    await world.kube.create(kinds.daemonSets, daemons({ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }));
    await world.run();
    await update(world);
    await world.settle();
    for (let step = 0; step < 20; step += 1) {
      const serving = world.pods().filter((pod) => isReady(pod) && !isDeleting(pod));
      expect(new Set(serving.map(({ spec }) => spec.nodeName)).size).toBe(2);
      const due = world.pods().find((pod) => isDeleting(pod) || !isReady(pod));
      if (due === undefined) break;
      await (isDeleting(due) ? world.end(due) : world.setReady(due, true));
    }
    expect(images(world)).toEqual(["app:2", "app:2"]);
  });

  it("keeps a revision per template, gives one that comes back a new number, and forgets beyond its limit", async () => {
    const world = await open(["node1"]);
    const set = daemons();
    await world.kube.create(kinds.daemonSets, { ...set, spec: { ...set.spec, revisionHistoryLimit: 1 } });
    const revisions = () =>
      world.kube
        .all(kinds.controllerRevisions)
        .map((one) => `${one.revision} ${one.data?.spec?.template?.spec?.containers[0]?.image}`);
    await world.run();
    expect(revisions()).toEqual(["1 app:1"]);
    await update(world);
    await world.run();
    expect(sorted(revisions())).toEqual(["1 app:1", "2 app:2"]);
    const [first] = world.kube.all(kinds.controllerRevisions);
    // What `kubectl rollout undo` sends, as far as the fake can merge it.
    const { $patch: mark, ...template } = first?.data?.spec?.template ?? {};
    expect(mark).toBe("replace");
    await world.kube.patch(kinds.daemonSets, metadata, { type: "merge", body: { spec: { template } } });
    await world.run();
    expect(sorted(revisions())).toEqual(["2 app:2", "3 app:1"]);
    expect(images(world)).toEqual(["app:1"]);
    const third = { spec: { template: templateOf("x", "app:3") } };
    await world.kube.patch(kinds.daemonSets, metadata, { type: "merge", body: third });
    await world.run();
    expect(sorted(revisions())).toEqual(["3 app:1", "4 app:3"]);
  });
});

describe("a StatefulSet", () => {
  const stateful = (replicas: number): StatefulSet => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata,
    spec: { replicas, selector, template: templateOf("x"), serviceName: "x" },
  });
  const names = (world: World) => sorted(world.pods().map((pod) => pod.metadata.name));

  it("starts its pods in order, each after the one before serves, and stops them in reverse", async () => {
    const world = await open();
    await world.kube.create(kinds.statefulSets, stateful(3));
    await world.settle();
    expect(names(world)).toEqual(["x-0"]);
    await world.run();
    expect(names(world)).toEqual(["x-0", "x-1", "x-2"]);
    await world.kube.patch(kinds.statefulSets, metadata, { type: "merge", body: { spec: { replicas: 1 } } });
    await world.settle();
    expect(
      world
        .pods()
        .filter(isDeleting)
        .map((pod) => pod.metadata.name),
    ).toEqual(["x-2"]);
    await world.run();
    expect(names(world)).toEqual(["x-0"]);
  });

  it("is updated from the highest ordinal down, one at a time", async () => {
    const world = await open();
    await world.kube.create(kinds.statefulSets, stateful(2));
    await world.run();
    const body = { spec: { template: templateOf("x", "app:2") } };
    await world.kube.patch(kinds.statefulSets, metadata, { type: "merge", body });
    await world.settle();
    expect(
      world
        .pods()
        .filter(isDeleting)
        .map((pod) => pod.metadata.name),
    ).toEqual(["x-1"]);
    await world.run();
    expect(images(world)).toEqual(["app:2", "app:2"]);
    const status = world.kube.all(kinds.statefulSets)[0]?.status;
    expect(status?.currentRevision).toBe(status?.updateRevision);
    expect(status).toMatchObject({ updatedReplicas: 2, currentReplicas: 2, availableReplicas: 2 });
  });

  it("keeps the old template below the partition, also for a pod that is made anew", async () => {
    const world = await open();
    const set = stateful(2);
    await world.kube.create(kinds.statefulSets, set);
    await world.run();
    const updateStrategy = { type: "RollingUpdate", rollingUpdate: { partition: 1 } };
    const body = { spec: { template: templateOf("x", "app:2"), updateStrategy } };
    await world.kube.patch(kinds.statefulSets, metadata, { type: "merge", body });
    await world.run();
    const byName = () =>
      Object.fromEntries(world.pods().map((pod) => [pod.metadata.name, pod.spec.containers[0]?.image]));
    expect(byName()).toEqual({ "x-0": "app:1", "x-1": "app:2" });
    await world.kube.delete(kinds.pods, { name: "x-0", namespace: "default" });
    await world.run();
    expect(byName()).toEqual({ "x-0": "app:1", "x-1": "app:2" });
    expect(sorted(world.kube.all(kinds.controllerRevisions).map(({ revision }) => `${revision}`))).toEqual(["1", "2"]);
  });
});

describe("a Job", () => {
  const job = (spec: Partial<Job["spec"]>): Job => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata,
    spec: { template: { spec: { ...templateOf("x").spec, restartPolicy: "Never" } }, ...spec },
  });
  const verdict = (world: World) => world.kube.all(kinds.jobs)[0]?.status?.conditions?.[0];
  const running = (world: World) =>
    world
      .pods()
      .filter(({ status }) => status?.phase === undefined || status.phase === "Running" || status.phase === "Pending");

  it("runs as many pods as it needs, not more at once than it may, and is complete", async () => {
    const world = await open();
    await world.kube.create(kinds.jobs, job({ completions: 3, parallelism: 2 }));
    await world.run();
    expect(running(world)).toHaveLength(2);
    for (let round = 0; round < 3; round += 1) {
      const [pod] = running(world);
      if (pod === undefined) throw new Error("a pod is running");
      await world.finish(pod, "Succeeded");
      await world.run();
    }
    expect(world.pods()).toHaveLength(3);
    expect(verdict(world)?.type).toBe("Complete");
    expect(world.kube.all(kinds.jobs)[0]?.status).toMatchObject({ succeeded: 3, active: 0 });
  });

  it("tries again with a pause and fails at its limit", async () => {
    const world = await open();
    await world.kube.create(kinds.jobs, job({ backoffLimit: 1 }));
    await world.run();
    const fail = async (): Promise<void> => {
      const [pod] = running(world);
      if (pod !== undefined) await world.finish(pod, "Failed");
    };
    await fail();
    expect(running(world)).toHaveLength(0);
    await world.pass(10_000);
    await world.run();
    expect(running(world)).toHaveLength(1);
    await fail();
    expect([verdict(world)?.type, verdict(world)?.reason]).toEqual(["Failed", "BackoffLimitExceeded"]);
    await world.pass(60_000);
    expect(running(world)).toHaveLength(0);
  });
});

describe("a CronJob", () => {
  const cron = (spec: Partial<CronJob["spec"]> = {}): CronJob => ({
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata,
    spec: {
      schedule: "* * * * *",
      jobTemplate: { spec: { template: { spec: { ...templateOf("x").spec, restartPolicy: "Never" } } } },
      ...spec,
    },
  });
  const jobs = (world: World) => world.kube.all(kinds.jobs);
  const finishAll = async (world: World): Promise<void> => {
    for (const pod of world.pods()) if (pod.status?.phase !== "Succeeded") await world.finish(pod, "Succeeded");
  };

  it("makes a Job every minute, named by it, and keeps the last three that are complete", async () => {
    const world = await open();
    await world.kube.create(kinds.cronJobs, cron());
    await world.settle();
    expect(jobs(world)).toHaveLength(0);
    for (let minute = 0; minute < 5; minute += 1) {
      await world.pass(60_000);
      await finishAll(world);
    }
    expect(jobs(world)).toHaveLength(3);
    const [first] = jobs(world);
    const scheduled = first?.metadata.annotations?.["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "";
    expect(first?.metadata.name).toBe(`x-${Date.parse(scheduled) / 60_000}`);
    const status = world.kube.all(kinds.cronJobs)[0]?.status;
    expect(status?.active).toBeUndefined();
    expect(status?.lastSuccessfulTime).toBeDefined();
  });

  it("starts none while one runs when it forbids that, and none when it is suspended", async () => {
    const world = await open();
    await world.kube.create(kinds.cronJobs, cron({ concurrencyPolicy: "Forbid" }));
    await world.settle();
    await world.pass(180_000);
    expect(jobs(world)).toHaveLength(1);
    expect(world.kube.all(kinds.cronJobs)[0]?.status?.active).toHaveLength(1);
    await world.kube.patch(kinds.cronJobs, metadata, { type: "merge", body: { spec: { suspend: true } } });
    await finishAll(world);
    await world.pass(180_000);
    expect(jobs(world)).toHaveLength(1);
  });

  it("replaces the one that runs when it is to, and makes up once for the runs that were missed", async () => {
    const world = await open();
    await world.kube.create(kinds.cronJobs, cron({ concurrencyPolicy: "Replace" }));
    await world.settle();
    await world.pass(60_000);
    const [before] = jobs(world);
    world.stop();
    world.clock.moveTo(world.clock.now() + 600_000);
    await world.restart();
    expect(jobs(world)).toHaveLength(1);
    expect(jobs(world)[0]?.metadata.name).not.toBe(before?.metadata.name);
  });
});
