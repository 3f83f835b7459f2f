/** Pod, its template and its status. */
import {
  bool,
  each,
  int32,
  int64,
  keyedList,
  list,
  listMap,
  quantities,
  atomicListMergedBy,
  struct,
  text,
  texts,
  textMap,
  time,
} from "../dsl.ts";
import { labelSelector, localObjectReference, objectMeta } from "./meta.ts";
import { container, ephemeralContainer, resourceRequirements, securityFields } from "./pod-containers.ts";
import { volume } from "./pod-volumes.ts";

const nodeSelectorTerm = struct("NodeSelectorTerm", "Requirements on a node; all must hold.", {
  ...each(
    list(
      struct("NodeSelectorRequirement", "A key, an operator and values.", {
        ...each(text.required(), "key operator"),
        values: texts,
      }),
    ),
    "matchExpressions matchFields",
  ),
}).atomic();

const nodeSelector = struct("NodeSelector", "Terms of which one must hold.", {
  nodeSelectorTerms: list(nodeSelectorTerm).required(),
}).atomic();

const podAffinityTerm = struct("PodAffinityTerm", "Pods to be near to, or away from.", {
  labelSelector,
  namespaceSelector: labelSelector,
  ...each(texts, "matchLabelKeys mismatchLabelKeys namespaces"),
  topologyKey: text.required(),
});

const weightedTerm = struct("WeightedPodAffinityTerm", "A term with a weight.", {
  podAffinityTerm: podAffinityTerm.required(),
  weight: int32.required(),
});

const podAffinity = (name: string) =>
  struct(name, "Placement relative to other pods.", {
    preferredDuringSchedulingIgnoredDuringExecution: list(weightedTerm),
    requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm),
  });

const affinity = struct("Affinity", "Where the pod should run.", {
  nodeAffinity: struct("NodeAffinity", "By labels of nodes.", {
    preferredDuringSchedulingIgnoredDuringExecution: list(
      struct("PreferredSchedulingTerm", "A term with a weight.", {
        preference: nodeSelectorTerm.required(),
        weight: int32.required(),
      }),
    ),
    requiredDuringSchedulingIgnoredDuringExecution: nodeSelector,
  }),
  podAffinity: podAffinity("PodAffinity"),
  podAntiAffinity: podAffinity("PodAntiAffinity"),
});

const podSecurityContext = struct("PodSecurityContext", "Rights of all containers of the pod.", {
  ...securityFields,
  fsGroup: int64,
  ...each(text, "fsGroupChangePolicy seLinuxChangePolicy supplementalGroupsPolicy"),
  supplementalGroups: list(int64),
  sysctls: list(struct("Sysctl", "A kernel setting.", each(text.required(), "name value"))),
});

const toleration = struct("Toleration", "A taint that the pod tolerates.", {
  ...each(text, "effect key value"),
  operator: text,
  tolerationSeconds: int64,
});

const topologySpread = struct("TopologySpreadConstraint", "How pods spread over parts of the cluster.", {
  labelSelector,
  matchLabelKeys: texts,
  maxSkew: int32.required(),
  minDomains: int32,
  ...each(text, "nodeAffinityPolicy nodeTaintsPolicy"),
  topologyKey: text.required(),
  whenUnsatisfiable: text.required().oneOf("DoNotSchedule", "ScheduleAnyway"),
});

const podDnsConfig = struct("PodDNSConfig", "DNS settings of the pod.", {
  nameservers: texts,
  options: list(struct("PodDNSConfigOption", "A resolver option.", each(text, "name value"))),
  searches: texts,
});

const namedItem = (name: string, about: string) => struct(name, about, { name: text.required() });

