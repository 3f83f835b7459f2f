/** All other kinds that are stored: services, configuration, access, policies, definitions. */
import type { Fields, GoldenCase, KindUnderTest } from "./case.ts";
import { changing, creating } from "./case.ts";

const of = (kind: string, apiVersion: string, plural: string, isClusterScoped = false): KindUnderTest => ({
  kind,
  apiVersion,
  plural,
  isClusterScoped,
});

const service = of("Service", "v1", "services");
const port = { port: 80 };
const ports = (...given: readonly Fields[]) => ({ spec: { selector: { app: "web" }, ports: given } });

const serviceCases: readonly GoldenCase[] = [
  creating(service, "the least", ports(port)),
  creating(service, "a node port", { spec: { type: "NodePort", ports: [port] } }),
  creating(service, "a load balancer", {
    spec: { type: "LoadBalancer", ports: [{ port: 80, targetPort: "http", name: "web" }] },
  }),
  creating(service, "headless", { spec: { clusterIP: "None", ports: [port] } }),
  creating(service, "headless without ports", { spec: { clusterIP: "None" } }),
  creating(service, "a name elsewhere", { spec: { type: "ExternalName", externalName: "example.com" } }),
  creating(service, "session affinity", { spec: { ports: [port], sessionAffinity: "ClientIP" } }),
  creating(service, "no ports", { spec: { selector: {} } }),
  creating(service, "two ports without names", ports({ port: 80 }, { port: 81 })),
  creating(service, "one port twice", ports({ port: 80, name: "a" }, { port: 80, name: "b" })),
  creating(service, "one name twice", ports({ port: 80, name: "a" }, { port: 81, name: "a" })),
  creating(service, "port 0", ports({ port: 0 })),
  creating(service, "port 70000", ports({ port: 70_000 })),
  creating(service, "a target port out of range", ports({ port: 80, targetPort: 70_000 })),
  creating(
    service,
    "a target port's name that is too long",
    ports({ port: 80, targetPort: "a-very-long-name-indeed" }),
  ),
  creating(service, "an unknown type", { spec: { type: "Anycast", ports: [port] } }),
  creating(service, "an unknown protocol", ports({ port: 80, protocol: "QUIC" })),
  creating(service, "a cluster IP that is none", { spec: { clusterIP: "here", ports: [port] } }),
  creating(service, "a cluster IP of another range", { spec: { clusterIP: "172.30.0.1", ports: [port] } }),
  creating(service, "a name that begins with a digit", ports(port), "1st"),
  creating(service, "a name with dots", ports(port), "a.b"),
  creating(service, "an external name that is none", { spec: { type: "ExternalName", externalName: "a_b" } }),
  creating(service, "an external name that is missing", { spec: { type: "ExternalName" } }),
  creating(service, "a node port of a cluster service", ports({ port: 80, nodePort: 30_000 })),
  creating(service, "a node port out of range", { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 80 }] } }),
  creating(service, "an unknown affinity", { spec: { ports: [port], sessionAffinity: "Sticky" } }),
  creating(service, "an unknown distribution", { spec: { ports: [port], trafficDistribution: "Near" } }),
  creating(service, "a distribution", { spec: { ports: [port], trafficDistribution: "PreferClose" } }),
  creating(service, "an unknown external policy", {
    spec: { type: "NodePort", ports: [port], externalTrafficPolicy: "Far" },
  }),
  creating(service, "an external policy of a cluster service", {
    spec: { ports: [port], externalTrafficPolicy: "Local" },
  }),
  creating(service, "an unknown internal policy", { spec: { ports: [port], internalTrafficPolicy: "Far" } }),
  creating(service, "an unknown IP family", { spec: { ports: [port], ipFamilies: ["IPv5"] } }),
  creating(service, "a source range that is none", {
    spec: { type: "LoadBalancer", ports: [port], loadBalancerSourceRanges: ["x"] },
  }),
  creating(service, "an external IP that is none", { spec: { ports: [port], externalIPs: ["x"] } }),
  creating(service, "an app protocol that is none", ports({ port: 80, appProtocol: "a b" })),
  changing(service, "another cluster IP", ports(port), {
    spec: { clusterIP: "10.96.99.99", clusterIPs: ["10.96.99.99"] },
  }),
  changing(service, "another port", ports(port), { spec: { ports: [{ port: 81 }] } }),
  changing(service, "to a node port", ports(port), { spec: { type: "NodePort" } }),
  changing(service, "to a name elsewhere", ports(port), {
    spec: { type: "ExternalName", externalName: "a.example", clusterIP: "", clusterIPs: null },
  }),
];

