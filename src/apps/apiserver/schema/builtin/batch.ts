/** batch/v1: pods that run to completion. */
import { atomicListMergedBy, bool, each, int32, int64, list, setOf, struct, text, time } from "../dsl.ts";
import type { GroupDeclaration } from "../declaration.ts";
import { checkCronJob, checkJob, fillCronJobDefaults, fillJobDefaults } from "../rules/jobs.ts";
import { cronJobPrinter, jobPrinter } from "../../tables/apps-printers.ts";
import { labelSelector, objectMeta, objectReference } from "./meta.ts";
import { podTemplate } from "./pods.ts";

const podFailurePolicy = struct("PodFailurePolicy", "What a failed pod means for the job.", {
  rules: list(
    struct("PodFailurePolicyRule", "One rule.", {
      action: text.required(),
      onExitCodes: struct("PodFailurePolicyOnExitCodesRequirement", "By exit code.", {
        containerName: text,
        operator: text.required(),
        values: setOf(int32).required(),
      }),
      onPodConditions: list(
        struct("PodFailurePolicyOnPodConditionsPattern", "By condition.", {
          status: text.defaults("True"),
          type: text.required(),
        }),
      ),
    }),
  ).required(),
});

const successPolicy = struct("SuccessPolicy", "When the job counts as succeeded.", {
  rules: list(struct("SuccessPolicyRule", "One rule.", { succeededCount: int32, succeededIndexes: text })).required(),
});

const jobSpec = struct("JobSpec", "Desired state.", {
  template: podTemplate,
  parallelism: int32.atLeast(0).about("How many pods may run at once."),
  completions: int32.atLeast(0).about("How many pods must succeed."),
  backoffLimit: int32.atLeast(0).about("Failed pods until the job fails."),
  activeDeadlineSeconds: int64.atLeast(1),
  ...each(int32.atLeast(0), "backoffLimitPerIndex maxFailedIndexes ttlSecondsAfterFinished"),
  completionMode: text.oneOf("NonIndexed", "Indexed"),
  manualSelector: bool,
  managedBy: text,
  selector: labelSelector,
  suspend: bool,
  podFailurePolicy,
  podReplacementPolicy: text.oneOf("Failed", "TerminatingOrFailed"),
  successPolicy,
});

const jobCondition = struct("JobCondition", "One aspect of the state.", {
  ...each(text.required(), "status type"),
  ...each(text, "message reason"),
  ...each(time, "lastProbeTime lastTransitionTime"),
});

const jobTemplate = struct("JobTemplateSpec", "From what jobs are made.", { metadata: objectMeta, spec: jobSpec });

export const batchGroup: GroupDeclaration = {
  group: "batch",
  version: "v1",
  kinds: [
    {
      kind: "Job",
      plural: "jobs",
      about: "Runs pods until enough of them succeeded.",
      categories: ["all"],
      subresources: ["status"],
      hasGeneration: true,
      selectableFields: ["status.successful"],
      printer: jobPrinter,
      fillDefaults: fillJobDefaults,
      check: checkJob,
      fields: {
        spec: jobSpec.required(),
        status: struct("JobStatus", "What was observed.", {
          ...each(int32, "active failed ready succeeded terminating"),
          ...each(text, "completedIndexes failedIndexes"),
          ...each(time, "completionTime startTime"),
          conditions: atomicListMergedBy("type", jobCondition),
          uncountedTerminatedPods: struct("UncountedTerminatedPods", "Ended pods not yet counted.", {
            ...each(setOf(text), "failed succeeded"),
          }),
        }),
      },
    },
    {
      kind: "CronJob",
      plural: "cronjobs",
      about: "Makes jobs on a schedule.",
      shortNames: ["cj"],
      categories: ["all"],
      subresources: ["status"],
      hasGeneration: true,
      printer: cronJobPrinter,
      fillDefaults: fillCronJobDefaults,
      check: checkCronJob,
      fields: {
        spec: struct("CronJobSpec", "Desired state.", {
          schedule: text.required().about("When, as five fields of cron."),
          jobTemplate: jobTemplate.required(),
          concurrencyPolicy: text.defaults("Allow").oneOf("Allow", "Forbid", "Replace"),
          failedJobsHistoryLimit: int32.defaults(1).atLeast(0),
          successfulJobsHistoryLimit: int32.defaults(3).atLeast(0),
          startingDeadlineSeconds: int64,
          suspend: bool.defaults(false),
          timeZone: text,
        }).required(),
        status: struct("CronJobStatus", "What was observed.", {
          active: list(objectReference),
          ...each(time, "lastScheduleTime lastSuccessfulTime"),
        }),
      },
    },
  ],
};
