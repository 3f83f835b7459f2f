/** Tokens of service accounts, and who may do what. */
import { createPublicKey, verify } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { at, fieldsOf } from "../api/json.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { TestCluster } from "../testing/cluster.ts";
import { adminToken, object, testCluster, types } from "../testing/cluster.ts";
import { actingUser } from "./impersonation.ts";
import { authorize, refusal } from "./rbac.ts";
import { answerReview } from "./reviews.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
  await cluster.client.create(types.serviceAccounts, object(types.serviceAccounts, "default"));
});

const account = { name: "default", namespace: "default" };

async function token(spec: object = {}): Promise<string> {
  const answer = await cluster.client.post(types.serviceAccounts, account, "token", { spec });
  return String(at(answer, "status", "token"));
}

async function review(text: string, audiences: readonly string[] = []): Promise<Record<string, unknown>> {
  const body = object(types.tokenReviews, "", { metadata: {}, spec: { token: text, audiences } });
  return fieldsOf((await cluster.client.create(types.tokenReviews, body))["status"]);
}

async function pod(name: string): Promise<AnyObject> {
  const body = object(types.pods, name, { spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } });
  return cluster.client.create(types.pods, body);
}

describe("service-account tokens", () => {
  it("say who they are in a review", async () => {
    expect(await review(await token())).toMatchObject({
      authenticated: true,
      user: {
        username: "system:serviceaccount:default:default",
        groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
      },
    });
  });

  it("are good for their audiences only", async () => {
    const forMesh = await token({ audiences: ["istio-ca"] });
    expect(await review(forMesh, ["istio-ca", "other"])).toMatchObject({
      authenticated: true,
      audiences: ["istio-ca"],
    });
    expect(await review(forMesh)).toMatchObject({ error: expect.stringContaining("do not include") });
    expect(cluster.identities.authenticator.userOf(`Bearer ${forMesh}`)).toBeUndefined();
    expect(cluster.identities.authenticator.userOf(`Bearer ${await token()}`)?.username).toContain("default:default");
  });

  it("expire", async () => {
    const short = await token({ expirationSeconds: 600 });
    await cluster.host.advance(599_000);
    expect(await review(short)).toMatchObject({ authenticated: true });
    await cluster.host.advance(2_000);
    expect(await review(short)).toEqual({ user: {}, error: "the token has expired" });
  });

  it("go with the pod that they are bound to", async () => {
    const live = await pod("p");
    const bound = await token({ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "p", uid: live.metadata.uid } });
    expect(at(await review(bound), "user", "extra")).toMatchObject({
      "authentication.kubernetes.io/pod-name": ["p"],
      "authentication.kubernetes.io/pod-uid": [live.metadata.uid],
      "authentication.kubernetes.io/node-name": ["n1"],
    });
    await cluster.client.delete(types.pods, { name: "p", namespace: "default" }, { gracePeriodSeconds: 0 });
    await pod("p");
    expect((await review(bound))["error"]).toContain("that the token is bound to is gone");
  });

  it("go with their service account, even if another of its name comes", async () => {
    const old = await token();
    await cluster.client.delete(types.serviceAccounts, account);
    await cluster.client.create(types.serviceAccounts, object(types.serviceAccounts, "default"));
    expect((await review(old))["error"]).toContain("is gone");
  });

  it("cannot be altered", async () => {
    const [head, body = "", signature] = (await token()).split(".");
    const claims = fieldsOf(JSON.parse(Buffer.from(body, "base64url").toString()));
    const altered = Buffer.from(JSON.stringify({ ...claims, exp: 9_999_999_999 })).toString("base64url");
    expect((await review(`${head}.${altered}.${signature}`))["error"]).toBe("the token was not signed by this cluster");
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    expect((await review(`${none}.${body}.`))["error"]).toBeDefined();
  });

  it("can be checked with the published key", async () => {
    const [head = "", body = "", signature = ""] = (await token()).split(".");
    const [jwk] = cluster.identities.issuer.jwks().keys;
    if (jwk === undefined) throw new Error("no key was published");
    expect(jwk["d"]).toBeUndefined();
    const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" } as const;
    const isGood = verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"));
    expect(isGood).toBe(true);
  });
});