const podSpec = struct("PodSpec", "What runs in the pod.", {
  containers: listMap("name", container).required().about("Programs of the pod; at least one."),
  initContainers: listMap("name", container).about("Run one after the other before the containers start."),
  ephemeralContainers: listMap("name", ephemeralContainer),
  volumes: listMap("name", volume, "merge,retainKeys").about("Directories that containers can mount."),
  restartPolicy: text.defaults("Always").oneOf("Always", "OnFailure", "Never"),
  terminationGracePeriodSeconds: int64.defaults(30).about("Time between SIGTERM and SIGKILL."),
  activeDeadlineSeconds: int64.atLeast(1),
  dnsPolicy: text.defaults("ClusterFirst").oneOf("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
  dnsConfig: podDnsConfig,
  nodeSelector: textMap.atomic().about("Labels the node must have."),
  serviceAccountName: text.about("Service account as which the pod runs; `default` when empty."),
  serviceAccount: text.about("Former name of serviceAccountName."),
  automountServiceAccountToken: bool,
  nodeName: text.about("Node on which the pod runs."),
  ...each(bool, "hostIPC hostNetwork hostPID hostUsers setHostnameAsFQDN shareProcessNamespace"),
  securityContext: podSecurityContext.defaults({}),
  imagePullSecrets: listMap("name", localObjectReference),
  ...each(text, "hostname hostnameOverride subdomain preemptionPolicy priorityClassName runtimeClassName"),
  affinity,
  schedulerName: text.defaults("default-scheduler"),
  tolerations: list(toleration),
  hostAliases: listMap("ip", struct("HostAlias", "A line of /etc/hosts.", { hostnames: texts, ip: text.required() })),
  priority: int32,
  readinessGates: list(
    struct("PodReadinessGate", "A condition that must be true.", { conditionType: text.required() }),
  ),
  enableServiceLinks: bool,
  os: namedItem("PodOS", "Operating system of the pod."),
  overhead: quantities,
  resources: resourceRequirements,
  resourceClaims: listMap(
    "name",
    struct("PodResourceClaim", "A claim for devices.", {
      name: text.required(),
      ...each(text, "resourceClaimName resourceClaimTemplateName"),
    }),
    "merge,retainKeys",
  ),
  schedulingGates: listMap("name", namedItem("PodSchedulingGate", "Holds the pod back from scheduling.")),
  topologySpreadConstraints: listMap("topologyKey whenUnsatisfiable", topologySpread),
});

export const podTemplate = struct("PodTemplateSpec", "From what pods are made.", {
  metadata: objectMeta,
  spec: podSpec,
});

const containerState = struct("ContainerState", "Waiting, running or terminated.", {
  waiting: struct("ContainerStateWaiting", "Not started yet.", each(text, "message reason")),
  running: struct("ContainerStateRunning", "Running.", { startedAt: time }),
  terminated: struct("ContainerStateTerminated", "Ended.", {
    ...each(text, "containerID message reason"),
    exitCode: int32,
    signal: int32,
    ...each(time, "finishedAt startedAt"),
  }),
});

const containerStatus = struct("ContainerStatus", "State of one container.", {
  name: text.required(),
  ready: bool,
  started: bool,
  restartCount: int32,
  ...each(text, "containerID image imageID stopSignal"),
  state: containerState,
  lastState: containerState,
  allocatedResources: quantities,
  allocatedResourcesStatus: listMap(
    "name",
    struct("ResourceStatus", "Health of a resource.", {
      name: text.required(),
      resources: keyedList(
        "resourceID",
        struct("ResourceHealth", "Health of a device.", { resourceID: text.required(), health: text }),
      ),
    }),
  ),
  resources: resourceRequirements,
  user: struct("ContainerUser", "User of the first process.", {
    linux: struct("LinuxContainerUser", "Linux user.", { ...each(int64, "gid uid"), supplementalGroups: list(int64) }),
  }),
  volumeMounts: listMap(
    "mountPath",
    struct("VolumeMountStatus", "A mounted volume.", {
      ...each(text.required(), "mountPath name"),
      readOnly: bool,
      recursiveReadOnly: text,
    }),
  ),
});

const podCondition = struct("PodCondition", "One aspect of the pod's state.", {
  type: text.required(),
  status: text.required(),
  ...each(text, "message reason"),
  ...each(time, "lastProbeTime lastTransitionTime"),
  observedGeneration: int64,
});

const address = (name: string) => struct(name, "An address.", { ip: text.required() });

const podStatus = struct("PodStatus", "What was observed of the pod.", {
  phase: text.about("Pending, Running, Succeeded, Failed or Unknown."),
  conditions: listMap("type", podCondition),
  ...each(list(containerStatus), "containerStatuses initContainerStatuses ephemeralContainerStatuses"),
  hostIPs: atomicListMergedBy("ip", address("HostIP")),
  podIPs: listMap("ip", address("PodIP")),
  ...each(text, "hostIP message nominatedNodeName podIP qosClass reason resize"),
  observedGeneration: int64,
  startTime: time,
  resourceClaimStatuses: listMap(
    "name",
    struct("PodResourceClaimStatus", "State of a claim.", { name: text.required(), resourceClaimName: text }),
    "merge,retainKeys",
  ),
  extendedResourceClaimStatus: struct("PodExtendedResourceClaimStatus", "State of extended resources.", {
    requestMappings: list(
      struct(
        "ContainerExtendedResourceRequest",
        "Which request serves which container.",
        each(text.required(), "containerName requestName resourceName"),
      ),
    ),
    resourceClaimName: text.required(),
  }),
});

export const pod = { spec: podSpec.required(), status: podStatus };