const slice = of("EndpointSlice", "discovery.k8s.io/v1", "endpointslices");
const endpoints = of("Endpoints", "v1", "endpoints");
const namespaceKind = of("Namespace", "v1", "namespaces", true);
const account = of("ServiceAccount", "v1", "serviceaccounts");
const configMap = of("ConfigMap", "v1", "configmaps");
const secret = of("Secret", "v1", "secrets");
const node = of("Node", "v1", "nodes", true);
const event = of("Event", "v1", "events");
const lease = of("Lease", "coordination.k8s.io/v1", "leases");

const coreCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  Service: serviceCases,
  EndpointSlice: [
    creating(slice, "the least", { addressType: "IPv4", endpoints: [], ports: [] }),
    creating(slice, "an endpoint", {
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.0.0.1"] }],
      ports: [{ port: 80 }],
    }),
    creating(slice, "no type", { endpoints: [] }),
    creating(slice, "an unknown type", { addressType: "IPv5", endpoints: [] }),
    creating(slice, "an address that is none", { addressType: "IPv4", endpoints: [{ addresses: ["x"] }] }),
    creating(slice, "an address of the other family", {
      addressType: "IPv4",
      endpoints: [{ addresses: ["2001:db8::1"] }],
    }),
    creating(slice, "an endpoint without addresses", { addressType: "IPv4", endpoints: [{ addresses: [] }] }),
    creating(slice, "one port name twice", { addressType: "IPv4", endpoints: [], ports: [{ port: 1 }, { port: 2 }] }),
    creating(slice, "a loopback address", { addressType: "IPv4", endpoints: [{ addresses: ["127.0.0.1"] }] }),
    changing(slice, "another type", { addressType: "IPv4", endpoints: [] }, { addressType: "IPv6" }),
  ],
  Endpoints: [
    creating(endpoints, "the least", { subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }] }),
    creating(endpoints, "an address that is none", { subsets: [{ addresses: [{ ip: "x" }], ports: [{ port: 80 }] }] }),
    creating(endpoints, "a subset without addresses", { subsets: [{ ports: [{ port: 80 }] }] }),
  ],
  Namespace: [
    creating(namespaceKind, "the least", {}),
    creating(namespaceKind, "a name with dots", {}, "a.b"),
    creating(namespaceKind, "a name that is too long", {}, "a".repeat(64)),
  ],
  ServiceAccount: [creating(account, "the least", {}), creating(account, "a bad name", {}, "A_b")],
  ConfigMap: [
    creating(configMap, "the least", {}),
    creating(configMap, "data", { data: { a: "b", "c.d": "" } }),
    creating(configMap, "a key that is none", { data: { "a b": "" } }),
    creating(configMap, "a key in both halves", { data: { a: "x" }, binaryData: { a: "eA==" } }),
    creating(configMap, "a number as value", { data: { a: 1 } }),
    creating(configMap, "bytes that are none", { binaryData: { a: "?" } }),
    changing(configMap, "an immutable one", { data: { a: "b" }, immutable: true }, { data: { a: "c" } }),
  ],
  Secret: [
    creating(secret, "the least", {}),
    creating(secret, "text to encode", { stringData: { a: "b" } }),
    creating(secret, "a certificate without a key", { type: "kubernetes.io/tls", data: { "tls.crt": "" } }),
    creating(secret, "a basic login without a name", { type: "kubernetes.io/basic-auth", data: {} }),
    creating(secret, "a docker configuration that is none", {
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": "eA==" },
    }),
    creating(secret, "a key that is none", { data: { "a b": "" } }),
    creating(secret, "bytes that are none", { data: { a: "?" } }),
    changing(secret, "another type", { data: {} }, { type: "other" }),
    changing(secret, "an immutable one", { data: { a: "eA==" }, immutable: true }, { data: { a: "eQ==" } }),
  ],
  Node: [
    creating(node, "the least", {}),
    creating(node, "a taint", { spec: { taints: [{ key: "a", value: "b", effect: "NoSchedule" }] } }),
    creating(node, "an unknown effect", { spec: { taints: [{ key: "a", effect: "Later" }] } }),
    creating(node, "a bad name", {}, "A"),
  ],
  Event: [
    creating(event, "the least", {
      involvedObject: { namespace: "golden", kind: "Pod", name: "x" },
      reason: "Seen",
      message: "m",
      type: "Normal",
    }),
    creating(event, "an object of another namespace", {
      involvedObject: { namespace: "other", kind: "Pod", name: "x" },
    }),
  ],
  Lease: [
    creating(lease, "the least", {}),
    creating(lease, "a holder", {
      spec: { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.123456Z" },
    }),
    creating(lease, "a duration of 0", { spec: { leaseDurationSeconds: 0 } }),
    creating(lease, "negative transitions", { spec: { leaseTransitions: -1 } }),
    creating(lease, "a time that is none", { spec: { renewTime: "now" } }),
  ],
};

