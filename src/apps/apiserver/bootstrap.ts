/** What every cluster has before anyone asks: its namespaces, the `kubernetes` Service, the roles of upstream. */
import type { AnyObject } from "../../core/api/kube.ts";
import { builtin } from "../../core/api/resources.ts";
import type { KubeClient } from "../../io/kube/client.ts";
import { isReason } from "../../io/kube/client.ts";
import { firstServiceAddress } from "./api/services.ts";
import type { ListenAddress } from "./http/listen.ts";

const namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];
const readVerbs = ["get", "list", "watch"];
const writeVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const everyday = ["", "apps", "batch", "networking.k8s.io", "policy", "discovery.k8s.io", "coordination.k8s.io"];
const gateway = ["gateway.networking.k8s.io"];

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

const roles: Readonly<Record<string, readonly Rule[]>> = {
  "cluster-admin": [
    { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
    { nonResourceURLs: ["*"], verbs: ["*"] },
  ],
  admin: [
    { apiGroups: [...everyday, ...gateway], resources: ["*"], verbs: writeVerbs },
    { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: writeVerbs },
  ],
  edit: [{ apiGroups: [...everyday, ...gateway], resources: ["*"], verbs: writeVerbs }],
  view: [
    { apiGroups: everyday.slice(1).concat(gateway), resources: ["*"], verbs: readVerbs },
    {
      apiGroups: [""],
      resources: ["configmaps", "endpoints", "events", "namespaces", "pods", "pods/log", "serviceaccounts", "services"],
      verbs: readVerbs,
    },
  ],
  "system:auth-delegator": [
    { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
    { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
  ],
};

export interface BootstrapOptions {
  readonly serviceCidr: string;
  /** Where pods reach the API server; absent: the `kubernetes` Service has no endpoint. */
  readonly advertise: ListenAddress | undefined;
}

export async function bootstrap(client: KubeClient, options: BootstrapOptions): Promise<void> {
  for (const name of namespaces) {
    await ensure(client, builtin.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  const labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };
  for (const [name, rules] of Object.entries(roles)) {
    const apiVersion = "rbac.authorization.k8s.io/v1";
    await ensure(client, builtin.clusterRoles, { apiVersion, kind: "ClusterRole", metadata: { name, labels }, rules });
  }
  await ensure(client, builtin.clusterRoleBindings, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "cluster-admin", labels },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:masters" }],
  });
  await ensureService(client, options);
}

async function ensureService(client: KubeClient, { serviceCidr, advertise }: BootstrapOptions): Promise<void> {
  const metadata = { name: "kubernetes", namespace: "default" };
  await ensure(client, builtin.services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      type: "ClusterIP",
      clusterIP: firstServiceAddress(serviceCidr),
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: advertise?.port ?? 443 }],
    },
  });
  if (advertise === undefined) return;
  const body = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [advertise.address], conditions: { ready: true } }],
    ports: [{ name: "https", port: advertise.port, protocol: "TCP" }],
  };
  await client.patch(builtin.endpointSlices, metadata, { type: "apply", body, force: true });
}

/** Creates what is missing; what is there stays as it is. */
async function ensure(
  client: KubeClient,
  type: (typeof builtin)[keyof typeof builtin],
  object: AnyObject,
): Promise<void> {
  try {
    await client.create<AnyObject>({ ...type, example: object }, object);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
  }
}
