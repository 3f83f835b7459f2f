/** apps/v1: kinds that keep pods running. */
import {
  anyObject,
  bool,
  each,
  type Field,
  fieldsOf,
  int32,
  int64,
  intOrString,
  list,
  listMap,
  struct,
  text,
  time,
} from "../dsl.ts";
import type { GroupDeclaration } from "../declaration.ts";
import {
  checkControllerRevision,
  checkDaemonSet,
  checkDeployment,
  checkReplicaSet,
  checkStatefulSet,
  fillDaemonSetDefaults,
  fillDeploymentDefaults,
  fillReplicaSetDefaults,
  fillStatefulSetDefaults,
} from "../rules/workloads.ts";
import {
  controllerRevisionPrinter,
  daemonSetPrinter,
  deploymentPrinter,
  replicaSetPrinter,
  statefulSetPrinter,
} from "../../tables/apps-printers.ts";
import { labelSelector, objectMeta } from "./meta.ts";
import { podTemplate } from "./pods.ts";
import { volumeClaimSpec } from "./pod-volumes.ts";

const workloadCondition = (name: string) =>
  struct(name, "One aspect of the state.", {
    ...each(text.required(), "status type"),
    ...each(text, "message reason"),
    lastTransitionTime: time,
  });

const deploymentCondition = struct("DeploymentCondition", "One aspect of the state.", {
  ...fieldsOf(workloadCondition("DeploymentCondition")),
  lastUpdateTime: time,
});

const selector = labelSelector.about("Selects the pods; must match the template's labels.");
const template = podTemplate.about("From what pods are made.");
const replicas = int32.defaults(1).atLeast(0).about("How many pods are wanted.");
const minReadySeconds = int32.atLeast(0).about("How long a pod must be ready to count as available.");
const history = int32.defaults(10).atLeast(0);

const rollingUpdate = (name: string): Field =>
  struct(name, "How far an update may go at once.", { maxSurge: intOrString, maxUnavailable: intOrString });

const claim = struct("PersistentVolumeClaim", "A claim made for each pod.", {
  apiVersion: text.defaults("v1"),
  kind: text.defaults("PersistentVolumeClaim"),
  metadata: objectMeta,
  spec: volumeClaimSpec,
  status: anyObject.defaults({ phase: "Pending" }),
});

const common = { categories: ["all"], hasGeneration: true } as const;

