/** rbac.authorization.k8s.io/v1, authentication.k8s.io/v1 and authorization.k8s.io/v1. */
import { bool, each, list, mapOf, struct, text, texts } from "../dsl.ts";
import type { Declaration, GroupDeclaration } from "../declaration.ts";
import { checkRoleBinding, fillRoleBindingDefaults } from "../rules/access.ts";
import { checkRules } from "../rules/policies.ts";
import { clusterRolePrinter, roleBindingPrinter, rolePrinter } from "../../tables/access-printers.ts";
import { labelSelector } from "./meta.ts";

const rules = list(
  struct("PolicyRule", "Verbs that are allowed on resources.", {
    ...each(texts, "apiGroups nonResourceURLs resourceNames resources"),
    verbs: texts,
  }),
);

const roleRef = struct("RoleRef", "The role that is granted.", {
  ...each(text, "apiGroup kind name"),
}).atomic();

const subjects = list(
  struct("Subject", "Who gets the role.", {
    ...each(text.required(), "kind name"),
    ...each(text, "apiGroup namespace"),
  }).atomic(),
);

const binding = {
  nameForm: "path",
  printer: roleBindingPrinter,
  fillDefaults: fillRoleBindingDefaults,
  check: checkRoleBinding,
  fields: { roleRef, subjects },
} as const;

export const rbacGroup: GroupDeclaration = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kinds: [
    {
      kind: "Role",
      plural: "roles",
      about: "Rights in one namespace.",
      nameForm: "path",
      check: checkRules,
      printer: rolePrinter,
      fields: { rules },
    },
    { ...binding, kind: "RoleBinding", plural: "rolebindings", about: "Grants a role in one namespace." },
    {
      kind: "ClusterRole",
      plural: "clusterroles",
      about: "Rights in the whole cluster.",
      isClusterScoped: true,
      nameForm: "path",
      check: checkRules,
      printer: clusterRolePrinter,
      fields: {
        aggregationRule: struct("AggregationRule", "Roles to gather rules from.", {
          clusterRoleSelectors: list(labelSelector),
        }),
        rules,
      },
    },
    {
      ...binding,
      kind: "ClusterRoleBinding",
      plural: "clusterrolebindings",
      about: "Grants a role in the whole cluster.",
      isClusterScoped: true,
    },
  ],
};

const review = (kind: string, plural: string, about: string, fields: Declaration["fields"]): Declaration => ({
  kind,
  plural,
  about,
  fields,
  isClusterScoped: true,
  verbs: ["create"],
  nameForm: "any",
});

const extra = mapOf(texts);
const userInfo = struct("UserInfo", "A user.", { ...each(text, "uid username"), extra, groups: texts });

export const authenticationGroup: GroupDeclaration = {
  group: "authentication.k8s.io",
  version: "v1",
  kinds: [
    review("TokenReview", "tokenreviews", "Asks whose a token is.", {
      spec: struct("TokenReviewSpec", "The token.", { audiences: texts, token: text }).required(),
      status: struct("TokenReviewStatus", "The answer.", {
        audiences: texts,
        authenticated: bool,
        error: text,
        user: userInfo,
      }),
    }),
    review("SelfSubjectReview", "selfsubjectreviews", "Asks who the caller is.", {
      status: struct("SelfSubjectReviewStatus", "The answer.", { userInfo }),
    }),
  ],
};

const selectorRequirements = (name: string) =>
  list(struct(name, "A key, an operator and values.", { ...each(text.required(), "key operator"), values: texts }));

const attributes = {
  nonResourceAttributes: struct("NonResourceAttributes", "A path.", each(text, "path verb")),
  resourceAttributes: struct("ResourceAttributes", "A resource.", {
    ...each(text, "group name namespace resource subresource verb version"),
    fieldSelector: struct("FieldSelectorAttributes", "By field.", {
      rawSelector: text,
      requirements: selectorRequirements("FieldSelectorRequirement"),
    }),
    labelSelector: struct("LabelSelectorAttributes", "By label.", {
      rawSelector: text,
      requirements: selectorRequirements("LabelSelectorRequirement"),
    }),
  }),
};

const reviewStatus = struct("SubjectAccessReviewStatus", "The answer.", {
  ...each(bool, "allowed denied"),
  ...each(text, "evaluationError reason"),
});

export const authorizationGroup: GroupDeclaration = {
  group: "authorization.k8s.io",
  version: "v1",
  kinds: [
    review("SelfSubjectAccessReview", "selfsubjectaccessreviews", "Asks whether the caller may do something.", {
      spec: struct("SelfSubjectAccessReviewSpec", "What is to be done.", attributes).required(),
      status: reviewStatus,
    }),
    review("SubjectAccessReview", "subjectaccessreviews", "Asks whether somebody may do something.", {
      spec: struct("SubjectAccessReviewSpec", "What is to be done, and by whom.", {
        ...attributes,
        ...each(text, "uid user"),
        extra,
        groups: texts,
      }).required(),
      status: reviewStatus,
    }),
    review("SelfSubjectRulesReview", "selfsubjectrulesreviews", "Asks what the caller may do in a namespace.", {
      spec: struct("SelfSubjectRulesReviewSpec", "The namespace.", { namespace: text }).required(),
      status: struct("SubjectRulesReviewStatus", "The answer.", {
        evaluationError: text,
        incomplete: bool,
        nonResourceRules: list(struct("NonResourceRule", "Paths.", { nonResourceURLs: texts, verbs: texts })),
        resourceRules: list(
          struct("ResourceRule", "Resources.", each(texts, "apiGroups resourceNames resources verbs")),
        ),
      }),
    }),
  ],
};
