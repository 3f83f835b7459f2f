/** Kinds that are only asked and never stored: token requests and reviews, access reviews (A41). */
import type { AnyObject } from "../../../core/api/kube.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { Ref } from "../../../io/kube/client.ts";
import type { ApiContext, User } from "../api/context.ts";
import { badRequest, conflict, forbidden, invalid, notFound } from "../api/errors.ts";
import type { Fields } from "../api/json.ts";
import { fieldsOf, isFields, listOf, textOf } from "../api/json.ts";
import type { Kind } from "../kind.ts";
import { admin } from "./authenticator.ts";
import type { Authenticator } from "./authenticator.ts";
import type { Question } from "./rbac.ts";
import { authorize, openRules, rulesFor } from "./rbac.ts";
import type { Bound, TokenIssuer } from "./tokens.ts";
import { audiencesOf } from "./tokens.ts";

export interface Identities {
  readonly context: ApiContext;
  readonly issuer: TokenIssuer;
  readonly authenticator: Authenticator;
}

type Review = (identities: Identities, asker: User, spec: Fields) => Fields;

const reviews: Readonly<Record<string, Review>> = {
  "authentication.k8s.io/TokenReview": (identities, _asker, spec) => reviewToken(identities, spec),
  "authentication.k8s.io/SelfSubjectReview": (_identities, asker) => ({ userInfo: userInfo(asker) }),
  "authorization.k8s.io/SelfSubjectAccessReview": ({ context }, asker, spec) => verdictOf(context, asker, spec),
  "authorization.k8s.io/SubjectAccessReview": ({ context }, _asker, spec) => verdictOf(context, subjectOf(spec), spec),
  "authorization.k8s.io/LocalSubjectAccessReview": ({ context }, _asker, spec) =>
    verdictOf(context, subjectOf(spec), spec),
  "authorization.k8s.io/SelfSubjectRulesReview": ({ context }, asker, spec) => rulesOf(context, asker, spec),
};

export const isReview = (kind: Kind): boolean => `${kind.type.group}/${kind.type.kind}` in reviews;

/** The review as asked, with its status. */
export function answerReview(identities: Identities, kind: Kind, asker: User, body: unknown): AnyObject {
  const review = reviews[`${kind.type.group}/${kind.type.kind}`];
  if (review === undefined || !isFields(body)) throw badRequest(`the body is no ${kind.type.kind}`);
  return {
    ...body,
    kind: kind.type.kind,
    apiVersion: apiVersionOf(kind.type),
    // A review has no name of its own; what it was sent with goes back.
    metadata: { creationTimestamp: null, ...fieldsOf(body["metadata"]) } as unknown as AnyObject["metadata"],
    status: review(identities, asker, fieldsOf(body["spec"])),
  };
}

const userInfo = (user: User): Fields => ({
  username: user.username,
  ...(user.uid === undefined ? {} : { uid: user.uid }),
  groups: user.groups,
  ...(user.extra === undefined ? {} : { extra: user.extra }),
});

function reviewToken({ issuer, authenticator }: Identities, spec: Fields): Fields {
  const token = textOf(spec["token"]) ?? "";
  const asked = audiencesOf(spec);
  const audiences = asked.length === 0 ? [issuer.issuer] : asked;
  if (authenticator.isAdminToken(token)) {
    // The admin's token is for the API server alone.
    const shared = audiences.filter((audience) => audience === issuer.issuer);
    return shared.length === 0
      ? { user: {}, error: "the token is not meant for the audiences asked about" }
      : { authenticated: true, user: userInfo(admin), audiences: shared };
  }
  const verified = issuer.verify(token, audiences);
  if ("problem" in verified) return { user: {}, error: verified.problem };
  return { authenticated: true, user: userInfo(verified.user), audiences: verified.audiences };
}

function subjectOf(spec: Fields): User {
  const groups = listOf(spec["groups"]).map(String);
  const username = textOf(spec["user"]) ?? "";
  const isKnown = username !== "" && username !== "system:anonymous";
  return {
    username,
    groups: isKnown && !groups.includes("system:authenticated") ? [...groups, "system:authenticated"] : groups,
  };
}

function verdictOf(context: ApiContext, user: User, spec: Fields): Fields {
  const verdict = authorize(context, user, questionOf(spec));
  return verdict === undefined ? { allowed: false } : { allowed: true, reason: verdict };
}

