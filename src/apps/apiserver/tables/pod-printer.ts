/** The columns of pods; STATUS says what a pod is really about, from its containers' states (A24). */
import type { AnyObject } from "../../../core/api/kube.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import { isObject, type JsonObject, listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from "../schema/json.ts";
import { ageOf, columns, humanDuration, orNone, type Printer } from "./printer.ts";

interface Summary {
  reason: string;
  ready: number;
  restarts: number;
  /** Restarts of sidecars: they go on counting once the pod is initialized. */
  sidecarRestarts: number;
  lastRestartMs: number;
}

const conditionIs = (pod: AnyObject, type: string): boolean =>
  objectsAt(pod, "status", "conditions").some((one) => one["type"] === type && one["status"] === "True");

const endText = (terminated: JsonObject): string => {
  const reason = textAt(terminated, "reason");
  if (reason !== "") return reason;
  const signal = numberAt(terminated, "signal");
  return signal === 0 ? `ExitCode:${numberAt(terminated, "exitCode")}` : `Signal:${signal}`;
};

const countRestart = (summary: Summary, status: JsonObject): void => {
  summary.restarts += numberAt(status, "restartCount");
  const at = msOfIso(textAt(status, "lastState", "terminated", "finishedAt"));
  if (at !== undefined && at > summary.lastRestartMs) summary.lastRestartMs = at;
};

const sidecarNames = (pod: AnyObject): ReadonlySet<string> =>
  new Set(
    objectsAt(pod, "spec", "initContainers")
      .filter((container) => container["restartPolicy"] === "Always")
      .map((container) => textAt(container, "name")),
  );

/** Goes through init containers; true when one of them still holds the pod back. */
const readInit = (pod: AnyObject, summary: Summary): boolean => {
  const sidecars = sidecarNames(pod);
  const total = listAt(pod, "spec", "initContainers").length;
  for (const [index, status] of objectsAt(pod, "status", "initContainerStatuses").entries()) {
    countRestart(summary, status);
    const isSidecar = sidecars.has(textAt(status, "name"));
    if (isSidecar) summary.sidecarRestarts += numberAt(status, "restartCount");
    const terminated = valueAt(status, "state", "terminated");
    if (isObject(terminated) && numberAt(terminated, "exitCode") === 0) continue;
    if (isSidecar && status["started"] === true) {
      if (status["ready"] === true) summary.ready += 1;
      continue;
    }
    const waiting = textAt(status, "state", "waiting", "reason");
    if (isObject(terminated)) summary.reason = `Init:${endText(terminated)}`;
    else if (waiting !== "" && waiting !== "PodInitializing") summary.reason = `Init:${waiting}`;
    else summary.reason = `Init:${index}/${total}`;
    return true;
  }
  return false;
};

const readContainers = (pod: AnyObject, summary: Summary): void => {
  summary.restarts = summary.sidecarRestarts;
  let isAnyRunning = false;
  for (const status of [...objectsAt(pod, "status", "containerStatuses")].reverse()) {
    countRestart(summary, status);
    const waiting = textAt(status, "state", "waiting", "reason");
    const terminated = valueAt(status, "state", "terminated");
    if (waiting !== "") summary.reason = waiting;
    else if (isObject(terminated)) summary.reason = endText(terminated);
    else if (status["ready"] === true && isObject(valueAt(status, "state", "running"))) {
      isAnyRunning = true;
      summary.ready += 1;
    }
  }
  if (summary.reason === "Completed" && isAnyRunning) {
    summary.reason = conditionIs(pod, "Ready") ? "Running" : "NotReady";
  }
};

const summaryOf = (pod: AnyObject): Summary => {
  const status = objectAt(pod, "status");
  const phase = textAt(status, "phase");
  const summary: Summary = {
    reason: textAt(status, "reason") || phase || "Unknown",
    ready: 0,
    restarts: 0,
    sidecarRestarts: 0,
    lastRestartMs: 0,
  };
  const isGated = objectsAt(status, "conditions").some(
    (one) => one["type"] === "PodScheduled" && one["reason"] === "SchedulingGated",
  );
  if (isGated) summary.reason = "SchedulingGated";
  const isInitializing = readInit(pod, summary);
  if (!isInitializing || conditionIs(pod, "Initialized")) readContainers(pod, summary);
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (textAt(status, "reason") === "NodeLost") summary.reason = "Unknown";
    else if (phase !== "Succeeded" && phase !== "Failed") summary.reason = "Terminating";
  }
  return summary;
};

const gatesText = (pod: AnyObject): string => {
  const gates = objectsAt(pod, "spec", "readinessGates");
  const passed = gates.filter((gate) => conditionIs(pod, textAt(gate, "conditionType")));
  return gates.length === 0 ? "<none>" : `${passed.length}/${gates.length}`;
};

export const podPrinter: Printer = {
  columns: columns("Name", "Ready", "Status", "Restarts", "Age", "IP*", "Node*", "Nominated Node*", "Readiness Gates*"),
  cells: (pod, nowMs) => {
    const summary = summaryOf(pod);
    const total = listAt(pod, "spec", "containers").length + sidecarNames(pod).size;
    const ago = summary.lastRestartMs === 0 ? "" : ` (${humanDuration(nowMs - summary.lastRestartMs)} ago)`;
    const restarts = summary.restarts === 0 ? "0" : `${summary.restarts}${ago}`;
    const address = textAt(pod, "status", "podIP") || textAt(objectsAt(pod, "status", "podIPs")[0], "ip");
    return [
      pod.metadata.name,
      `${summary.ready}/${total}`,
      summary.reason,
      restarts,
      ageOf(pod, nowMs),
      orNone(address),
      orNone(textAt(pod, "spec", "nodeName")),
      orNone(textAt(pod, "status", "nominatedNodeName")),
      gatesText(pod),
    ];
  },
};
