/** Manifests of the agent: a DaemonSet in the node's network that captures pods and runs the node's Envoy. */
import { engineOptions } from "../../core/api/engine-options.ts";
import type { AnyObject } from "../../core/api/kube.ts";
import {
  agentName,
  controlPlaneName,
  label,
  port,
  rootCertConfigMap,
  systemNamespace,
  tokenAudience,
} from "../../core/api/names.ts";
import { fieldEnv, imageOf, partOf } from "./control-plane.ts";
import type { InstallSettings } from "./values.ts";

const rbac = "rbac.authorization.k8s.io";

/** It watches pods to capture them, and marks the captured ones; it never reads secrets. */
const permissions = (): AnyObject[] => [
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: agentName, namespace: systemNamespace, labels: partOf },
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: agentName, labels: partOf },
    rules: [
      { apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["get", "list", "watch"] },
      { apiGroups: [""], resources: ["pods"], verbs: ["patch"] },
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: agentName, labels: partOf },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: agentName },
    subjects: [{ kind: "ServiceAccount", name: agentName, namespace: systemNamespace }],
  },
];

/** It asks whether its own DaemonSet is gone, which is how the mesh leaves a node. */
const ownDaemonSet = (): AnyObject[] => [
  {
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: { name: agentName, namespace: systemNamespace, labels: partOf },
    rules: [{ apiGroups: ["apps"], resources: ["daemonsets"], resourceNames: [agentName], verbs: ["get"] }],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name: agentName, namespace: systemNamespace, labels: partOf },
    roleRef: { apiGroup: rbac, kind: "Role", name: agentName },
    subjects: [{ kind: "ServiceAccount", name: agentName, namespace: systemNamespace }],
  },
];

/** Folders of the node in which its container runtime looks for CNI plugins and their configuration. */
const cniFolders = ({ cni }: InstallSettings) =>
  cni.isEnabled
    ? [
        { name: "cni-bin", variable: "CNI_BIN_DIR", path: cni.binDir, mountPath: "/host/opt/cni/bin" },
        { name: "cni-conf", variable: "CNI_CONF_DIR", path: cni.confDir, mountPath: "/host/etc/cni/net.d" },
      ]
    : [];

const volumes = (settings: InstallSettings): object[] => [
  {
    name: "token",
    projected: {
      sources: [{ serviceAccountToken: { path: "token", audience: tokenAudience, expirationSeconds: 43200 } }],
    },
  },
  { name: "root-cert", configMap: { name: rootCertConfigMap } },
  { name: "netns", hostPath: { path: "/run/netns", type: "DirectoryOrCreate" } },
  { name: "state", hostPath: { path: "/run/tombolo", type: "DirectoryOrCreate" } },
  ...cniFolders(settings).map(({ name, path }) => ({ name, hostPath: { path, type: "DirectoryOrCreate" } })),
];

const container = (settings: InstallSettings): object => ({
  name: "agent",
  image: imageOf(settings, "agent"),
  imagePullPolicy: settings.image.pullPolicy,
  env: [
    { name: "TOMBOLO_MODE", value: "node" },
    fieldEnv("NODE_NAME", "spec.nodeName"),
    fieldEnv("NODE_IP", "status.hostIP"),
    fieldEnv("POD_NAME", "metadata.name"),
    fieldEnv("POD_NAMESPACE", "metadata.namespace"),
    { name: "CONTROL_PLANE", value: `${controlPlaneName}.${systemNamespace}.svc:${port.controlPlane}` },
    { name: "CLUSTER", value: settings.cluster },
    { name: "NETWORK", value: settings.network },
    { name: "TRUST_DOMAIN", value: settings.trustDomain },
    { name: "SKIP_VALIDATE_TRUST_DOMAIN", value: String(settings.skipTrustDomainCheck) },
    { name: "DNS_CAPTURE", value: String(settings.dnsCapture) },
    { name: "LOG_LEVEL", value: settings.logLevel },
    engineOptions,
    ...cniFolders(settings).map(({ variable, mountPath }) => ({ name: variable, value: mountPath })),
  ],
  ports: [
    { name: "metrics", containerPort: port.proxyMetrics },
    { name: "readiness", containerPort: port.readiness },
  ],
  readinessProbe: { httpGet: { path: "/healthz/ready", port: port.readiness }, periodSeconds: 1 },
  resources: { requests: { cpu: "100m", memory: "192Mi" }, limits: { memory: "1Gi" } },
  // It enters the network namespaces of pods (SYS_ADMIN), sets up capture there (NET_ADMIN) and finds them (SYS_PTRACE).
  securityContext: {
    privileged: false,
    runAsUser: 0,
    capabilities: {
      drop: ["ALL"],
      add: ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_ADMIN", "SYS_PTRACE", "DAC_OVERRIDE", "DAC_READ_SEARCH"],
    },
  },
  volumeMounts: [
    { name: "token", mountPath: "/var/run/secrets/tokens", readOnly: true },
    { name: "root-cert", mountPath: "/var/run/secrets/istio", readOnly: true },
    { name: "netns", mountPath: "/run/netns", mountPropagation: "HostToContainer" },
    { name: "state", mountPath: "/run/tombolo" },
    ...cniFolders(settings).map(({ name, mountPath }) => ({ name, mountPath })),
  ],
});

const daemonSet = (settings: InstallSettings): AnyObject => ({
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: agentName, namespace: systemNamespace, labels: { ...partOf, app: agentName } },
  spec: {
    selector: { matchLabels: { app: agentName } },
    updateStrategy: { rollingUpdate: { maxUnavailable: 1 } },
    template: {
      metadata: { labels: { ...partOf, app: agentName, [label.dataplaneMode]: "none" } },
      spec: {
        serviceAccountName: agentName,
        hostNetwork: true,
        hostPID: true,
        dnsPolicy: "ClusterFirstWithHostNet",
        priorityClassName: "system-node-critical",
        terminationGracePeriodSeconds: 10,
        tolerations: [{ operator: "Exists" }],
        containers: [container(settings)],
        volumes: volumes(settings),
      },
    },
  },
});

export const agent = (settings: InstallSettings): readonly AnyObject[] => [
  ...permissions(),
  ...ownDaemonSet(),
  daemonSet(settings),
];