describe("access", () => {
  const user = { username: "system:serviceaccount:default:default", groups: ["system:authenticated"] };
  const question = { verb: "list", group: "", resource: "pods", namespace: "default" };
  const rbac = "rbac.authorization.k8s.io";
  const grant = async (kind: "Role" | "ClusterRole", rules: readonly object[], bindingKind: string) => {
    const [roleType, bindingType] = [
      kind === "Role" ? types.roles : types.clusterRoles,
      bindingKind === "RoleBinding" ? types.roleBindings : types.clusterRoleBindings,
    ];
    await cluster.client.create(roleType, object(roleType, "r", { rules }));
    const subjects = [{ kind: "ServiceAccount", name: "default", namespace: "default" }];
    const roleRef = { apiGroup: rbac, kind, name: "r" };
    await cluster.client.create(bindingType, object(bindingType, "b", { subjects, roleRef }));
  };

  it("is refused without a role, in the API's own words", () => {
    expect(authorize(cluster.context, user, question)).toBeUndefined();
    const error = refusal(user, question);
    expect(error).toBeInstanceOf(KubeError);
    expect(error.message).toBe(
      'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    expect(refusal(user, { verb: "get", group: "apps", resource: "deployments", name: "d" }).message).toBe(
      'deployments.apps "d" is forbidden: User "system:serviceaccount:default:default" cannot get resource "deployments" in API group "apps" at the cluster scope',
    );
  });

  it("is given by a Role in its namespace only", async () => {
    await grant("Role", [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }], "RoleBinding");
    expect(authorize(cluster.context, user, question)).toContain("RoleBinding");
    expect(authorize(cluster.context, user, { ...question, verb: "delete" })).toBeUndefined();
    expect(authorize(cluster.context, user, { ...question, namespace: "kube-system" })).toBeUndefined();
    expect(authorize(cluster.context, user, { ...question, subresource: "log" })).toBeUndefined();
  });

  it("is given by a ClusterRole everywhere, and to named objects only when the rule names them", async () => {
    const rules = [{ apiGroups: ["apps"], resources: ["*"], verbs: ["*"], resourceNames: ["d"] }];
    await grant("ClusterRole", rules, "ClusterRoleBinding");
    const named = { verb: "get", group: "apps", resource: "deployments", namespace: "any", name: "d" };
    expect(authorize(cluster.context, user, named)).toContain("ClusterRoleBinding");
    expect(authorize(cluster.context, user, { ...named, name: "e" })).toBeUndefined();
  });

  it("is everything for the admin", () => {
    const admin = cluster.identities.authenticator.userOf(`Bearer ${adminToken}`);
    expect(admin).toBeDefined();
    if (admin !== undefined) expect(authorize(cluster.context, admin, question)).toBeDefined();
    expect(cluster.identities.authenticator.userOf("Bearer wrong")).toBeUndefined();
    expect(cluster.identities.authenticator.userOf(undefined)).toBeUndefined();
  });

  it("is listed for the one who asks, open paths included", async () => {
    const rule = { apiGroups: [""], resources: ["pods"], verbs: ["list"] };
    await grant("Role", [rule], "RoleBinding");
    const reviewKind = cluster.kind(types.selfSubjectRulesReviews);
    const ask = (namespace: string) =>
      answerReview(cluster.identities, reviewKind, user, { spec: { namespace } })["status"];
    expect(ask("default")).toMatchObject({
      incomplete: false,
      resourceRules: expect.arrayContaining([rule]) as unknown,
    });
    expect(fieldsOf(ask("kube-system"))["resourceRules"]).not.toContainEqual(rule);
    expect(JSON.stringify(fieldsOf(ask("default"))["nonResourceRules"])).toContain("/openapi/*");
  });
});

describe("acting as another", () => {
  const admin = { username: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] };
  const asUser = (headers: Record<string, string>, user = admin) => actingUser(cluster.context, user, headers);

  it("is for those who may, and gives the other's groups only", () => {
    expect(asUser({ "impersonate-user": "system:serviceaccount:shop:cart" })).toEqual({
      username: "system:serviceaccount:shop:cart",
      groups: ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    });
    expect(asUser({ "impersonate-user": "anna", "impersonate-group": "ops, dev" })).toEqual({
      username: "anna",
      groups: ["ops", "dev", "system:authenticated"],
    });
    expect(asUser({})).toBe(admin);
  });

  it("is refused to everybody else, and without a user", () => {
    const nobody = { username: "nobody", groups: ["system:authenticated"] };
    expect(() => asUser({ "impersonate-user": "anna" }, nobody)).toThrow(
      /"nobody" cannot impersonate resource "users"/,
    );
    expect(() => asUser({ "impersonate-group": "system:masters" }, nobody)).toThrow(/without a user/);
    expect(() => asUser({ "impersonate-user": "anna", "impersonate-uid": "1" })).toThrow(/impersonate-uid/);
  });
});
