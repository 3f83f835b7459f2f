/** discovery.k8s.io/v1, coordination.k8s.io/v1, networking.k8s.io/v1 and policy/v1. */
import {
  bool,
  each,
  int32,
  int64,
  intOrString,
  list,
  mapOf,
  microTime,
  setOf,
  struct,
  text,
  textMap,
  texts,
  time,
} from "../dsl.ts";
import type { GroupDeclaration } from "../declaration.ts";
import { checkEndpointSlice, checkNetworkPolicy, fillNetworkPolicyDefaults } from "../rules/network.ts";
import { checkBudget, checkIngress, checkIngressClass, checkPeers } from "../rules/policies.ts";
import {
  endpointSlicePrinter,
  ingressClassPrinter,
  ingressPrinter,
  leasePrinter,
  networkPolicyPrinter,
  podDisruptionBudgetPrinter,
} from "../../tables/network-printers.ts";
import { conditions, labelSelector, objectReference, typedLocalObjectReference } from "./meta.ts";

const protocol = text.defaults("TCP").oneOf("SCTP", "TCP", "UDP");

const named = (name: string) => struct(name, "A name.", { name: text.required() });

const endpoint = struct("Endpoint", "One backend of the service.", {
  addresses: setOf(text).required().about("Addresses of one family; the first is used."),
  conditions: struct("EndpointConditions", "State of the backend.", each(bool, "ready serving terminating")).defaults(
    {},
  ),
  deprecatedTopology: textMap,
  hints: struct("EndpointHints", "Who should use it.", {
    forNodes: list(named("ForNode")),
    forZones: list(named("ForZone")),
  }),
  ...each(text, "hostname nodeName zone"),
  targetRef: objectReference,
});

export const discoveryGroup: GroupDeclaration = {
  group: "discovery.k8s.io",
  version: "v1",
  kinds: [
    {
      kind: "EndpointSlice",
      plural: "endpointslices",
      about: "Some of the endpoints of a service.",
      hasGeneration: true,
      printer: endpointSlicePrinter,
      check: checkEndpointSlice,
      fields: {
        addressType: text.required().oneOf("FQDN", "IPv4", "IPv6"),
        endpoints: list(endpoint).with({ maxItems: 1000 }),
        ports: list(
          struct("EndpointPort", "A port of all endpoints of the slice.", {
            appProtocol: text,
            name: text.defaults(""),
            port: int32.between(1, 65_535),
            protocol,
          }).atomic(),
        ),
      },
    },
  ],
};

export const coordinationGroup: GroupDeclaration = {
  group: "coordination.k8s.io",
  version: "v1",
  kinds: [
    {
      kind: "Lease",
      plural: "leases",
      about: "Who holds a role, and until when.",
      printer: leasePrinter,
      fields: {
        spec: struct("LeaseSpec", "Holder and times.", {
          ...each(microTime, "acquireTime renewTime"),
          ...each(text, "holderIdentity preferredHolder strategy"),
          leaseDurationSeconds: int32.atLeast(1),
          leaseTransitions: int32.atLeast(0),
        }).defaults({}),
      },
    },
  ],
};

const backend = struct("IngressBackend", "Where requests go.", {
  resource: typedLocalObjectReference,
  service: struct("IngressServiceBackend", "A service.", {
    name: text.required(),
    port: struct("ServiceBackendPort", "A port by name or number.", { name: text, number: int32 }).atomic(),
  }),
});

const ingressPath = struct("HTTPIngressPath", "A path and its backend.", {
  backend: backend.required(),
  path: text,
  pathType: text,
});

const peers = list(
  struct("NetworkPolicyPeer", "Who is meant.", {
    ipBlock: struct("IPBlock", "A range of addresses.", { cidr: text.required(), except: texts }),
    namespaceSelector: labelSelector,
    podSelector: labelSelector,
  }),
);

const policyPorts = list(
  struct("NetworkPolicyPort", "A port or a range of ports.", { endPort: int32, port: intOrString, protocol }),
);

