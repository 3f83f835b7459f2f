/** `kubectl --as`: whoever has the right to may act as another user, group or service account. */
import type { IncomingHttpHeaders } from "node:http";
import type { ApiContext, User } from "../api/context.ts";
import { badRequest } from "../api/errors.ts";
import { authorize, refusal } from "./rbac.ts";
import type { ResourceQuestion } from "./rbac.ts";

const authenticated = "system:authenticated";

const valuesOf = (header: string | string[] | undefined): readonly string[] =>
  header === undefined ? [] : Array.isArray(header) ? header : header.split(",").map((value) => value.trim());

/** As whom `user` acts; throws 403 when it may not. Groups without a user make no sense and are refused with 400. */
export function actingUser(context: ApiContext, user: User, headers: IncomingHttpHeaders): User {
  const [name = ""] = valuesOf(headers["impersonate-user"]);
  const groups = valuesOf(headers["impersonate-group"]);
  const others = Object.keys(headers).filter(
    (key) => key === "impersonate-uid" || key.startsWith("impersonate-extra-"),
  );
  if (name === "") {
    if (groups.length + others.length === 0) return user;
    throw badRequest("requested to act as a group, uid or extra without a user (Impersonate-User)");
  }
  if (others.length > 0) throw badRequest(`this API server does not know the header ${others.join(", ")}`);
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
  const mayAct = (question: Pick<ResourceQuestion, "resource" | "name" | "namespace">): void => {
    const asked = { verb: "impersonate", group: "", ...question };
    if (authorize(context, user, asked) === undefined) throw refusal(user, asked);
  };
  if (account === undefined) mayAct({ resource: "users", name });
  else mayAct({ resource: "serviceaccounts", name: account, namespace });
  for (const group of groups) mayAct({ resource: "groups", name: group });
  const ownGroups = account === undefined ? [] : ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
  const given = groups.length > 0 ? groups : ownGroups;
  return { username: name, groups: [...new Set([...given, authenticated])] };
}