const role = of("Role", "rbac.authorization.k8s.io/v1", "roles");
const clusterRole = of("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", true);
const roleBinding = of("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings");
const clusterRoleBinding = of("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", true);
const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" };
const subject = { kind: "ServiceAccount", name: "default", namespace: "golden" };

const accessCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  Role: [
    creating(role, "the least", { rules: [rule] }),
    creating(role, "a rule without verbs", { rules: [{ apiGroups: [""], resources: ["pods"] }] }),
    creating(role, "a rule without resources", { rules: [{ apiGroups: [""], verbs: ["get"] }] }),
    creating(role, "a rule without groups", { rules: [{ resources: ["pods"], verbs: ["get"] }] }),
    creating(role, "paths in a namespace", { rules: [{ nonResourceURLs: ["/x"], verbs: ["get"] }] }),
  ],
  ClusterRole: [
    creating(clusterRole, "the least", { rules: [rule] }),
    creating(clusterRole, "paths", { rules: [{ nonResourceURLs: ["/x"], verbs: ["get"] }] }),
    creating(clusterRole, "paths and resources in one rule", { rules: [{ ...rule, nonResourceURLs: ["/x"] }] }),
    creating(clusterRole, "a rule without verbs", { rules: [{ apiGroups: [""], resources: ["pods"] }] }),
  ],
  RoleBinding: [
    creating(roleBinding, "the least", { roleRef, subjects: [subject] }),
    creating(roleBinding, "a user", { roleRef, subjects: [{ kind: "User", name: "anna" }] }),
    creating(roleBinding, "no role", { subjects: [subject] }),
    creating(roleBinding, "a role of an unknown kind", { roleRef: { ...roleRef, kind: "Power" } }),
    creating(roleBinding, "a subject of an unknown kind", { roleRef, subjects: [{ kind: "Robot", name: "x" }] }),
    creating(roleBinding, "an account without a namespace", {
      roleRef,
      subjects: [{ kind: "ServiceAccount", name: "x" }],
    }),
    changing(roleBinding, "another role", { roleRef, subjects: [subject] }, { roleRef: { name: "edit" } }),
  ],
  ClusterRoleBinding: [
    creating(clusterRoleBinding, "the least", { roleRef, subjects: [subject] }),
    creating(clusterRoleBinding, "a role of a namespace", { roleRef: { ...roleRef, kind: "Role" } }),
    changing(clusterRoleBinding, "another role", { roleRef }, { roleRef: { name: "edit" } }),
  ],
};

const ingress = of("Ingress", "networking.k8s.io/v1", "ingresses");
const ingressClass = of("IngressClass", "networking.k8s.io/v1", "ingressclasses", true);
const networkPolicy = of("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies");
const budget = of("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets");
const backend = { service: { name: "web", port: { number: 80 } } };
const path = (more: Fields) => ({
  spec: { rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend, ...more }] } }] },
});

const policyCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  Ingress: [
    creating(ingress, "the least", path({})),
    creating(ingress, "a default backend", { spec: { defaultBackend: backend } }),
    creating(ingress, "nothing in it", { spec: {} }),
    creating(ingress, "no path type", path({ pathType: undefined })),
    creating(ingress, "an unknown path type", path({ pathType: "Glob" })),
    creating(ingress, "a relative path", path({ path: "x" })),
    creating(ingress, "a backend without a port", path({ backend: { service: { name: "web" } } })),
    creating(ingress, "an address as host", {
      spec: { rules: [{ host: "10.0.0.1", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] },
    }),
  ],
  IngressClass: [
    creating(ingressClass, "the least", { spec: { controller: "example.com/c" } }),
    creating(ingressClass, "no controller", { spec: {} }),
    creating(ingressClass, "a controller that is none", { spec: { controller: "c" } }),
  ],
  NetworkPolicy: [
    creating(networkPolicy, "the least", { spec: { podSelector: {} } }),
    creating(networkPolicy, "both directions", {
      spec: {
        podSelector: {},
        egress: [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }],
        ingress: [{ ports: [{ port: 80 }] }],
      },
    }),
    creating(networkPolicy, "a range that is none", {
      spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "x" } }] }] },
    }),
    creating(networkPolicy, "an unknown type", { spec: { podSelector: {}, policyTypes: ["Sideways"] } }),
    creating(networkPolicy, "a peer of nothing", { spec: { podSelector: {}, ingress: [{ from: [{}] }] } }),
  ],
  PodDisruptionBudget: [
    creating(budget, "the least", { spec: { minAvailable: 1, selector: { matchLabels: { a: "b" } } } }),
    creating(budget, "both limits", { spec: { minAvailable: 1, maxUnavailable: 1, selector: {} } }),
    creating(budget, "more than all", { spec: { minAvailable: "120%", selector: {} } }),
    creating(budget, "less than none", { spec: { minAvailable: -1, selector: {} } }),
  ],
};

