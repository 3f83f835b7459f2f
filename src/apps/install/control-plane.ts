/** Manifests of the control plane: namespace, identity with least privilege, settings, Deployment and Service. */
import { engineOptions } from "../../core/api/engine-options.ts";
import type { AnyObject } from "../../core/api/kube.ts";
import {
  caSecret,
  clusterDomain,
  controlPlaneName,
  label,
  meshConfigMap,
  port,
  rootCertConfigMap,
  systemNamespace,
} from "../../core/api/names.ts";
import type { InstallSettings } from "./values.ts";

export const partOf = { "app.kubernetes.io/part-of": "tombolo" } as const;

export const imageOf = (settings: InstallSettings, program: string): string =>
  `${settings.image.hub}/${program}:${settings.image.tag}`;

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };
const rule = (group: string, resources: string[], verbs: string[], resourceNames?: string[]): Rule => ({
  apiGroups: [group],
  resources,
  verbs,
  ...(resourceNames === undefined ? {} : { resourceNames }),
});

export const namespace = (settings: InstallSettings): AnyObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: systemNamespace,
    labels: { ...partOf, ...(settings.network === "" ? {} : { [label.network]: settings.network }) },
  },
});

const follow = ["list", "watch"];
const own = ["get", "list", "watch", "create", "patch", "delete"];

/** What the control plane may do in the whole cluster. */
const clusterRules: readonly Rule[] = [
  rule("", ["namespaces", "nodes", "pods"], follow),
  rule("", ["services", "serviceaccounts"], own),
  rule("", ["configmaps"], [...follow, "patch"], [rootCertConfigMap]),
  rule("", ["configmaps"], ["create"]),
  rule("", ["events"], ["create", "patch"]),
  rule("apps", ["deployments"], own),
  rule("networking.istio.io", ["serviceentries", "workloadentries"], [...follow, "get", "create", "update", "delete"]),
  rule("networking.istio.io", ["serviceentries/status"], ["patch"]),
  rule("security.istio.io", ["authorizationpolicies", "peerauthentications"], follow),
  rule("security.istio.io", ["authorizationpolicies/status", "peerauthentications/status"], ["patch"]),
  rule("admin.solo.io", ["segments"], follow),
  rule("admin.solo.io", ["segments/status"], ["patch"]),
  rule("gateway.networking.k8s.io", ["gateways"], follow),
  rule("gateway.networking.k8s.io", ["gatewayclasses"], [...follow, "create"]),
  rule("gateway.networking.k8s.io", ["gateways/status", "gatewayclasses/status"], ["patch"]),
  // Owner references that block deletion need it on clusters that check them.
  rule("gateway.networking.k8s.io", ["gateways/finalizers"], ["update"]),
  rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
];

/** What it may do in istio-system only: its CA, its lease, what it remembers of peers. */
const systemRules: readonly Rule[] = [
  rule("", ["secrets"], follow, [caSecret.pluggedIn, caSecret.selfSigned]),
  rule("", ["secrets"], ["create"]),
  rule("", ["configmaps"], ["list", "create", "patch", "delete"]),
  rule("coordination.k8s.io", ["leases"], ["create"]),
  rule("coordination.k8s.io", ["leases"], ["get", "update"], [controlPlaneName]),
];

const subject = { kind: "ServiceAccount", name: controlPlaneName, namespace: systemNamespace };
const rbac = "rbac.authorization.k8s.io";

const permissions = (): AnyObject[] => [
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: controlPlaneName, namespace: systemNamespace, labels: partOf },
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: controlPlaneName, labels: partOf },
    rules: clusterRules,
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: controlPlaneName, labels: partOf },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: controlPlaneName },
    subjects: [subject],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: { name: controlPlaneName, namespace: systemNamespace, labels: partOf },
    rules: systemRules,
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name: controlPlaneName, namespace: systemNamespace, labels: partOf },
    roleRef: { apiGroup: rbac, kind: "Role", name: controlPlaneName },
    subjects: [subject],
  },
];

/** The file that the control plane reads as its settings: `MeshSettings` of core/mesh and what it needs to make gateways. */
export const meshJson = (settings: InstallSettings): string =>
  JSON.stringify(
    {
      cluster: settings.cluster,
      network: settings.network,
      trustDomain: settings.trustDomain,
      clusterDomain,
      ipAutoallocate: settings.ipAutoallocate,
      skipTrustDomainCheck: settings.skipTrustDomainCheck,
      dnsCapture: settings.dnsCapture,
      agentImage: imageOf(settings, "agent"),
      imagePullPolicy: settings.image.pullPolicy,
      logLevel: settings.logLevel,
    },
    null,
    2,
  );

const configMap = (settings: InstallSettings): AnyObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: meshConfigMap, namespace: systemNamespace, labels: partOf },
  data: { "mesh.json": `${meshJson(settings)}\n` },
});

const service = (): AnyObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: controlPlaneName, namespace: systemNamespace, labels: { ...partOf, app: controlPlaneName } },
  spec: {
    selector: { app: controlPlaneName },
    ports: [
      { name: "tls-xds", port: port.controlPlane, targetPort: port.controlPlane, protocol: "TCP" },
      { name: "http-metrics", port: port.controlPlaneMetrics, targetPort: port.controlPlaneMetrics, protocol: "TCP" },
    ],
  },
});

export const fieldEnv = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });

const container = (settings: InstallSettings): object => ({
  name: "tombolod",
  image: imageOf(settings, "tombolod"),
  imagePullPolicy: settings.image.pullPolicy,
  env: [
    fieldEnv("POD_NAME", "metadata.name"),
    fieldEnv("POD_NAMESPACE", "metadata.namespace"),
    fieldEnv("POD_IP", "status.podIP"),
    fieldEnv("NODE_NAME", "spec.nodeName"),
    engineOptions,
  ],
  ports: [
    { name: "tls-xds", containerPort: port.controlPlane },
    { name: "http-metrics", containerPort: port.controlPlaneMetrics },
    { name: "readiness", containerPort: port.controlPlaneReadiness },
  ],
  readinessProbe: { httpGet: { path: "/healthz/ready", port: port.controlPlaneReadiness }, periodSeconds: 1 },
  livenessProbe: {
    tcpSocket: { port: port.controlPlaneReadiness },
    initialDelaySeconds: 10,
    periodSeconds: 10,
    failureThreshold: 3,
  },
  resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "1Gi" } },
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1337,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  volumeMounts: [{ name: "mesh", mountPath: "/etc/tombolo", readOnly: true }],
});

const deployment = (settings: InstallSettings): AnyObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: controlPlaneName, namespace: systemNamespace, labels: { ...partOf, app: controlPlaneName } },
  spec: {
    replicas: settings.replicas,
    selector: { matchLabels: { app: controlPlaneName } },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: {
        labels: { ...partOf, app: controlPlaneName, [label.dataplaneMode]: "none" },
        // A change of settings must roll the Deployment: the file is read once, at start.
        annotations: { "tombolo/mesh": meshJson(settings).replaceAll(/\s+/g, " ") },
      },
      spec: {
        serviceAccountName: controlPlaneName,
        terminationGracePeriodSeconds: 10,
        containers: [container(settings)],
        volumes: [{ name: "mesh", configMap: { name: meshConfigMap } }],
      },
    },
  },
});

export const controlPlane = (settings: InstallSettings): readonly AnyObject[] => [
  ...permissions(),
  configMap(settings),
  service(),
  deployment(settings),
];
