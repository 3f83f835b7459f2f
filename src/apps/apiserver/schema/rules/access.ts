/** Defaults and rules of role bindings. */
import type { AnyObject } from "../../../../core/api/kube.ts";
import type { Cause } from "../../kind.ts";
import { invalid, required, unsupported } from "../causes.ts";
import { isEqualJson, isObject, objectAt, objectsAt, textAt } from "../json.ts";

const rbacGroupName = "rbac.authorization.k8s.io";

export const fillRoleBindingDefaults = (object: AnyObject): void => {
  const role = object["roleRef"];
  if (isObject(role) && textAt(role, "apiGroup") === "") role["apiGroup"] = rbacGroupName;
  for (const subject of objectsAt(object, "subjects")) {
    const kind = textAt(subject, "kind");
    if (textAt(subject, "apiGroup") === "" && (kind === "User" || kind === "Group"))
      subject["apiGroup"] = rbacGroupName;
  }
};

export const checkRoleBinding = (object: AnyObject, old: AnyObject | undefined): readonly Cause[] => {
  const role = objectAt(object, "roleRef");
  const causes: Cause[] = [];
  const kinds = object.kind === "ClusterRoleBinding" ? ["ClusterRole"] : ["Role", "ClusterRole"];
  if (!kinds.includes(textAt(role, "kind"))) causes.push(unsupported("roleRef.kind", textAt(role, "kind"), kinds));
  if (textAt(role, "name") === "") causes.push(required("roleRef.name"));
  objectsAt(object, "subjects").forEach((subject, index) => {
    const path = `subjects[${index}]`;
    const kind = textAt(subject, "kind");
    if (!["ServiceAccount", "User", "Group"].includes(kind)) {
      causes.push(unsupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"]));
    }
    // In a namespace, an account without one is of the same namespace.
    const isAnywhere = object.kind === "ClusterRoleBinding" && textAt(subject, "namespace") === "";
    if (kind === "ServiceAccount" && isAnywhere) causes.push(required(`${path}.namespace`));
  });
  if (old !== undefined && !isEqualJson(role, objectAt(old, "roleRef"))) {
    const shown = { APIGroup: role["apiGroup"], Kind: role["kind"], Name: role["name"] };
    causes.push(invalid("roleRef", shown, "cannot change roleRef"));
  }
  return causes;
};