export const networkingGroup: GroupDeclaration = {
  group: "networking.k8s.io",
  version: "v1",
  kinds: [
    {
      kind: "Ingress",
      plural: "ingresses",
      about: "HTTP routes from outside.",
      inert:
        "Ingress is stored, but nothing in this sandbox serves it: use a Gateway, or a Service of type LoadBalancer",
      shortNames: ["ing"],
      subresources: ["status"],
      hasGeneration: true,
      printer: ingressPrinter,
      check: checkIngress,
      fields: {
        spec: struct("IngressSpec", "Desired state.", {
          defaultBackend: backend,
          ingressClassName: text,
          rules: list(
            struct("IngressRule", "Routes of a host.", {
              host: text,
              http: struct("HTTPIngressRuleValue", "Paths.", { paths: list(ingressPath).required() }),
            }),
          ),
          tls: list(struct("IngressTLS", "Certificates.", { hosts: texts, secretName: text })),
        }),
        status: struct("IngressStatus", "What was observed.", {
          loadBalancer: struct("IngressLoadBalancerStatus", "Addresses.", {
            ingress: list(
              struct("IngressLoadBalancerIngress", "An address.", {
                ...each(text, "hostname ip"),
                ports: list(
                  struct("IngressPortStatus", "A port.", { error: text, port: int32.required(), protocol: text }),
                ),
              }),
            ),
          }).defaults({}),
        }).defaults({}),
      },
    },
    {
      kind: "IngressClass",
      plural: "ingressclasses",
      about: "Who serves an Ingress.",
      inert: "IngressClass is stored, but nothing in this sandbox serves Ingresses",
      isClusterScoped: true,
      hasGeneration: true,
      printer: ingressClassPrinter,
      check: checkIngressClass,
      fields: {
        spec: struct("IngressClassSpec", "Controller and parameters.", {
          controller: text,
          parameters: struct("IngressClassParametersReference", "An object with settings.", {
            ...each(text.required(), "kind name"),
            ...each(text, "apiGroup namespace scope"),
          }),
        }),
      },
    },
    {
      kind: "NetworkPolicy",
      plural: "networkpolicies",
      about: "Who may talk to whom.",
      inert: "NetworkPolicy is stored, but this sandbox does not enforce it: use an AuthorizationPolicy of the mesh",
      shortNames: ["netpol"],
      hasGeneration: true,
      printer: networkPolicyPrinter,
      fillDefaults: fillNetworkPolicyDefaults,
      check: (object) => [...checkNetworkPolicy(object), ...checkPeers(object)],
      fields: {
        spec: struct("NetworkPolicySpec", "Rules.", {
          egress: list(struct("NetworkPolicyEgressRule", "To whom.", { ports: policyPorts, to: peers })),
          ingress: list(struct("NetworkPolicyIngressRule", "From whom.", { from: peers, ports: policyPorts })),
          podSelector: labelSelector,
          policyTypes: texts,
        }),
      },
    },
  ],
};

export const policyGroup: GroupDeclaration = {
  group: "policy",
  version: "v1",
  kinds: [
    {
      kind: "PodDisruptionBudget",
      plural: "poddisruptionbudgets",
      about: "How many pods may be evicted at once.",
      inert: "PodDisruptionBudget stands against evictions in this sandbox, but nothing keeps its status",
      shortNames: ["pdb"],
      subresources: ["status"],
      hasGeneration: true,
      printer: podDisruptionBudgetPrinter,
      check: checkBudget,
      fields: {
        spec: struct("PodDisruptionBudgetSpec", "Desired state.", {
          maxUnavailable: intOrString,
          minAvailable: intOrString,
          selector: labelSelector.patched("replace"),
          unhealthyPodEvictionPolicy: text.oneOf("IfHealthyBudget", "AlwaysAllow"),
        }),
        status: struct("PodDisruptionBudgetStatus", "What was observed.", {
          conditions,
          ...each(int32.defaults(0), "currentHealthy desiredHealthy disruptionsAllowed expectedPods"),
          disruptedPods: mapOf(time),
          observedGeneration: int64,
        }).defaults({}),
      },
    },
  ],
};
