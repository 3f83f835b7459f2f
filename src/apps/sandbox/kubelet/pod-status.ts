/** The status of a pod from what its containers do. Pure; transition times are kept where nothing changed. */
import type { ContainerStatus, Pod } from "../../../core/api/pod.ts";

export type PodStatus = NonNullable<Pod["status"]>;
export type PodCondition = NonNullable<PodStatus["conditions"]>[number];

export interface PodFacts {
  readonly nowText: string;
  readonly hostIp: string;
  readonly podIp: string | undefined;
  readonly startTime: string;
  readonly hasNetwork: boolean;
  readonly initContainers: readonly ContainerStatus[];
  readonly containers: readonly ContainerStatus[];
  readonly ephemeralContainers: readonly ContainerStatus[];
}

const hasSucceeded = ({ state }: ContainerStatus): boolean => state.terminated?.exitCode === 0;

/** Names of init containers that run along with the pod. */
const sidecarNames = (pod: Pod): ReadonlySet<string> =>
  new Set(
    (pod.spec.initContainers ?? []).flatMap(({ name, restartPolicy }) => (restartPolicy === "Always" ? [name] : [])),
  );

function isInitialized(pod: Pod, initContainers: readonly ContainerStatus[]): boolean {
  const sidecars = sidecarNames(pod);
  return (pod.spec.initContainers ?? []).every(({ name }) => {
    const status = initContainers.find((one) => one.name === name);
    if (status === undefined) return false;
    return sidecars.has(name) ? status.started === true : hasSucceeded(status);
  });
}

export function phaseOf(pod: Pod, facts: PodFacts): NonNullable<PodStatus["phase"]> {
  const policy = pod.spec.restartPolicy ?? "Always";
  const { containers } = facts;
  const isInitFailed =
    policy === "Never" &&
    facts.initContainers.some(
      (status) => !sidecarNames(pod).has(status.name) && status.state.terminated !== undefined && !hasSucceeded(status),
    );
  if (isInitFailed) return "Failed";
  const areAllOver = containers.length > 0 && containers.every(({ state }) => state.terminated !== undefined);
  if (areAllOver && policy !== "Always") {
    if (containers.every(hasSucceeded)) return "Succeeded";
    if (policy === "Never") return "Failed";
  }
  const hasBegun = ({ state, lastState }: ContainerStatus): boolean =>
    state.running !== undefined || state.terminated !== undefined || lastState?.terminated !== undefined;
  return isInitialized(pod, facts.initContainers) && containers.length > 0 && containers.every(hasBegun)
    ? "Running"
    : "Pending";
}

const unready = (statuses: readonly ContainerStatus[]): readonly string[] =>
  statuses.flatMap(({ name, ready }) => (ready ? [] : [name]));

function conditionsOf(
  pod: Pod,
  facts: PodFacts,
  phase: PodStatus["phase"],
): Omit<PodCondition, "lastTransitionTime">[] {
  const isInit = isInitialized(pod, facts.initContainers);
  const waiting = unready(facts.containers);
  const sidecars = sidecarNames(pod);
  const waitingSidecars = unready(facts.initContainers.filter(({ name }) => sidecars.has(name)));
  const names = [...waitingSidecars, ...waiting];
  const isOver = phase === "Succeeded" || phase === "Failed";
  const why = isOver
    ? { reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${names.join(" ")}]` };
  const ready = { status: names.length === 0 && !isOver ? "True" : "False" } as const;
  const incomplete = (pod.spec.initContainers ?? []).flatMap(({ name }) =>
    facts.initContainers.some((status) => status.name === name && (hasSucceeded(status) || status.started === true))
      ? []
      : [name],
  );
  return [
    { type: "PodReadyToStartContainers", status: facts.hasNetwork ? "True" : "False" },
    {
      type: "Initialized",
      status: isInit ? "True" : "False",
      ...(isInit
        ? {}
        : {
            reason: "ContainersNotInitialized",
            message: `containers with incomplete status: [${incomplete.join(" ")}]`,
          }),
    },
    { type: "Ready", ...ready, ...(ready.status === "True" ? {} : why) },
    { type: "ContainersReady", ...ready, ...(ready.status === "True" ? {} : why) },
  ];
}

/** `before` is the status last written; conditions that others own (PodScheduled, readiness gates) are kept. */
export function statusOf(pod: Pod, facts: PodFacts, before: PodStatus | undefined): PodStatus {
  const phase = phaseOf(pod, facts);
  const own = conditionsOf(pod, facts, phase).map((condition): PodCondition => {
    const old = before?.conditions?.find(({ type }) => type === condition.type);
    const isSame = old?.status === condition.status;
    return { ...condition, lastTransitionTime: (isSame ? old.lastTransitionTime : undefined) ?? facts.nowText };
  });
  const ownTypes = new Set(own.map(({ type }) => type));
  const others = (before?.conditions ?? []).filter(({ type }) => !ownTypes.has(type));
  return {
    phase,
    conditions: [...own, ...others],
    hostIP: facts.hostIp,
    hostIPs: [{ ip: facts.hostIp }],
    ...(facts.podIp === undefined ? {} : { podIP: facts.podIp, podIPs: [{ ip: facts.podIp }] }),
    startTime: before?.startTime ?? facts.startTime,
    qosClass: before?.qosClass ?? qosClass(pod),
    ...(facts.initContainers.length > 0 ? { initContainerStatuses: [...facts.initContainers] } : {}),
    containerStatuses: [...facts.containers],
    ...(facts.ephemeralContainers.length > 0 ? { ephemeralContainerStatuses: [...facts.ephemeralContainers] } : {}),
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
  };
}

function qosClass(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const groups = pod.spec.containers.map(({ resources = {} }) => ({
    // Parsed by the API server: both are maps of quantities.
    limits: (resources["limits"] ?? {}) as Record<string, unknown>,
    requests: (resources["requests"] ?? {}) as Record<string, unknown>,
  }));
  const isSet = (map: Record<string, unknown>) => map["cpu"] !== undefined || map["memory"] !== undefined;
  if (groups.every(({ limits, requests }) => !isSet(limits) && !isSet(requests))) return "BestEffort";
  const isFixed = groups.every(({ limits, requests }) =>
    ["cpu", "memory"].every(
      (name) => limits[name] !== undefined && (requests[name] === undefined || requests[name] === limits[name]),
    ),
  );
  return isFixed ? "Guaranteed" : "Burstable";
}
