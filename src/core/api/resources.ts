/** How each built-in kind is addressed on an API server. */
import type {
  AnyObject,
  ConfigMap,
  EndpointSlice,
  KubeObject,
  Lease,
  Namespace,
  Node,
  ResourceType,
  Secret,
  Service,
} from "./kube.ts";
import type { DaemonSet, Deployment, Pod, ReplicaSet } from "./pod.ts";

export const resourceType = <T extends KubeObject>(
  group: string,
  version: string,
  kind: string,
  plural: string,
  namespaced = true,
): ResourceType<T> => ({ group, version, kind, plural, namespaced });

/** The built-in kinds that Tombolo itself addresses. */
export const builtin = {
  namespaces: resourceType<Namespace>("", "v1", "Namespace", "namespaces", false),
  nodes: resourceType<Node>("", "v1", "Node", "nodes", false),
  pods: resourceType<Pod>("", "v1", "Pod", "pods"),
  services: resourceType<Service>("", "v1", "Service", "services"),
  serviceAccounts: resourceType<KubeObject>("", "v1", "ServiceAccount", "serviceaccounts"),
  configMaps: resourceType<ConfigMap>("", "v1", "ConfigMap", "configmaps"),
  secrets: resourceType<Secret>("", "v1", "Secret", "secrets"),
  events: resourceType<AnyObject>("", "v1", "Event", "events"),
  deployments: resourceType<Deployment>("apps", "v1", "Deployment", "deployments"),
  replicaSets: resourceType<ReplicaSet>("apps", "v1", "ReplicaSet", "replicasets"),
  daemonSets: resourceType<DaemonSet>("apps", "v1", "DaemonSet", "daemonsets"),
  statefulSets: resourceType<AnyObject>("apps", "v1", "StatefulSet", "statefulsets"),
  endpointSlices: resourceType<EndpointSlice>("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
  leases: resourceType<Lease>("coordination.k8s.io", "v1", "Lease", "leases"),
  customResourceDefinitions: resourceType<AnyObject>(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    false,
  ),
  clusterRoles: resourceType<AnyObject>("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
  clusterRoleBindings: resourceType<AnyObject>(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
    false,
  ),
  roles: resourceType<AnyObject>("rbac.authorization.k8s.io", "v1", "Role", "roles"),
  roleBindings: resourceType<AnyObject>("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
  tokenReviews: resourceType<AnyObject>("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", false),
} as const;