const definition = of("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", true);
const policy = of("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", true);
const policyBinding = of(
  "ValidatingAdmissionPolicyBinding",
  "admissionregistration.k8s.io/v1",
  "validatingadmissionpolicybindings",
  true,
);
const validating = of(
  "ValidatingWebhookConfiguration",
  "admissionregistration.k8s.io/v1",
  "validatingwebhookconfigurations",
  true,
);
const mutating = of(
  "MutatingWebhookConfiguration",
  "admissionregistration.k8s.io/v1",
  "mutatingwebhookconfigurations",
  true,
);

const crd = (schema: unknown, more: Fields = {}) => ({
  spec: {
    group: "golden.example",
    scope: "Namespaced",
    names: { plural: "gems", kind: "Gem" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    ...more,
  },
});
const define = (about: string, fields: Fields, name = "gems.golden.example") =>
  creating(definition, about, fields, name);
const inSpec = (spec: Fields) => ({
  type: "object",
  properties: { spec: { type: "object", properties: { x: spec } } },
});
const withRule = (text: string, more: Fields = {}) =>
  crd(inSpec({ type: "string", maxLength: 10, "x-kubernetes-validations": [{ rule: text, ...more }] }));
const text = { type: "string" };

const webhook = {
  name: "w.golden.example",
  clientConfig: { url: "https://w.example/" },
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
  rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
};

const extensionCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  CustomResourceDefinition: [
    define("the least", crd({ type: "object" })),
    define("a name that does not fit", crd({ type: "object" }), "jewels.golden.example"),
    define("no schema", crd(undefined)),
    define("a property without a type", crd(inSpec({}))),
    define(
      "no version stored",
      crd(
        { type: "object" },
        { versions: [{ name: "v1", served: true, storage: false, schema: { openAPIV3Schema: { type: "object" } } }] },
      ),
    ),
    define("a root that is no object", crd({ type: "string" })),
    define("a list without items", crd(inSpec({ type: "array" }))),
    define(
      "properties and additional ones",
      crd(inSpec({ type: "object", properties: { a: text }, additionalProperties: text })),
    ),
    define(
      "a list map without keys",
      crd(inSpec({ type: "array", "x-kubernetes-list-type": "map", items: { type: "object" } })),
    ),
    define("a pattern that is none", crd(inSpec({ type: "string", pattern: "(" }))),
    define("an unknown scope", crd({ type: "object" }, { scope: "Global" })),
    define("a default of the wrong type", crd(inSpec({ type: "string", default: 1 }))),
    define("a rule", withRule("self.startsWith('a')")),
    define(
      "a rule with optional fields",
      crd(
        inSpec({
          type: "object",
          properties: { a: text },
          "x-kubernetes-validations": [{ rule: "self.?a.orValue('') != 'b'" }],
        }),
      ),
    ),
    define("a rule that does not parse", withRule("self.")),
    define("a rule of an unknown function", withRule("self.sparkles()")),
    define("a rule that is no condition", withRule("size(self)")),
    define(
      "a rule about a field that is not there",
      crd(inSpec({ type: "object", properties: { a: text }, "x-kubernetes-validations": [{ rule: "self.b == 'x'" }] })),
    ),
    define("a message with a line break", withRule("self != ''", { message: "a\nb" })),
    define("a conversion webhook", crd({ type: "object" }, { conversion: { strategy: "Webhook" } })),
  ],
  ValidatingAdmissionPolicy: [
    creating(policy, "the least", {
      spec: { matchConstraints: { resourceRules: [webhook.rules[0] ?? {}] }, validations: [{ expression: "true" }] },
    }),
    creating(policy, "nothing in it", { spec: {} }),
  ],
  ValidatingAdmissionPolicyBinding: [
    creating(policyBinding, "the least", { spec: { policyName: "p", validationActions: ["Deny"] } }),
    creating(policyBinding, "no policy", { spec: { validationActions: ["Deny"] } }),
  ],
  ValidatingWebhookConfiguration: [
    creating(validating, "the least", { webhooks: [webhook] }),
    creating(validating, "no side effects told", { webhooks: [{ ...webhook, sideEffects: undefined }] }),
    creating(validating, "no versions told", { webhooks: [{ ...webhook, admissionReviewVersions: [] }] }),
  ],
  MutatingWebhookConfiguration: [
    creating(mutating, "the least", { webhooks: [webhook] }),
    creating(mutating, "a plain address", { webhooks: [{ ...webhook, clientConfig: { url: "http://w.example/" } }] }),
  ],
};

export const otherCases: Readonly<Record<string, readonly GoldenCase[]>> = {
  ...coreCases,
  ...accessCases,
  ...policyCases,
  ...extensionCases,
};
