/** apiextensions.k8s.io/v1 and admissionregistration.k8s.io/v1. */
import {
  anyObject,
  bool,
  bytes,
  each,
  int32,
  int64,
  keyedList,
  list,
  listMap,
  object,
  setOf,
  struct,
  text,
  texts,
  time,
} from "../dsl.ts";
import type { Declaration, GroupDeclaration } from "../declaration.ts";
import { checkPolicy, checkPolicyBinding, checkWebhooks } from "../rules/policies.ts";
import { checkDefinition, fillDefinitionDefaults } from "../../crd/definition.ts";
import {
  definitionPrinter,
  policyBindingPrinter,
  policyPrinter,
  webhookPrinter,
} from "../../tables/access-printers.ts";
import { keyedConditions, labelSelector } from "./meta.ts";

const serviceReference = struct("ServiceReference", "A service.", {
  ...each(text.required(), "name namespace"),
  path: text,
  port: int32.defaults(443),
});

const clientConfig = struct("WebhookClientConfig", "How the webhook is called.", {
  caBundle: bytes,
  service: serviceReference,
  url: text,
});

const names = struct("CustomResourceDefinitionNames", "Names of the kind.", {
  ...each(text.required(), "kind plural"),
  ...each(text, "listKind singular"),
  ...each(texts, "categories shortNames"),
});

const version = struct("CustomResourceDefinitionVersion", "One version of the kind.", {
  name: text.required(),
  ...each(bool.required(), "served storage"),
  deprecated: bool,
  deprecationWarning: text,
  schema: struct("CustomResourceValidation", "Schema of the version.", {
    openAPIV3Schema: anyObject.about("A structural OpenAPI v3 schema."),
  }),
  subresources: struct("CustomResourceSubresources", "Subresources that are served.", {
    scale: struct("CustomResourceSubresourceScale", "Where the replica counts are.", {
      ...each(text.required(), "specReplicasPath statusReplicasPath"),
      labelSelectorPath: text,
    }),
    status: anyObject,
  }),
  additionalPrinterColumns: list(
    struct("CustomResourceColumnDefinition", "A column of `kubectl get`.", {
      ...each(text.required(), "jsonPath name type"),
      ...each(text, "description format"),
      priority: int32,
    }),
  ),
  selectableFields: list(struct("SelectableField", "A field to select by.", { jsonPath: text.required() })),
});

export const extensionsGroup: GroupDeclaration = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kinds: [
    {
      kind: "CustomResourceDefinition",
      plural: "customresourcedefinitions",
      about: "Teaches the API server a kind.",
      isClusterScoped: true,
      shortNames: ["crd", "crds"],
      categories: ["api-extensions"],
      subresources: ["status"],
      hasGeneration: true,
      printer: definitionPrinter,
      fillDefaults: fillDefinitionDefaults,
      check: checkDefinition,
      fields: {
        spec: struct("CustomResourceDefinitionSpec", "Group, names and versions.", {
          group: text.required(),
          names: names.required(),
          scope: text.required().oneOf("Cluster", "Namespaced"),
          versions: list(version).required(),
          conversion: struct("CustomResourceConversion", "How versions become each other.", {
            strategy: text.required(),
            webhook: struct("WebhookConversion", "By a webhook.", {
              clientConfig,
              conversionReviewVersions: texts.required(),
            }),
          }),
          preserveUnknownFields: bool,
        }).required(),
        status: struct("CustomResourceDefinitionStatus", "What was observed.", {
          acceptedNames: object({
            ...each(text, "kind plural listKind singular"),
            ...each(texts, "categories shortNames"),
          }),
          conditions: keyedList(
            "type",
            struct("CustomResourceDefinitionCondition", "One aspect of the state.", {
              ...each(text.required(), "status type"),
              ...each(text, "message reason"),
              lastTransitionTime: time,
            }),
          ),
          storedVersions: texts,
        }),
      },
    },
  ],
};

const ruleFields = {
  ...each(texts, "apiGroups apiVersions operations resources"),
  scope: text.defaults("*"),
};

const namedRule = struct("NamedRuleWithOperations", "Requests that match.", {
  ...ruleFields,
  resourceNames: texts,
}).atomic();

const matchResources = struct("MatchResources", "Requests that match.", {
  ...each(list(namedRule), "excludeResourceRules resourceRules"),
  matchPolicy: text.defaults("Equivalent"),
  ...each(labelSelector.defaults({}), "namespaceSelector objectSelector"),
}).atomic();

