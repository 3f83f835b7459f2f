/** An API server without listeners for tests: memory store, real kinds, virtual time. */
import type { AnyObject, KubeObject, ResourceType } from "../../../core/api/kube.ts";
import { builtin, resourceType } from "../../../core/api/resources.ts";
import type { VirtualHost } from "../../../io/host/virtual-host.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import type { ApiContext } from "../api/context.ts";
import { Verbs } from "../api/verbs.ts";
import { Authenticator, admin } from "../auth/authenticator.ts";
import type { Identities } from "../auth/reviews.ts";
import { TokenIssuer } from "../auth/tokens.ts";
import { bootstrap } from "../bootstrap.ts";
import { LocalClient } from "../client.ts";
import { Registry } from "../crd/registry.ts";
import { followDefinitions } from "../definitions.ts";
import type { Kind } from "../kind.ts";
import { Store } from "../store/store.ts";

const serviceCidr = "10.96.0.0/16";
export const adminToken = "an-admin-token-for-tests";

export interface TestCluster {
  readonly host: VirtualHost;
  readonly context: ApiContext;
  readonly identities: Identities;
  readonly verbs: Verbs;
  readonly client: LocalClient;
  as(fieldManager: string): LocalClient;
  kind(type: ResourceType): Kind;
}

export async function testCluster(): Promise<TestCluster> {
  const host = virtualHost();
  const store = await Store.open(host, { isSynced: false });
  const registry = new Registry();
  const context: ApiContext = { host, store, registry, serviceCidr };
  followDefinitions(context, registry);
  const issuer = await TokenIssuer.open(context, "https://issuer.test", undefined);
  const identities: Identities = { context, issuer, authenticator: new Authenticator(adminToken, issuer) };
  const verbs = new Verbs(context, identities);
  const as = (fieldManager: string) => new LocalClient(verbs, { user: admin, fieldManager });
  const client = as("test");
  await bootstrap(client, { serviceCidr, advertise: undefined });
  const kind = (type: ResourceType): Kind => {
    const found = registry.find(type.group, type.version, type.plural);
    if (found === undefined) throw new Error(`No kind is served as ${type.plural}.`);
    return found;
  };
  return { host, context, identities, verbs, client, as, kind };
}

/** Types by name, for objects that a test writes as plain data. */
export const types = {
  ...builtin,
  configMaps: resourceType<AnyObject>("", "v1", "ConfigMap", "configmaps"),
  deployments: resourceType<AnyObject>("apps", "v1", "Deployment", "deployments"),
  namespaces: resourceType<AnyObject>("", "v1", "Namespace", "namespaces", false),
  pods: resourceType<AnyObject>("", "v1", "Pod", "pods"),
  services: resourceType<AnyObject>("", "v1", "Service", "services"),
  serviceAccounts: resourceType<AnyObject>("", "v1", "ServiceAccount", "serviceaccounts"),
  secrets: resourceType<AnyObject>("", "v1", "Secret", "secrets"),
  ingresses: resourceType<AnyObject>("networking.k8s.io", "v1", "Ingress", "ingresses"),
  budgets: resourceType<AnyObject>("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  selfSubjectRulesReviews: resourceType<AnyObject>(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    false,
  ),
  widgets: resourceType<AnyObject>("example.com", "v1", "Widget", "widgets"),
} as const;

export const object = (
  type: ResourceType<KubeObject>,
  name: string,
  fields: Readonly<Record<string, unknown>> = {},
): AnyObject => {
  const { metadata, ...rest } = fields;
  return {
    apiVersion: type.group === "" ? type.version : `${type.group}/${type.version}`,
    kind: type.kind,
    metadata: { name, ...(type.namespaced ? { namespace: "default" } : {}), ...(metadata as object | undefined) },
    ...rest,
  };
};

export const deployment = (name: string, image = "httpd", more: Readonly<Record<string, unknown>> = {}): AnyObject =>
  object(types.deployments, name, {
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "c", image, ports: [{ containerPort: 80 }] }] },
      },
      ...more,
    },
  });
