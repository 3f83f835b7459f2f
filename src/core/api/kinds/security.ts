/** AuthorizationPolicy and PeerAuthentication (security.istio.io; spec.md 4.5 and 4.6). */
import {
  age,
  conditions,
  type JsonSchema,
  type KindDefinition,
  list,
  oneOf,
  record,
  stringMap,
  text,
} from "../definition.ts";
import { type AuthorizationPolicy, meshKinds, type PeerAuthentication } from "../mesh-kinds.ts";

const strings = list(text(undefined, { maxLength: 1024 }), { maxItems: 512 });
const withNegations = (names: readonly string[]): JsonSchema =>
  record(
    Object.fromEntries(
      names.flatMap((name) => [
        [name, strings],
        [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`, strings],
      ]),
    ),
  );

const rule = record({
  from: list(
    record({
      source: withNegations([
        "principals",
        "requestPrincipals",
        "namespaces",
        "serviceAccounts",
        "ipBlocks",
        "remoteIpBlocks",
      ]),
    }),
    { maxItems: 512 },
  ),
  to: list(record({ operation: withNegations(["hosts", "ports", "methods", "paths"]) }), { maxItems: 512 }),
  when: list(record({ key: text(), values: strings, notValues: strings }, ["key"]), { maxItems: 512 }),
});

const selector = record({ matchLabels: { ...stringMap, maxProperties: 4096 } });
const targetRefs = list(
  record({ group: text(undefined, { maxLength: 253 }), kind: text(), name: text(), namespace: text() }, [
    "kind",
    "name",
  ]),
  { maxItems: 16 },
);
const status = record({ conditions, observedGeneration: { type: "integer", format: "int64" } });

export const authorizationPolicy: KindDefinition<AuthorizationPolicy> = {
  resource: meshKinds.authorizationPolicies,
  singular: "authorizationpolicy",
  shortNames: ["ap"],
  categories: ["istio-io", "security-istio-io"],
  versions: ["v1", "v1beta1"],
  description: "Who may reach which workloads.",
  isSpecRequired: false,
  spec: record(
    {
      selector,
      targetRefs,
      action: oneOf(["ALLOW", "DENY", "AUDIT", "CUSTOM"]),
      rules: list(rule, { maxItems: 512 }),
      provider: record({ name: text() }),
    },
    [],
    {
      "x-kubernetes-validations": [
        {
          rule: "!(has(self.selector) && has(self.targetRefs))",
          message: "only one of selector or targetRefs can be set",
        },
      ],
    },
  ),
  status,
  columns: [{ name: "Action", type: "string", jsonPath: ".spec.action" }, age],
};

const mutualTls = record({ mode: oneOf(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]) });

export const peerAuthentication: KindDefinition<PeerAuthentication> = {
  resource: meshKinds.peerAuthentications,
  singular: "peerauthentication",
  shortNames: ["pa"],
  categories: ["istio-io", "security-istio-io"],
  versions: ["v1", "v1beta1"],
  description: "Whether workloads accept connections without mutual TLS.",
  isSpecRequired: false,
  spec: record(
    {
      selector,
      mtls: mutualTls,
      portLevelMtls: { type: "object", additionalProperties: mutualTls, maxProperties: 128 },
    },
    [],
    {
      "x-kubernetes-validations": [
        {
          rule: "!has(self.portLevelMtls) || has(self.selector)",
          message: "portLevelMtls requires a selector",
        },
      ],
    },
  ),
  status,
  columns: [{ name: "Mode", type: "string", jsonPath: ".spec.mtls.mode" }, age],
};
