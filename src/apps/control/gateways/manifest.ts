/** The objects that carry out an east-west Gateway: ServiceAccount, Deployment and Service, named like it. Pure. */
import { engineOptions } from "../../../core/api/engine-options.ts";
import type { KubeObject, OwnerReference, ResourceType } from "../../../core/api/kube.ts";
import type { Gateway } from "../../../core/api/mesh-kinds.ts";
import {
  annotation,
  controlPlaneName,
  label,
  port,
  rootCertConfigMap,
  systemNamespace,
  tokenAudience,
} from "../../../core/api/names.ts";
import type { Container, Volume } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { ControlSettings } from "../settings.ts";
import { checkGateway } from "./check.ts";

/** An object as it is applied: fields left out are not ours. */
export interface Manifest {
  readonly type: Pick<ResourceType, "group" | "version" | "kind" | "plural" | "namespaced">;
  readonly object: KubeObject & Readonly<Record<string, unknown>>;
}

/** The seconds a gateway pod keeps serving open connections after it was told to end. */
const drainSeconds = 20;
const graceSeconds = 30;
const managedValue = "istio.io-eastwest-controller";
const copiedLabels: readonly string[] = [label.exposeIstiod, label.network, label.cluster, label.region, label.zone];

export const gatewayManifests = (gateway: Gateway, settings: ControlSettings): readonly Manifest[] => [
  serviceAccount(gateway, settings),
  deployment(gateway, settings),
  service(gateway, settings),
];

/** Pods of the gateway; never changes, since a Deployment's selector cannot. */
const selectorOf = (gateway: Gateway): Record<string, string> => ({ [label.gatewayName]: gateway.metadata.name });

function labelsOf(gateway: Gateway, settings: ControlSettings): Record<string, string> {
  const own = gateway.metadata.labels ?? {};
  const copied = copiedLabels.flatMap((key) => (own[key] === undefined ? [] : [[key, own[key]] as const]));
  return {
    ...gateway.spec.infrastructure?.labels,
    ...(settings.mesh.network !== "" && { [label.network]: settings.mesh.network }),
    ...Object.fromEntries(copied),
    ...selectorOf(gateway),
    [label.gatewayClassName]: gateway.spec.gatewayClassName,
    [label.gatewayManaged]: managedValue,
    [label.managedBy]: "tombolo",
  };
}

const ownerOf = (gateway: Gateway): OwnerReference => ({
  apiVersion: gateway.apiVersion,
  kind: gateway.kind,
  name: gateway.metadata.name,
  uid: gateway.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

const metadataOf = (gateway: Gateway, settings: ControlSettings, annotations: Record<string, string> = {}) => {
  const all = { ...gateway.spec.infrastructure?.annotations, ...annotations };
  return {
    name: gateway.metadata.name,
    ...(gateway.metadata.namespace !== undefined && { namespace: gateway.metadata.namespace }),
    labels: labelsOf(gateway, settings),
    ...(Object.keys(all).length > 0 && { annotations: all }),
    ownerReferences: [ownerOf(gateway)],
  };
};

const serviceAccount = (gateway: Gateway, settings: ControlSettings): Manifest => ({
  type: builtin.serviceAccounts,
  object: { apiVersion: "v1", kind: "ServiceAccount", metadata: metadataOf(gateway, settings) },
});

/** `spec.replicas` is left out: the API server makes it one, and a user who scales it keeps their number. */
const deployment = (gateway: Gateway, settings: ControlSettings): Manifest => ({
  type: builtin.deployments,
  object: {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadataOf(gateway, settings),
    spec: {
      selector: { matchLabels: selectorOf(gateway) },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: {
            ...labelsOf(gateway, settings),
            [label.dataplaneMode]: "none",
            [label.canonicalName]: gateway.metadata.name,
            [label.canonicalRevision]: "latest",
          },
          annotations: { "prometheus.io/scrape": "true", "prometheus.io/port": String(port.proxyMetrics) },
        },
        spec: {
          serviceAccountName: gateway.metadata.name,
          // So that the agent, which is not root, may read its token and write its state.
          securityContext: { fsGroup: 1337 },
          terminationGracePeriodSeconds: graceSeconds,
          affinity: softAntiAffinity(gateway),
          containers: [container(gateway, settings)],
          volumes,
        },
      },
    },
  },
});

