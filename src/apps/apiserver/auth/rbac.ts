/** Who may do what: Roles and ClusterRoles with their bindings, read from the store at each question. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { ApiContext, User } from "../api/context.ts";
import type { Fields } from "../api/json.ts";
import { fieldsOf, isFields, listOf, textOf } from "../api/json.ts";

export interface ResourceQuestion {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
}

export interface PathQuestion {
  readonly verb: string;
  readonly path: string;
}

export type Question = ResourceQuestion | PathQuestion;

/** Undefined: refused. Else why it is allowed. */
export type Verdict = string | undefined;

const rbac = "rbac.authorization.k8s.io";

/** What every authenticated user may do without any role, as upstream's default bindings have it. */
const openPaths = ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz", "/.well-known"];
const openReviews = new Set(["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"]);

export function authorize(context: ApiContext, user: User, question: Question): Verdict {
  if (user.groups.includes("system:masters")) return "RBAC: the group system:masters may do everything";
  if (isOpenToAll(user, question)) return "RBAC: allowed for all authenticated users";
  const namespace = "path" in question ? undefined : question.namespace;
  for (const { binding, kind } of bindingsOf(context, user, namespace)) {
    if (rulesOf(context, binding).some((rule) => ruleAllows(rule, question))) return reasonOf(binding, kind, user);
  }
  return undefined;
}

/** Every rule that speaks for the user: those of the whole cluster, and those of one namespace. */
export const rulesFor = (context: ApiContext, user: User, namespace: string): readonly Fields[] =>
  [...bindingsOf(context, user, namespace)].flatMap(({ binding }) => rulesOf(context, binding));

/** What every authenticated user may do, as rules. */
export const openRules: readonly Fields[] = [
  { verbs: ["create"], apiGroups: ["authorization.k8s.io"], resources: [...openReviews].slice(0, 2) },
  { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: [...openReviews].slice(2) },
  { verbs: ["get"], nonResourceURLs: openPaths.flatMap((path) => [path, `${path}/*`]) },
];

function* bindingsOf(
  context: ApiContext,
  user: User,
  namespace: string | undefined,
): Generator<{ readonly binding: AnyObject; readonly kind: "ClusterRoleBinding" | "RoleBinding" }> {
  for (const binding of context.store.list(`${rbac}/clusterrolebindings`)) {
    if (bindsUser(binding, user)) yield { binding, kind: "ClusterRoleBinding" };
  }
  if (namespace === undefined || namespace === "") return;
  for (const binding of context.store.list(`${rbac}/rolebindings`, `${namespace}/`)) {
    if (bindsUser(binding, user)) yield { binding, kind: "RoleBinding" };
  }
}

function reasonOf(binding: AnyObject, kind: string, user: User): string {
  const role = fieldsOf(binding["roleRef"]);
  const name =
    binding.metadata.namespace === undefined
      ? binding.metadata.name
      : `${binding.metadata.name}/${binding.metadata.namespace}`;
  return `RBAC: allowed by ${kind} ${JSON.stringify(name)} of ${String(role["kind"])} ${JSON.stringify(role["name"])} to User ${JSON.stringify(user.username)}`;
}

function isOpenToAll(user: User, question: Question): boolean {
  if (!user.groups.includes("system:authenticated")) return false;
  if ("path" in question) {
    const isRead = question.verb === "get" || question.verb === "head";
    return isRead && openPaths.some((path) => question.path === path || question.path.startsWith(`${path}/`));
  }
  return question.verb === "create" && openReviews.has(question.resource);
}

function bindsUser(binding: AnyObject, user: User): boolean {
  return listOf(binding["subjects"])
    .filter(isFields)
    .some((subject) => {
      switch (subject["kind"]) {
        case "User":
          return subject["name"] === user.username;
        case "Group":
          return user.groups.includes(String(subject["name"]));
        case "ServiceAccount": {
          const namespace = textOf(subject["namespace"]) ?? binding.metadata.namespace;
          return user.username === `system:serviceaccount:${namespace}:${String(subject["name"])}`;
        }
        default:
          return false;
      }
    });
}

function rulesOf(context: ApiContext, binding: AnyObject): readonly Fields[] {
  const role = fieldsOf(binding["roleRef"]);
  const name = String(role["name"]);
  const found =
    role["kind"] === "Role"
      ? context.store.get(`${rbac}/roles`, `${binding.metadata.namespace}/${name}`)
      : context.store.get(`${rbac}/clusterroles`, name);
  if (found === undefined) return [];
  return [...listOf(found["rules"]), ...aggregated(context, found)].filter(isFields);
}

/** Rules of the roles that an aggregating role selects by labels. */
function aggregated(context: ApiContext, role: AnyObject): readonly unknown[] {
  const selectors = listOf(fieldsOf(role["aggregationRule"])["clusterRoleSelectors"]).filter(isFields);
  if (selectors.length === 0) return [];
  const isSelected = (other: AnyObject) =>
    selectors.some((selector) => {
      const labels = Object.entries(fieldsOf(selector["matchLabels"]));
      return labels.length > 0 && labels.every(([key, value]) => other.metadata.labels?.[key] === value);
    });
  const others = context.store.list(`${rbac}/clusterroles`).filter((other) => other !== role && isSelected(other));
  return others.flatMap((other) => listOf(other["rules"]));
}

const has = (list: unknown, value: string): boolean => listOf(list).some((item) => item === "*" || item === value);

function ruleAllows(rule: Fields, question: Question): boolean {
  if (!has(rule["verbs"], question.verb)) return false;
  if ("path" in question) {
    return listOf(rule["nonResourceURLs"]).some((url) => {
      const text = String(url);
      return text.endsWith("*") ? question.path.startsWith(text.slice(0, -1)) : text === question.path;
    });
  }
  if (!has(rule["apiGroups"], question.group)) return false;
  const { resource, subresource } = question;
  const wanted = subresource === undefined ? resource : `${resource}/${subresource}`;
  const isCovered =
    has(rule["resources"], wanted) ||
    (subresource !== undefined && listOf(rule["resources"]).includes(`*/${subresource}`));
  if (!isCovered) return false;
  const names = listOf(rule["resourceNames"]);
  return names.length === 0 || (question.name !== undefined && names.includes(question.name));
}

/** The standard sentence of a 403. */
export function refusal(user: User, question: Question): KubeError {
  const who = `User ${JSON.stringify(user.username)} cannot`;
  if ("path" in question) {
    return new KubeError(
      403,
      "Forbidden",
      `forbidden: ${who} ${question.verb} path ${JSON.stringify(question.path)}`,
      {},
    );
  }
  const { group, resource, subresource, verb, name, namespace } = question;
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const what = group === "" ? resource : `${resource}.${group}`;
  const where =
    namespace === undefined || namespace === ""
      ? "at the cluster scope"
      : `in the namespace ${JSON.stringify(namespace)}`;
  const subject = name === undefined || name === "" ? what : `${what} ${JSON.stringify(name)}`;
  return new KubeError(
    403,
    "Forbidden",
    `${subject} is forbidden: ${who} ${verb} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`,
    { ...(name === undefined ? {} : { name }), ...(group === "" ? {} : { group }), kind: resource },
  );
}
