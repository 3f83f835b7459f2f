/** The core group, v1. */
import {
  bool,
  bytes,
  each,
  int32,
  int64,
  intOrString,
  list,
  listMap,
  mapOf,
  microTime,
  portNumber,
  quantities,
  setOf,
  struct,
  text,
  textMap,
  texts,
  time,
} from "../dsl.ts";
import type { Declaration, GroupDeclaration } from "../declaration.ts";
import { checkEndpoints, checkService, fillServiceDefaults } from "../rules/services.ts";
import { checkPod, fillPodDefaults } from "../rules/pods.ts";
import { checkConfigMap, checkEvent, checkNode, checkSecret } from "../rules/core.ts";
import {
  configMapPrinter,
  endpointsPrinter,
  eventPrinter,
  namespacePrinter,
  nodePrinter,
  secretPrinter,
  serviceAccountPrinter,
} from "../../tables/core-printers.ts";
import { podPrinter } from "../../tables/pod-printer.ts";
import { servicePrinter } from "../../tables/service-printer.ts";
import { conditions, localObjectReference, objectReference } from "./meta.ts";
import { pod } from "./pods.ts";

const namespace: Declaration = {
  kind: "Namespace",
  plural: "namespaces",
  about: "A scope for names.",
  isClusterScoped: true,
  shortNames: ["ns"],
  subresources: ["finalize", "status"],
  selectableFields: ["status.phase"],
  nameForm: "label",
  printer: namespacePrinter,
  fields: {
    spec: struct("NamespaceSpec", "Who must agree before the namespace goes.", { finalizers: texts }),
    status: struct("NamespaceStatus", "State of the namespace.", {
      conditions: listMap(
        "type",
        struct("NamespaceCondition", "One aspect of the state.", {
          ...each(text.required(), "status type"),
          ...each(text, "message reason"),
          lastTransitionTime: time,
        }),
      ),
      phase: text.about("Active or Terminating."),
    }),
  },
};

const configSource = struct("NodeConfigSource", "Where the node's settings come from.", {
  configMap: struct("ConfigMapNodeConfigSource", "A ConfigMap.", {
    ...each(text.required(), "kubeletConfigKey name namespace"),
    ...each(text, "resourceVersion uid"),
  }),
});

const nodeStatus = struct("NodeStatus", "What was observed of the node.", {
  addresses: listMap("type", struct("NodeAddress", "An address of the node.", each(text.required(), "address type"))),
  ...each(quantities, "allocatable capacity"),
  conditions: listMap(
    "type",
    struct("NodeCondition", "One aspect of the node's state.", {
      ...each(text.required(), "status type"),
      ...each(text, "message reason"),
      ...each(time, "lastHeartbeatTime lastTransitionTime"),
    }),
  ),
  config: struct("NodeConfigStatus", "Settings in use.", {
    ...each(configSource, "active assigned lastKnownGood"),
    error: text,
  }),
  daemonEndpoints: struct("NodeDaemonEndpoints", "Ports of the node's programs.", {
    kubeletEndpoint: struct("DaemonEndpoint", "A port.", { Port: int32 }),
  }),
  features: struct("NodeFeatures", "What the node can do.", { supplementalGroupsPolicy: bool }),
  images: list(struct("ContainerImage", "An image on the node.", { names: texts, sizeBytes: int64 })),
  nodeInfo: struct("NodeSystemInfo", "Versions and ids of the node.", {
    ...each(
      text,
      "architecture bootID containerRuntimeVersion kernelVersion kubeProxyVersion kubeletVersion machineID " +
        "operatingSystem osImage systemUUID",
    ),
    swap: struct("NodeSwapStatus", "Swap space.", { capacity: int64 }),
  }),
  phase: text,
  runtimeHandlers: list(
    struct("NodeRuntimeHandler", "A way to run containers.", {
      name: text,
      features: struct(
        "NodeRuntimeHandlerFeatures",
        "What it can do.",
        each(bool, "recursiveReadOnlyMounts userNamespaces"),
      ),
    }),
  ),
  volumesAttached: list(struct("AttachedVolume", "A volume.", each(text.required(), "devicePath name"))),
  volumesInUse: texts,
});

const node: Declaration = {
  kind: "Node",
  plural: "nodes",
  about: "A machine on which pods run.",
  isClusterScoped: true,
  shortNames: ["no"],
  subresources: ["status"],
  selectableFields: ["spec.unschedulable"],
  printer: nodePrinter,
  check: checkNode,
  fields: {
    spec: struct("NodeSpec", "Desired state of the node.", {
      configSource,
      ...each(text, "externalID podCIDR providerID"),
      podCIDRs: setOf(text).patched("merge"),
      taints: list(
        struct("Taint", "Keeps pods away that do not tolerate it.", {
          ...each(text.required(), "effect key"),
          timeAdded: time,
          value: text,
        }),
      ),
      unschedulable: bool.about("No new pods."),
    }),
    status: nodeStatus,
  },
};

