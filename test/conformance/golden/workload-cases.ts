/** Pods and the kinds that keep them running: what is accepted, with which defaults, and what is refused. */
import type { Fields, GoldenCase, KindUnderTest } from "./case.ts";
import { changing, creating } from "./case.ts";

const labels = { app: "web" };
const container = { name: "c", image: "web:1" };
const template = (more: Fields = {}, containerMore: Fields = {}) => ({
  metadata: { labels },
  spec: { containers: [{ ...container, ...containerMore }], ...more },
});
const selector = { matchLabels: labels };

const pod: KindUnderTest = { kind: "Pod", apiVersion: "v1", plural: "pods" };
const withContainer = (more: Fields) => ({ spec: { containers: [{ ...container, ...more }] } });
const withSpec = (more: Fields) => ({ spec: { containers: [container], ...more } });

const podCases: readonly GoldenCase[] = [
  creating(pod, "the least", withSpec({})),
  creating(
    pod,
    "probes, ports and resources",
    withContainer({
      image: "web",
      ports: [{ containerPort: 80, name: "http" }],
      resources: { limits: { cpu: "1", memory: "64Mi" } },
      readinessProbe: { httpGet: { path: "/", port: "http" } },
      livenessProbe: { tcpSocket: { port: 80 } },
      startupProbe: { grpc: { port: 80 } },
      lifecycle: { preStop: { exec: { command: ["true"] } } },
      env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    }),
  ),
  creating(pod, "volumes of every sort", {
    spec: {
      containers: [{ ...container, volumeMounts: [{ name: "a", mountPath: "/a" }] }],
      volumes: [
        { name: "a", emptyDir: {} },
        { name: "b", configMap: { name: "m" } },
        { name: "c", secret: { secretName: "s" } },
        { name: "d", hostPath: { path: "/tmp" } },
        { name: "e", downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels" } }] } },
        { name: "f", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } },
      ],
    },
  }),
  creating(
    pod,
    "init containers and a sidecar",
    withSpec({
      initContainers: [
        { name: "i", image: "x" },
        { name: "s", image: "y", restartPolicy: "Always" },
      ],
    }),
  ),
  creating(
    pod,
    "tolerations and affinity",
    withSpec({
      tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "k", operator: "In", values: ["v"] }] }],
          },
        },
      },
    }),
  ),
  creating(pod, "no containers", { spec: { containers: [] } }),
  creating(pod, "a container without a name", { spec: { containers: [{ image: "web:1" }] } }),
  creating(pod, "a container without an image", { spec: { containers: [{ name: "c" }] } }),
  creating(pod, "a container's name in capitals", { spec: { containers: [{ name: "C", image: "web:1" }] } }),
  creating(pod, "two containers of one name", { spec: { containers: [container, container] } }),
  creating(pod, "a name in capitals", withSpec({}), "One"),
  creating(pod, "a bad label value", { metadata: { labels: { app: "a b" } }, ...withSpec({}) }),
  creating(pod, "a bad label key", { metadata: { labels: { "a/b/c": "x" } }, ...withSpec({}) }),
  creating(pod, "a bad annotation key", { metadata: { annotations: { "a b": "x" } }, ...withSpec({}) }),
  creating(pod, "an unknown restart policy", withSpec({ restartPolicy: "Sometimes" })),
  creating(pod, "an unknown dns policy", withSpec({ dnsPolicy: "Mine" })),
  creating(pod, "an unknown pull policy", withContainer({ imagePullPolicy: "Often" })),
  creating(pod, "a port of 0", withContainer({ ports: [{ containerPort: 0 }] })),
  creating(pod, "a port of 70000", withContainer({ ports: [{ containerPort: 70_000 }] })),
  creating(
    pod,
    "a port's name that is too long",
    withContainer({ ports: [{ containerPort: 80, name: "a-very-long-name-indeed" }] }),
  ),
  creating(pod, "an unknown protocol", withContainer({ ports: [{ containerPort: 80, protocol: "QUIC" }] })),
  creating(
    pod,
    "two ports of one name",
    withContainer({
      ports: [
        { containerPort: 80, name: "a" },
        { containerPort: 81, name: "a" },
      ],
    }),
  ),
  creating(pod, "a mount of no volume", withContainer({ volumeMounts: [{ name: "none", mountPath: "/a" }] })),
  creating(pod, "two mounts of one path", {
    spec: {
      containers: [
        {
          ...container,
          volumeMounts: [
            { name: "a", mountPath: "/a" },
            { name: "a", mountPath: "/a" },
          ],
        },
      ],
      volumes: [{ name: "a", emptyDir: {} }],
    },
  }),
  creating(
    pod,
    "two volumes of one name",
    withSpec({
      volumes: [
        { name: "a", emptyDir: {} },
        { name: "a", emptyDir: {} },
      ],
    }),
  ),
  creating(pod, "a volume of two sorts", withSpec({ volumes: [{ name: "a", emptyDir: {}, hostPath: { path: "/" } }] })),
  creating(
    pod,
    "a probe of two sorts",
    withContainer({ livenessProbe: { exec: { command: ["a"] }, tcpSocket: { port: 1 } } }),
  ),
  creating(pod, "a probe of no sort", withContainer({ livenessProbe: {} })),
  creating(
    pod,
    "a probe with a negative delay",
    withContainer({ livenessProbe: { tcpSocket: { port: 1 }, initialDelaySeconds: -1 } }),
  ),
  creating(
    pod,
    "a liveness probe with two successes",
    withContainer({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
  ),
  creating(pod, "an environment variable without a name", withContainer({ env: [{ value: "x" }] })),
  creating(
    pod,
    "a value and its source at once",
    withContainer({ env: [{ name: "A", value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
  ),
  creating(
    pod,
    "a field that cannot be an environment variable",
    withContainer({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.none" } } }] }),
  ),
  creating(
    pod,
    "more requested than allowed",
    withContainer({ resources: { limits: { cpu: "1" }, requests: { cpu: "2" } } }),
  ),
  creating(pod, "a quantity that is none", withContainer({ resources: { limits: { cpu: "much" } } })),
  creating(pod, "a bad toleration operator", withSpec({ tolerations: [{ key: "k", operator: "Like" }] })),
  creating(pod, "an unknown service account", withSpec({ serviceAccountName: "nobody" })),
  creating(pod, "an unknown field", withSpec({ container: [] })),
  creating(pod, "text where a number belongs", withSpec({ terminationGracePeriodSeconds: "soon" })),
  creating(pod, "a negative grace", withSpec({ terminationGracePeriodSeconds: -5 })),
  creating(pod, "a hostname with dots", withSpec({ hostname: "a.b" })),
  changing(pod, "another image", withSpec({}), { spec: { containers: [{ name: "c", image: "web:2" }] } }),
  changing(pod, "another command", withSpec({}), { spec: { containers: [{ ...container, command: ["x"] }] } }),
  changing(pod, "another service account", withSpec({}), { spec: { hostname: "other" } }),
];

const deployment: KindUnderTest = { kind: "Deployment", apiVersion: "apps/v1", plural: "deployments" };
const whole = { spec: { selector, template: template() } };

const deploymentCases: readonly GoldenCase[] = [
  creating(deployment, "the least", whole),
  creating(deployment, "recreate", { spec: { ...whole.spec, strategy: { type: "Recreate" }, replicas: 0 } }),
  creating(deployment, "rolling by numbers", {
    spec: { ...whole.spec, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
  }),
  creating(deployment, "no selector", { spec: { template: template() } }),
  creating(deployment, "an empty selector", { spec: { selector: {}, template: template() } }),
  creating(deployment, "a selector that does not match", {
    spec: { selector: { matchLabels: { app: "other" } }, template: template() },
  }),
  creating(deployment, "no template", { spec: { selector } }),
  creating(deployment, "negative replicas", { spec: { ...whole.spec, replicas: -1 } }),
  creating(deployment, "neither surge nor unavailable", {
    spec: { ...whole.spec, strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } },
  }),
  creating(deployment, "recreate with rolling settings", {
    spec: { ...whole.spec, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
  }),
  creating(deployment, "an unknown strategy", { spec: { ...whole.spec, strategy: { type: "Slow" } } }),
  creating(deployment, "a percentage that is none", {
    spec: { ...whole.spec, strategy: { rollingUpdate: { maxSurge: "many" } } },
  }),
  creating(deployment, "a template that does not restart", {
    spec: { selector, template: template({ restartPolicy: "Never" }) },
  }),
  creating(deployment, "a deadline below the readiness", {
    spec: { ...whole.spec, minReadySeconds: 10, progressDeadlineSeconds: 5 },
  }),
  creating(deployment, "a bad container", { spec: { selector, template: template({}, { image: "" }) } }),
  creating(deployment, "replicas as text", { spec: { ...whole.spec, replicas: "two" } }),
  creating(deployment, "no spec", {}),
  changing(deployment, "more replicas", whole, { spec: { replicas: 3 } }),
  changing(deployment, "another selector", whole, { spec: { selector: { matchLabels: { other: "x" } } } }),
];

const replicaSet: KindUnderTest = { kind: "ReplicaSet", apiVersion: "apps/v1", plural: "replicasets" };
const daemonSet: KindUnderTest = { kind: "DaemonSet", apiVersion: "apps/v1", plural: "daemonsets" };
const statefulSet: KindUnderTest = { kind: "StatefulSet", apiVersion: "apps/v1", plural: "statefulsets" };
const revision: KindUnderTest = { kind: "ControllerRevision", apiVersion: "apps/v1", plural: "controllerrevisions" };

const setCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  ReplicaSet: [
    creating(replicaSet, "the least", whole),
    creating(replicaSet, "a selector that does not match", {
      spec: { selector: { matchLabels: { a: "b" } }, template: template() },
    }),
    creating(replicaSet, "negative replicas", { spec: { ...whole.spec, replicas: -1 } }),
    changing(replicaSet, "another selector", whole, { spec: { selector: { matchLabels: { other: "x" } } } }),
  ],
  DaemonSet: [
    creating(daemonSet, "the least", whole),
    creating(daemonSet, "on delete", { spec: { ...whole.spec, updateStrategy: { type: "OnDelete" } } }),
    creating(daemonSet, "neither surge nor unavailable", {
      spec: { ...whole.spec, updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } },
    }),
    creating(daemonSet, "an unknown strategy", { spec: { ...whole.spec, updateStrategy: { type: "Slow" } } }),
    creating(daemonSet, "a selector that does not match", {
      spec: { selector: { matchLabels: { a: "b" } }, template: template() },
    }),
    creating(daemonSet, "a template that does not restart", {
      spec: { selector, template: template({ restartPolicy: "Never" }) },
    }),
    changing(daemonSet, "another selector", whole, { spec: { selector: { matchLabels: { other: "x" } } } }),
  ],
  StatefulSet: [
    creating(statefulSet, "the least", { spec: { ...whole.spec, serviceName: "web" } }),
    creating(statefulSet, "without a service", whole),
    creating(statefulSet, "claims and parallel", {
      spec: {
        ...whole.spec,
        podManagementPolicy: "Parallel",
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
          },
        ],
      },
    }),
    creating(statefulSet, "an unknown management", { spec: { ...whole.spec, podManagementPolicy: "Chaotic" } }),
    creating(statefulSet, "an unknown strategy", { spec: { ...whole.spec, updateStrategy: { type: "Slow" } } }),
    creating(statefulSet, "a negative partition", {
      spec: { ...whole.spec, updateStrategy: { rollingUpdate: { partition: -1 } } },
    }),
    changing(statefulSet, "more replicas", whole, { spec: { replicas: 3 } }),
    changing(statefulSet, "another service", whole, { spec: { serviceName: "other" } }),
  ],
  ControllerRevision: [
    creating(revision, "the least", { data: { spec: {} }, revision: 1 }),
    creating(revision, "without data", { revision: 1 }),
    creating(revision, "a negative revision", { data: {}, revision: -1 }),
    changing(revision, "other data", { data: { a: 1 }, revision: 1 }, { data: { a: 2 } }),
  ],
};

const job: KindUnderTest = { kind: "Job", apiVersion: "batch/v1", plural: "jobs" };
const cronJob: KindUnderTest = { kind: "CronJob", apiVersion: "batch/v1", plural: "cronjobs" };
const once = { spec: { containers: [container], restartPolicy: "Never" } };
const jobSpec = { template: once };

const jobCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  Job: [
    creating(job, "the least", { spec: jobSpec }),
    creating(job, "indexed", { spec: { ...jobSpec, completionMode: "Indexed", completions: 3, parallelism: 2 } }),
    creating(job, "always restarting", {
      spec: { template: { spec: { containers: [container], restartPolicy: "Always" } } },
    }),
    creating(job, "no restart policy", { spec: { template: { spec: { containers: [container] } } } }),
    creating(job, "indexed without completions", { spec: { ...jobSpec, completionMode: "Indexed" } }),
    creating(job, "negative parallelism", { spec: { ...jobSpec, parallelism: -1 } }),
    creating(job, "a selector of one's own", { spec: { ...jobSpec, selector } }),
    creating(job, "an unknown completion mode", { spec: { ...jobSpec, completionMode: "Odd" } }),
    creating(job, "no template", { spec: {} }),
    changing(
      job,
      "another image",
      { spec: jobSpec },
      { spec: { template: { spec: { containers: [{ name: "c", image: "x" }] } } } },
    ),
    changing(job, "suspended", { spec: jobSpec }, { spec: { suspend: true } }),
    changing(job, "more completions", { spec: jobSpec }, { spec: { completions: 5 } }),
  ],
  CronJob: [
    creating(cronJob, "the least", { spec: { schedule: "*/5 * * * *", jobTemplate: { spec: jobSpec } } }),
    creating(cronJob, "by name and in a time zone", {
      spec: { schedule: "@hourly", timeZone: "Etc/UTC", jobTemplate: { spec: jobSpec } },
    }),
    creating(cronJob, "a schedule of four fields", { spec: { schedule: "* * * *", jobTemplate: { spec: jobSpec } } }),
    creating(cronJob, "a schedule that is none", { spec: { schedule: "61 * * * *", jobTemplate: { spec: jobSpec } } }),
    creating(cronJob, "no schedule", { spec: { jobTemplate: { spec: jobSpec } } }),
    creating(cronJob, "an unknown time zone", {
      spec: { schedule: "@daily", timeZone: "Nowhere/Land", jobTemplate: { spec: jobSpec } },
    }),
    creating(cronJob, "an unknown policy", {
      spec: { schedule: "@daily", concurrencyPolicy: "Race", jobTemplate: { spec: jobSpec } },
    }),
    creating(
      cronJob,
      "a name that is too long",
      { spec: { schedule: "@daily", jobTemplate: { spec: jobSpec } } },
      "a".repeat(60),
    ),
  ],
};

export const workloadCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  Pod: podCases,
  Deployment: deploymentCases,
  ...setCases,
  ...jobCases,
};
