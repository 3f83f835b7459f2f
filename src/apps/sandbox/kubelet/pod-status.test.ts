import { describe, expect, it } from "vitest";
import type { ContainerState, ContainerStatus, Pod } from "../../../core/api/pod.ts";
import { phaseOf, statusOf } from "./pod-status.ts";
import type { PodFacts } from "./pod-status.ts";

const pod = (spec: Partial<Pod["spec"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", uid: "u" },
  spec: { containers: [{ name: "main", image: "i" }], ...spec },
});

const container = (name: string, state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name,
  ready: state.running !== undefined,
  started: state.running !== undefined,
  restartCount: 0,
  image: "i",
  imageID: "",
  state,
  ...more,
});

const running: ContainerState = { running: { startedAt: "t" } };
const waiting: ContainerState = { waiting: { reason: "ContainerCreating" } };
const ended = (exitCode: number): ContainerState => ({
  terminated: { exitCode, reason: "x", startedAt: "t", finishedAt: "t" },
});

const facts = (containers: ContainerStatus[], more: Partial<PodFacts> = {}): PodFacts => ({
  nowText: "now",
  startTime: "start",
  hostIp: "198.18.1.1",
  podIp: "10.11.1.2",
  hasNetwork: true,
  initContainers: [],
  containers,
  ephemeralContainers: [],
  ...more,
});

const phase = (spec: Partial<Pod["spec"]>, state: ContainerState, more: Partial<PodFacts> = {}) =>
  phaseOf(pod(spec), facts([container("main", state)], more));

describe("the phase of a pod", () => {
  it("is Running from the first start on, also between two runs", () => {
    expect(phase({}, waiting)).toBe("Pending");
    expect(phase({}, running)).toBe("Running");
    const crashed = container("main", waiting, { lastState: ended(1) });
    expect(phaseOf(pod(), facts([crashed]))).toBe("Running");
  });

  it("is final only where the restart policy says so", () => {
    expect(phase({ restartPolicy: "Never" }, ended(0))).toBe("Succeeded");
    expect(phase({ restartPolicy: "Never" }, ended(1))).toBe("Failed");
    expect(phase({ restartPolicy: "OnFailure" }, ended(0))).toBe("Succeeded");
    expect(phase({ restartPolicy: "OnFailure" }, ended(1))).toBe("Running");
    expect(phase({ restartPolicy: "Always" }, ended(0))).toBe("Running");
  });

  it("is Failed when an init container fails and nothing restarts", () => {
    const initContainers = [{ name: "first", image: "i" }];
    const failed = { initContainers: [container("first", ended(1))] };
    expect(phase({ initContainers, restartPolicy: "Never" }, waiting, failed)).toBe("Failed");
    expect(phase({ initContainers, restartPolicy: "Always" }, waiting, failed)).toBe("Pending");
  });

  it("does not wait for a sidecar to end", () => {
    const initContainers = [{ name: "side", image: "i", restartPolicy: "Always" as const }];
    expect(phase({ initContainers }, running, { initContainers: [container("side", running)] })).toBe("Running");
    expect(phase({ initContainers }, running, { initContainers: [container("side", waiting)] })).toBe("Pending");
  });
});

describe("conditions of a pod", () => {
  const conditionOf = (status: ReturnType<typeof statusOf>, type: string) =>
    status.conditions?.find((one) => one.type === type);

  it("keep their transition time until the status changes", () => {
    const first = statusOf(pod(), facts([container("main", running)], { nowText: "t1" }), undefined);
    const same = statusOf(pod(), facts([container("main", running)], { nowText: "t2" }), first);
    expect(conditionOf(same, "Ready")).toEqual({ type: "Ready", status: "True", lastTransitionTime: "t1" });
    const unready = facts([container("main", running, { ready: false })], { nowText: "t3" });
    expect(conditionOf(statusOf(pod(), unready, same), "Ready")).toMatchObject({
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [main]",
      lastTransitionTime: "t3",
    });
  });

  it("leave those of others alone", () => {
    const scheduled = { type: "PodScheduled", status: "True" as const, lastTransitionTime: "t0" };
    const status = statusOf(pod(), facts([container("main", running)]), { conditions: [scheduled] });
    expect(conditionOf(status, "PodScheduled")).toEqual(scheduled);
  });

  it("of a pod that has completed are not ready", () => {
    const status = statusOf(pod({ restartPolicy: "Never" }), facts([container("main", ended(0))]), undefined);
    expect(conditionOf(status, "Ready")).toMatchObject({ status: "False", reason: "PodCompleted" });
  });
});