const podKind: Declaration = {
  kind: "Pod",
  plural: "pods",
  about: "Containers that run together on one node and share an address.",
  shortNames: ["po"],
  categories: ["all"],
  subresources: ["attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "status"],
  hasGeneration: true,
  selectableFields: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  printer: podPrinter,
  fillDefaults: fillPodDefaults,
  check: checkPod,
  fields: pod,
};

const servicePort = struct("ServicePort", "A port of the service.", {
  name: text.about("Name of the port; needed when there are several."),
  port: portNumber.required().about("Port on which the service is reached."),
  targetPort: intOrString.about("Port of the pods, by number or name; `port` when absent."),
  protocol: text.defaults("TCP").oneOf("SCTP", "TCP", "UDP"),
  appProtocol: text.about("What is spoken on the port."),
  nodePort: int32.between(0, 65_535),
});

const serviceSpec = struct("ServiceSpec", "How the service is reached and which pods serve it.", {
  type: text.oneOf("ClusterIP", "ExternalName", "LoadBalancer", "NodePort").about("How the service is made reachable."),
  selector: textMap.atomic().about("Labels of the pods that serve it."),
  ports: listMap("port protocol", servicePort).about("Ports of the service."),
  ...each(text, "clusterIP externalName loadBalancerClass loadBalancerIP"),
  ...each(texts, "clusterIPs externalIPs ipFamilies loadBalancerSourceRanges"),
  sessionAffinity: text.defaults("None").oneOf("ClientIP", "None"),
  sessionAffinityConfig: struct("SessionAffinityConfig", "Settings of session affinity.", {
    clientIP: struct("ClientIPConfig", "By client address.", { timeoutSeconds: int32.between(1, 86_400) }),
  }),
  externalTrafficPolicy: text.oneOf("Cluster", "Local"),
  internalTrafficPolicy: text.oneOf("Cluster", "Local"),
  ipFamilyPolicy: text.oneOf("SingleStack", "PreferDualStack", "RequireDualStack"),
  trafficDistribution: text.about("Which endpoints are preferred, for example PreferClose."),
  ...each(bool, "allocateLoadBalancerNodePorts publishNotReadyAddresses"),
  healthCheckNodePort: int32,
});

const service: Declaration = {
  kind: "Service",
  plural: "services",
  about: "A name and an address for a set of pods.",
  shortNames: ["svc"],
  categories: ["all"],
  subresources: ["status"],
  selectableFields: ["spec.clusterIP", "spec.type"],
  nameForm: "label1035",
  printer: servicePrinter,
  fillDefaults: fillServiceDefaults,
  check: checkService,
  fields: {
    spec: serviceSpec,
    status: struct("ServiceStatus", "State of the service.", {
      conditions,
      loadBalancer: struct("LoadBalancerStatus", "Addresses of the load balancer.", {
        ingress: list(
          struct("LoadBalancerIngress", "An address.", {
            ...each(text, "hostname ip ipMode"),
            ports: list(
              struct("PortStatus", "State of a port.", { error: text, port: int32.required(), protocol: text }),
            ),
          }),
        ),
      }).defaults({}),
    }).defaults({}),
  },
};

const endpointAddress = struct("EndpointAddress", "An address.", {
  ip: text.required(),
  ...each(text, "hostname nodeName"),
  targetRef: objectReference,
}).atomic();

const eventFields = {
  ...each(text, "action message reason"),
  ...each(text, "reportingComponent reportingInstance"),
  type: text.about("Normal or Warning."),
  count: int32,
  eventTime: microTime,
  ...each(time, "firstTimestamp lastTimestamp"),
  involvedObject: objectReference.required().about("What the event is about."),
  related: objectReference,
  series: struct("EventSeries", "A run of like events.", { count: int32, lastObservedTime: microTime }),
  source: struct("EventSource", "Who reported it.", each(text, "component host")),
};

const event: Declaration = {
  kind: "Event",
  plural: "events",
  about: "Something that happened to an object.",
  shortNames: ["ev"],
  selectableFields: [
    ...["kind", "name", "namespace", "uid", "apiVersion", "resourceVersion", "fieldPath"].map(
      (field) => `involvedObject.${field}`,
    ),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  printer: eventPrinter,
  check: checkEvent,
  fields: eventFields,
};

export const coreGroup: GroupDeclaration = {
  group: "",
  version: "v1",
  kinds: [
    namespace,
    node,
    podKind,
    service,
    {
      kind: "ServiceAccount",
      plural: "serviceaccounts",
      about: "An identity for pods.",
      shortNames: ["sa"],
      subresources: ["token"],
      printer: serviceAccountPrinter,
      fields: {
        automountServiceAccountToken: bool,
        imagePullSecrets: list(localObjectReference),
        secrets: listMap("name", objectReference),
      },
    },
    {
      kind: "ConfigMap",
      plural: "configmaps",
      about: "Settings for pods.",
      shortNames: ["cm"],
      printer: configMapPrinter,
      check: checkConfigMap,
      fields: { data: textMap, binaryData: mapOf(bytes), immutable: bool },
    },
    {
      kind: "Secret",
      plural: "secrets",
      about: "Confidential data, in base64.",
      selectableFields: ["type"],
      printer: secretPrinter,
      check: checkSecret,
      fields: {
        data: mapOf(bytes),
        stringData: textMap.about("Plain values that the server writes into `data`."),
        immutable: bool,
        type: text.defaults("Opaque"),
      },
    },
    event,
    {
      kind: "Endpoints",
      plural: "endpoints",
      singular: "endpoints",
      about: "Addresses of a service; EndpointSlice has taken its place.",
      shortNames: ["ep"],
      printer: endpointsPrinter,
      check: checkEndpoints,
      fields: {
        subsets: list(
          struct("EndpointSubset", "Addresses that share ports.", {
            ...each(list(endpointAddress), "addresses notReadyAddresses"),
            ports: list(
              struct("EndpointPort", "A port.", {
                ...each(text, "appProtocol name"),
                port: portNumber.required(),
                protocol: text.defaults("TCP").oneOf("SCTP", "TCP", "UDP"),
              }).atomic(),
            ),
          }),
        ),
      },
    },
  ],
};