export const appsGroup: GroupDeclaration = {
  group: "apps",
  version: "v1",
  kinds: [
    {
      ...common,
      kind: "Deployment",
      plural: "deployments",
      about: "Keeps a number of like pods running and rolls out changes.",
      shortNames: ["deploy"],
      subresources: ["scale", "status"],
      printer: deploymentPrinter,
      fillDefaults: fillDeploymentDefaults,
      check: checkDeployment,
      fields: {
        spec: struct("DeploymentSpec", "Desired state.", {
          replicas,
          selector,
          template,
          strategy: struct("DeploymentStrategy", "How old pods are replaced.", {
            type: text,
            rollingUpdate: rollingUpdate("RollingUpdateDeployment"),
          }).patched("retainKeys"),
          minReadySeconds,
          revisionHistoryLimit: history,
          progressDeadlineSeconds: int32.defaults(600).atLeast(0),
          paused: bool,
        }).required(),
        status: struct("DeploymentStatus", "What was observed.", {
          ...each(
            int32,
            "availableReplicas collisionCount readyReplicas replicas terminatingReplicas unavailableReplicas " +
              "updatedReplicas",
          ),
          conditions: listMap("type", deploymentCondition),
          observedGeneration: int64,
        }),
      },
    },
    {
      ...common,
      kind: "ReplicaSet",
      plural: "replicasets",
      about: "Keeps a number of like pods running.",
      shortNames: ["rs"],
      subresources: ["scale", "status"],
      selectableFields: ["status.replicas"],
      printer: replicaSetPrinter,
      fillDefaults: fillReplicaSetDefaults,
      check: checkReplicaSet,
      fields: {
        spec: struct("ReplicaSetSpec", "Desired state.", { replicas, selector, template, minReadySeconds }).required(),
        status: struct("ReplicaSetStatus", "What was observed.", {
          replicas: int32.defaults(0),
          ...each(int32, "availableReplicas fullyLabeledReplicas readyReplicas terminatingReplicas"),
          conditions: listMap("type", workloadCondition("ReplicaSetCondition")),
          observedGeneration: int64,
        }).defaults({}),
      },
    },
    {
      ...common,
      kind: "DaemonSet",
      plural: "daemonsets",
      about: "Runs one pod on every node.",
      shortNames: ["ds"],
      subresources: ["status"],
      printer: daemonSetPrinter,
      fillDefaults: fillDaemonSetDefaults,
      check: checkDaemonSet,
      fields: {
        spec: struct("DaemonSetSpec", "Desired state.", {
          selector,
          template,
          updateStrategy: struct("DaemonSetUpdateStrategy", "How old pods are replaced.", {
            type: text,
            rollingUpdate: rollingUpdate("RollingUpdateDaemonSet"),
          }),
          minReadySeconds,
          revisionHistoryLimit: history,
        }).required(),
        status: struct("DaemonSetStatus", "What was observed.", {
          ...each(int32.defaults(0), "currentNumberScheduled desiredNumberScheduled numberMisscheduled numberReady"),
          ...each(int32, "collisionCount numberAvailable numberUnavailable updatedNumberScheduled"),
          conditions: listMap("type", workloadCondition("DaemonSetCondition")),
          observedGeneration: int64,
        }).defaults({}),
      },
    },
    {
      ...common,
      kind: "StatefulSet",
      plural: "statefulsets",
      about: "Runs numbered pods with stable names.",
      shortNames: ["sts"],
      subresources: ["scale", "status"],
      printer: statefulSetPrinter,
      fillDefaults: fillStatefulSetDefaults,
      check: checkStatefulSet,
      fields: {
        spec: struct("StatefulSetSpec", "Desired state.", {
          replicas,
          selector,
          template,
          serviceName: text.about("Service that gives the pods their names."),
          podManagementPolicy: text.defaults("OrderedReady"),
          updateStrategy: struct("StatefulSetUpdateStrategy", "How old pods are replaced.", {
            type: text,
            rollingUpdate: struct("RollingUpdateStatefulSetStrategy", "How far an update goes.", {
              maxUnavailable: intOrString,
              partition: int32.atLeast(0),
            }),
          }),
          minReadySeconds,
          revisionHistoryLimit: history,
          ordinals: struct("StatefulSetOrdinals", "How pods are numbered.", { start: int32.atLeast(0) }),
          persistentVolumeClaimRetentionPolicy: struct(
            "StatefulSetPersistentVolumeClaimRetentionPolicy",
            "What becomes of claims.",
            each(text.defaults("Retain").oneOf("Retain", "Delete"), "whenDeleted whenScaled"),
          ).defaults({}),
          volumeClaimTemplates: list(claim),
        }).required(),
        status: struct("StatefulSetStatus", "What was observed.", {
          ...each(int32.defaults(0), "availableReplicas replicas"),
          ...each(int32, "collisionCount currentReplicas readyReplicas updatedReplicas"),
          ...each(text, "currentRevision updateRevision"),
          conditions: listMap("type", workloadCondition("StatefulSetCondition")),
          observedGeneration: int64,
        }).defaults({}),
      },
    },
    {
      kind: "ControllerRevision",
      plural: "controllerrevisions",
      about: "A template that a DaemonSet or StatefulSet had, for `kubectl rollout undo`.",
      printer: controllerRevisionPrinter,
      check: checkControllerRevision,
      fields: {
        data: anyObject.atomic().about("What the owner looked like, as a patch."),
        revision: int64.required().about("Grows with every change."),
      },
    },
  ],
};