function questionOf(spec: Fields): Question {
  const path = spec["nonResourceAttributes"];
  if (isFields(path)) return { verb: textOf(path["verb"]) ?? "", path: textOf(path["path"]) ?? "" };
  const resource = fieldsOf(spec["resourceAttributes"]);
  return {
    verb: textOf(resource["verb"]) ?? "",
    group: textOf(resource["group"]) ?? "",
    resource: textOf(resource["resource"]) ?? "",
    subresource: textOf(resource["subresource"]) || undefined,
    name: textOf(resource["name"]) || undefined,
    namespace: textOf(resource["namespace"]) || undefined,
  };
}

/** `kubectl auth can-i --list`: the rules that speak for the asker, in one namespace. */
function rulesOf(context: ApiContext, user: User, spec: Fields): Fields {
  const isAdmin = user.groups.includes("system:masters");
  const all: readonly Fields[] = isAdmin
    ? [
        { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
        { verbs: ["*"], nonResourceURLs: ["*"] },
      ]
    : [...openRules, ...rulesFor(context, user, textOf(spec["namespace"]) ?? "")];
  const isPathRule = (rule: Fields) => listOf(rule["nonResourceURLs"]).length > 0;
  return {
    resourceRules: all.filter((rule) => !isPathRule(rule)),
    nonResourceRules: all.filter(isPathRule).map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}

const lifeSeconds = { default: 3600, min: 600, max: 2 ** 32 } as const;
const accountType = { group: "", plural: "serviceaccounts", kind: "ServiceAccount" };
const requestType = { group: "authentication.k8s.io", plural: "tokenrequests", kind: "TokenRequest" };

/** POST to `serviceaccounts/<name>/token`. */
export function requestToken({ context, issuer }: Identities, ref: Ref, body: unknown): AnyObject {
  const key = `${ref.namespace ?? ""}/${ref.name}`;
  const account = context.store.get("/serviceaccounts", key);
  if (account === undefined) throw notFound(accountType, ref.name);
  const spec = fieldsOf(fieldsOf(body)["spec"]);
  const asked = spec["expirationSeconds"] ?? lifeSeconds.default;
  if (typeof asked !== "number" || asked < lifeSeconds.min || asked > lifeSeconds.max) {
    throw invalid(requestType, "", [
      {
        field: "spec.expirationSeconds",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(asked)}: may not specify a duration less than 10 minutes`,
      },
    ]);
  }
  const audiences = audiencesOf(spec);
  const bound = boundOf(context, ref, spec["boundObjectRef"]);
  const { token, expiresMs } = issuer.issue({
    account,
    audiences: audiences.length === 0 ? [issuer.issuer] : audiences,
    seconds: asked,
    ...bound,
  });
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: {
      name: ref.name,
      namespace: ref.namespace ?? "",
      creationTimestamp: isoSeconds(context.host.clock.now()),
    },
    spec: {
      ...spec,
      audiences: audiences.length === 0 ? [issuer.issuer] : audiences,
      expirationSeconds: asked,
      boundObjectRef: spec["boundObjectRef"] ?? null,
    },
    status: { token, expirationTimestamp: isoSeconds(expiresMs) },
  };
}

function boundOf(
  context: ApiContext,
  ref: Ref,
  given: unknown,
): { bound?: Bound; node?: { name: string; uid: string | undefined } } {
  if (!isFields(given)) return {};
  const kind = textOf(given["kind"]);
  const name = textOf(given["name"]) ?? "";
  if (kind !== "Pod" && kind !== "Node" && kind !== "Secret") {
    throw badRequest(`cannot bind token to object of type ${String(given["apiVersion"])}, Kind=${String(kind)}`);
  }
  const type = { group: "", plural: `${kind.toLowerCase()}s`, kind };
  const object = context.store.get(`/${type.plural}`, kind === "Node" ? name : `${ref.namespace}/${name}`);
  if (object === undefined) throw notFound(type, name);
  const uid = object.metadata.uid ?? "";
  const wanted = textOf(given["uid"]) || uid;
  if (wanted !== uid)
    throw conflict(
      type,
      name,
      `the UID in the bound object reference (${wanted}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const spec = fieldsOf(object["spec"]);
  if (kind === "Pod" && (textOf(spec["serviceAccountName"]) ?? "default") !== ref.name) {
    throw forbidden(
      accountType,
      ref.name,
      `cannot bind token for serviceaccount ${JSON.stringify(ref.name)} to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = kind === "Pod" ? textOf(spec["nodeName"]) || undefined : undefined;
  const node =
    nodeName === undefined ? undefined : { name: nodeName, uid: context.store.get("/nodes", nodeName)?.metadata.uid };
  return { bound: { kind, name, uid }, ...(node === undefined ? {} : { node }) };
}
