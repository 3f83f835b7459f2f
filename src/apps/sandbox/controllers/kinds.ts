/**
 * The kinds that only the sandbox's controllers work on (StatefulSet, Job, ServiceAccount …), and the statuses that they
 * write, which `core/api` leaves open because nothing else of Tombolo reads them.
 */
import type { Condition, KubeObject, Namespace, Service } from "../../../core/api/kube.ts";
import type { DaemonSet, Deployment, LabelSelector, PodTemplate, ReplicaSet } from "../../../core/api/pod.ts";
import { builtin, resourceType } from "../../../core/api/resources.ts";

export interface WorkloadCondition extends Omit<Condition, "observedGeneration"> {
  lastUpdateTime?: string;
}

export interface DeploymentStatus {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  collisionCount?: number;
  conditions?: WorkloadCondition[];
}

export interface RolledDeployment extends KubeObject {
  spec: Deployment["spec"];
  status?: DeploymentStatus;
}

export interface ReplicaSetStatus {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  observedGeneration?: number;
  conditions?: WorkloadCondition[];
}

export interface CountedReplicaSet extends KubeObject {
  spec: ReplicaSet["spec"];
  status?: ReplicaSetStatus;
}

export interface DaemonSetStatus {
  currentNumberScheduled: number;
  desiredNumberScheduled: number;
  numberMisscheduled: number;
  numberReady: number;
  numberAvailable?: number;
  numberUnavailable?: number;
  updatedNumberScheduled?: number;
  observedGeneration?: number;
}

export interface CountedDaemonSet extends KubeObject {
  spec: DaemonSet["spec"] & { revisionHistoryLimit?: number };
  status?: DaemonSetStatus;
}

export interface StatefulSet extends KubeObject {
  spec: {
    replicas?: number;
    serviceName?: string;
    selector: LabelSelector;
    template: PodTemplate;
    podManagementPolicy?: "OrderedReady" | "Parallel";
    updateStrategy?: { type?: "RollingUpdate" | "OnDelete"; rollingUpdate?: { partition?: number } };
    minReadySeconds?: number;
    ordinals?: { start?: number };
    revisionHistoryLimit?: number;
    volumeClaimTemplates?: { metadata: { name: string } }[];
  };
  status?: StatefulSetStatus;
}

export interface StatefulSetStatus {
  replicas: number;
  readyReplicas?: number;
  availableReplicas?: number;
  currentReplicas?: number;
  updatedReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
  observedGeneration?: number;
}

export interface Job extends KubeObject {
  spec: {
    completions?: number;
    parallelism?: number;
    backoffLimit?: number;
    activeDeadlineSeconds?: number;
    ttlSecondsAfterFinished?: number;
    suspend?: boolean;
    template: PodTemplate;
  };
  status?: JobStatus;
}

export interface JobStatus {
  active?: number;
  ready?: number;
  succeeded?: number;
  failed?: number;
  startTime?: string;
  completionTime?: string;
  conditions?: {
    type: string;
    status: string;
    reason?: string;
    message?: string;
    lastProbeTime?: string;
    lastTransitionTime?: string;
  }[];
}

/** A template that a DaemonSet or StatefulSet had, as a patch of its owner. */
export interface ControllerRevision extends KubeObject {
  data?: { spec?: { template?: Partial<PodTemplate> & { $patch?: "replace" } } };
  revision: number;
}

export interface CronJob extends KubeObject {
  spec: {
    schedule: string;
    timeZone?: string;
    concurrencyPolicy?: "Allow" | "Forbid" | "Replace";
    suspend?: boolean;
    startingDeadlineSeconds?: number;
    successfulJobsHistoryLimit?: number;
    failedJobsHistoryLimit?: number;
    jobTemplate: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: Job["spec"];
    };
  };
  status?: CronJobStatus;
}

export interface CronJobStatus {
  active?: { apiVersion: string; kind: string; name: string; namespace: string; uid: string }[];
  lastScheduleTime?: string;
  lastSuccessfulTime?: string;
}

/** A Namespace with the finalizers that its deletion waits for. */
export interface FinalizedNamespace extends KubeObject {
  spec?: { finalizers?: string[] };
  status?: NonNullable<Namespace["status"]>;
}

/** A Service with the fields by which an address is asked for and given. */
export interface BalancedService extends KubeObject {
  spec: Service["spec"] & { loadBalancerIP?: string };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string; ipMode?: string }[] } };
}

/** One line of `kubectl get events`. */
export interface KubeEvent extends KubeObject {
  involvedObject: {
    apiVersion?: string;
    kind?: string;
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
  };
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
  source: { component: string };
  reportingComponent: string;
  reportingInstance: string;
}

/** What `spec.tolerations` of a pod holds; `core/api` leaves it open. */
export interface Toleration {
  key?: string;
  operator?: "Exists" | "Equal";
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

export const kinds = {
  namespaces: resourceType<FinalizedNamespace>("", "v1", "Namespace", "namespaces", false),
  nodes: builtin.nodes,
  pods: builtin.pods,
  services: resourceType<BalancedService>("", "v1", "Service", "services"),
  serviceAccounts: builtin.serviceAccounts,
  configMaps: builtin.configMaps,
  events: resourceType<KubeEvent>("", "v1", "Event", "events"),
  deployments: resourceType<RolledDeployment>("apps", "v1", "Deployment", "deployments"),
  replicaSets: resourceType<CountedReplicaSet>("apps", "v1", "ReplicaSet", "replicasets"),
  daemonSets: resourceType<CountedDaemonSet>("apps", "v1", "DaemonSet", "daemonsets"),
  statefulSets: resourceType<StatefulSet>("apps", "v1", "StatefulSet", "statefulsets"),
  jobs: resourceType<Job>("batch", "v1", "Job", "jobs"),
  cronJobs: resourceType<CronJob>("batch", "v1", "CronJob", "cronjobs"),
  controllerRevisions: resourceType<ControllerRevision>("apps", "v1", "ControllerRevision", "controllerrevisions"),
  endpointSlices: builtin.endpointSlices,
  leases: builtin.leases,
} as const;