const matchConditions = listMap(
  "name",
  struct("MatchCondition", "An expression that must hold.", each(text.required(), "expression name")),
);

const webhookFields = {
  name: text.required(),
  admissionReviewVersions: texts,
  clientConfig: clientConfig.required(),
  failurePolicy: text.defaults("Fail").oneOf("Fail", "Ignore"),
  matchConditions,
  matchPolicy: text.defaults("Equivalent").oneOf("Equivalent", "Exact"),
  ...each(labelSelector.defaults({}), "namespaceSelector objectSelector"),
  rules: list(struct("RuleWithOperations", "Requests that match.", ruleFields)),
  sideEffects: text.oneOf("None", "NoneOnDryRun", "Some", "Unknown"),
  timeoutSeconds: int32.defaults(10).between(1, 30),
};

const policySpec = struct("ValidatingAdmissionPolicySpec", "What is checked.", {
  auditAnnotations: list(
    struct("AuditAnnotation", "A note for the audit log.", each(text.required(), "key valueExpression")),
  ),
  failurePolicy: text.defaults("Fail").oneOf("Fail", "Ignore"),
  matchConditions,
  matchConstraints: matchResources,
  paramKind: struct("ParamKind", "Kind of the parameters.", each(text, "apiVersion kind")).atomic(),
  validations: list(
    struct("Validation", "An expression that must hold.", {
      expression: text.required(),
      ...each(text, "message messageExpression reason"),
    }),
  ),
  variables: listMap(
    "name",
    struct("Variable", "A named expression.", each(text.required(), "expression name")).atomic(),
  ),
});

const paramRef = struct("ParamRef", "The parameters.", {
  ...each(text, "name namespace parameterNotFoundAction"),
  selector: labelSelector,
}).atomic();

const stored: Pick<Declaration, "isClusterScoped" | "categories" | "hasGeneration"> = {
  isClusterScoped: true,
  categories: ["api-extensions"],
  hasGeneration: true,
};

export const admissionGroup: GroupDeclaration = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kinds: [
    {
      ...stored,
      kind: "ValidatingAdmissionPolicy",
      plural: "validatingadmissionpolicies",
      about: "Rules on requests.",
      inert: "ValidatingAdmissionPolicy is stored, but this sandbox does not enforce it",
      subresources: ["status"],
      printer: policyPrinter,
      check: checkPolicy,
      fields: {
        spec: policySpec,
        status: struct("ValidatingAdmissionPolicyStatus", "What was observed.", {
          conditions: keyedConditions,
          observedGeneration: int64,
          typeChecking: struct("TypeChecking", "What the type check found.", {
            expressionWarnings: list(
              struct("ExpressionWarning", "A warning.", each(text.required(), "fieldRef warning")),
            ),
          }),
        }),
      },
    },
    {
      ...stored,
      kind: "ValidatingAdmissionPolicyBinding",
      plural: "validatingadmissionpolicybindings",
      about: "Puts a policy to use.",
      inert: "ValidatingAdmissionPolicyBinding is stored, but this sandbox does not enforce it",
      printer: policyBindingPrinter,
      check: checkPolicyBinding,
      fields: {
        spec: struct("ValidatingAdmissionPolicyBindingSpec", "Policy and where it holds.", {
          matchResources,
          paramRef,
          policyName: text,
          validationActions: setOf(text),
        }),
      },
    },
    {
      ...stored,
      kind: "ValidatingWebhookConfiguration",
      plural: "validatingwebhookconfigurations",
      about: "Webhooks that check requests.",
      inert: "ValidatingWebhookConfiguration is stored, but this sandbox calls no webhooks",
      printer: webhookPrinter,
      check: checkWebhooks,
      fields: { webhooks: listMap("name", struct("ValidatingWebhook", "A webhook.", webhookFields)) },
    },
    {
      ...stored,
      kind: "MutatingWebhookConfiguration",
      plural: "mutatingwebhookconfigurations",
      about: "Webhooks that change requests.",
      inert: "MutatingWebhookConfiguration is stored, but this sandbox calls no webhooks",
      printer: webhookPrinter,
      check: checkWebhooks,
      fields: {
        webhooks: listMap(
          "name",
          struct("MutatingWebhook", "A webhook.", {
            ...webhookFields,
            reinvocationPolicy: text.defaults("Never").oneOf("Never", "IfNeeded"),
          }),
        ),
      },
    },
  ],
};
