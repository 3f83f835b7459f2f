/** The mesh's own kinds as users write them: Gateway API, Istio-named and Solo-named (spec.md sections 1, 3.4, 4). */
import type { Condition, KubeObject } from "./kube.ts";
import { resourceType } from "./resources.ts";

export interface Gateway extends KubeObject {
  spec: {
    gatewayClassName: string;
    listeners: GatewayListener[];
    addresses?: { type?: string; value?: string }[];
    infrastructure?: { labels?: Record<string, string>; annotations?: Record<string, string>; parametersRef?: unknown };
  };
  status?: {
    addresses?: { type?: string; value: string }[];
    conditions?: Condition[];
    listeners?: {
      name: string;
      attachedRoutes: number;
      supportedKinds: { group?: string; kind: string }[];
      conditions: Condition[];
    }[];
  };
}

export interface GatewayListener {
  name: string;
  hostname?: string;
  port: number;
  protocol: string;
  tls?: { mode?: string; certificateRefs?: unknown[]; options?: Record<string, string> };
  allowedRoutes?: { namespaces?: { from?: string }; kinds?: unknown[] };
}

export interface GatewayClass extends KubeObject {
  spec: { controllerName: string; description?: string };
  status?: { conditions?: Condition[] };
}

export interface WorkloadEntrySpec {
  address?: string;
  ports?: Record<string, number>;
  labels?: Record<string, string>;
  network?: string;
  locality?: string;
  weight?: number;
  serviceAccount?: string;
}

export interface WorkloadEntry extends KubeObject {
  spec: WorkloadEntrySpec;
  status?: { conditions?: Condition[] };
}

export interface ServiceEntry extends KubeObject {
  spec: {
    hosts: string[];
    addresses?: string[];
    ports?: { number: number; name: string; protocol?: string; targetPort?: number }[];
    location?: "MESH_EXTERNAL" | "MESH_INTERNAL";
    resolution?: "NONE" | "STATIC" | "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS";
    endpoints?: WorkloadEntrySpec[];
    workloadSelector?: { labels: Record<string, string> };
    exportTo?: string[];
    subjectAltNames?: string[];
  };
  status?: { addresses?: { value: string; host?: string }[]; conditions?: Condition[] };
}

export interface Segment extends KubeObject {
  spec: { domain: string; aliases?: { pattern: string; selector?: { matchLabels?: Record<string, string> } }[] };
  status?: { conditions?: Condition[]; clusters?: string[]; services?: number };
}

export interface AuthorizationPolicy extends KubeObject {
  spec?: {
    selector?: { matchLabels?: Record<string, string> };
    targetRefs?: { group?: string; kind: string; name: string; namespace?: string }[];
    action?: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
    rules?: {
      from?: { source?: Record<string, string[]> }[];
      to?: { operation?: Record<string, string[]> }[];
      when?: { key: string; values?: string[]; notValues?: string[] }[];
    }[];
  };
  status?: { conditions?: Condition[] };
}

export interface PeerAuthentication extends KubeObject {
  spec?: {
    selector?: { matchLabels?: Record<string, string> };
    mtls?: { mode?: "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT" };
    portLevelMtls?: Record<string, { mode?: "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT" }>;
  };
  status?: { conditions?: Condition[] };
}

export const meshKinds = {
  gatewayClasses: resourceType<GatewayClass>(
    "gateway.networking.k8s.io",
    "v1",
    "GatewayClass",
    "gatewayclasses",
    false,
  ),
  gateways: resourceType<Gateway>("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
  serviceEntries: resourceType<ServiceEntry>("networking.istio.io", "v1", "ServiceEntry", "serviceentries"),
  workloadEntries: resourceType<WorkloadEntry>("networking.istio.io", "v1", "WorkloadEntry", "workloadentries"),
  authorizationPolicies: resourceType<AuthorizationPolicy>(
    "security.istio.io",
    "v1",
    "AuthorizationPolicy",
    "authorizationpolicies",
  ),
  peerAuthentications: resourceType<PeerAuthentication>(
    "security.istio.io",
    "v1",
    "PeerAuthentication",
    "peerauthentications",
  ),
  segments: resourceType<Segment>("admin.solo.io", "v1alpha1", "Segment", "segments"),
} as const;