/** Two pods of one gateway rather not on one node. */
const softAntiAffinity = (gateway: Gateway) => ({
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        podAffinityTerm: {
          topologyKey: "kubernetes.io/hostname",
          labelSelector: { matchLabels: selectorOf(gateway) },
        },
      },
    ],
  },
});

const fromField = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

const container = (gateway: Gateway, settings: ControlSettings): Container => ({
  name: "agent",
  image: settings.agentImage,
  imagePullPolicy: settings.imagePullPolicy,
  env: [
    { name: "TOMBOLO_MODE", value: "gateway" },
    { name: "GATEWAY_NAME", value: gateway.metadata.name },
    fromField("NODE_NAME", "spec.nodeName"),
    fromField("POD_NAME", "metadata.name"),
    fromField("POD_NAMESPACE", "metadata.namespace"),
    fromField("POD_IP", "status.podIP"),
    { name: "CONTROL_PLANE", value: `${controlPlaneName}.${systemNamespace}.svc:${port.controlPlane}` },
    { name: "CLUSTER", value: settings.mesh.cluster },
    { name: "NETWORK", value: settings.mesh.network },
    { name: "TRUST_DOMAIN", value: settings.mesh.trustDomain },
    { name: "DRAIN_SECONDS", value: String(drainSeconds) },
    { name: "LOG_LEVEL", value: settings.logLevel },
    engineOptions,
  ],
  ports: [
    { name: "status-port", containerPort: port.readiness, protocol: "TCP" },
    { name: "cross-network", containerPort: port.crossNetwork, protocol: "TCP" },
    { name: "xds-tls", containerPort: port.controlPlane, protocol: "TCP" },
    { name: "metrics", containerPort: port.proxyMetrics, protocol: "TCP" },
  ],
  startupProbe: { httpGet: { path: "/healthz/ready", port: port.readiness }, periodSeconds: 1, failureThreshold: 120 },
  readinessProbe: {
    httpGet: { path: "/healthz/ready", port: port.readiness },
    periodSeconds: 2,
    timeoutSeconds: 3,
    failureThreshold: 3,
  },
  resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "1Gi" } },
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1337,
    runAsGroup: 1337,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  volumeMounts: [
    { name: "token", mountPath: "/var/run/secrets/tokens", readOnly: true },
    { name: "root-cert", mountPath: "/var/run/secrets/istio", readOnly: true },
    { name: "state", mountPath: "/run/tombolo" },
  ],
});

const volumes: readonly Volume[] = [
  {
    name: "token",
    projected: {
      sources: [{ serviceAccountToken: { path: "token", audience: tokenAudience, expirationSeconds: 43_200 } }],
    },
  },
  { name: "root-cert", configMap: { name: rootCertConfigMap } },
  { name: "state", emptyDir: {} },
];

/** A port per listener that is served; inside the pod data and discovery have their fixed ports. */
function service(gateway: Gateway, settings: ControlSettings): Manifest {
  const { listeners, address } = checkGateway(gateway);
  const ports = listeners.flatMap(({ listener, carries, fault }) =>
    fault === undefined
      ? [
          {
            name: listener.name,
            port: listener.port,
            protocol: "TCP",
            targetPort: carries === "control" ? port.controlPlane : port.crossNetwork,
          },
        ]
      : [],
  );
  return {
    type: builtin.services,
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadataOf(gateway, settings, { [annotation.trafficDistribution]: "PreferClose" }),
      spec: {
        type: "LoadBalancer",
        selector: selectorOf(gateway),
        ...(address !== undefined && { loadBalancerIP: address }),
        ports: [{ name: "status-port", port: port.readiness, protocol: "TCP", targetPort: port.readiness }, ...ports],
      },
    },
  };
}
