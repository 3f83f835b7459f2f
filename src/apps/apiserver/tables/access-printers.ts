/** The columns of roles, role bindings, custom resource definitions and admission kinds. */
import type { AnyObject } from "../../../core/api/kube.ts";
import { listAt, objectsAt, textAt } from "../schema/json.ts";
import { ageOf, columns, type Printer } from "./printer.ts";

const createdAt: Printer = {
  columns: columns("Name", "Created At:date"),
  cells: (object) => [object.metadata.name, object.metadata.creationTimestamp ?? "<unknown>"],
};

export const rolePrinter = createdAt;
export const clusterRolePrinter = createdAt;
export const definitionPrinter = createdAt;

const subjectsText = (binding: AnyObject, kind: string): string =>
  objectsAt(binding, "subjects")
    .filter((subject) => subject["kind"] === kind)
    .map((subject) => {
      const name = textAt(subject, "name");
      return kind === "ServiceAccount" ? `${textAt(subject, "namespace")}/${name}` : name;
    })
    .join(", ");

export const roleBindingPrinter: Printer = {
  columns: columns("Name", "Role", "Age", "Users*", "Groups*", "ServiceAccounts*"),
  cells: (binding, nowMs) => [
    binding.metadata.name,
    `${textAt(binding, "roleRef", "kind")}/${textAt(binding, "roleRef", "name")}`,
    ageOf(binding, nowMs),
    subjectsText(binding, "User"),
    subjectsText(binding, "Group"),
    subjectsText(binding, "ServiceAccount"),
  ],
};

export const webhookPrinter: Printer = {
  columns: columns("Name", "Webhooks:integer", "Age"),
  cells: (object, nowMs) => [object.metadata.name, listAt(object, "webhooks").length, ageOf(object, nowMs)],
};

export const policyPrinter: Printer = {
  columns: columns("Name", "Validations:integer", "ParamKind", "Age"),
  cells: (object, nowMs) => {
    const version = textAt(object, "spec", "paramKind", "apiVersion");
    const kind = textAt(object, "spec", "paramKind", "kind");
    return [
      object.metadata.name,
      listAt(object, "spec", "validations").length,
      kind === "" ? "<unset>" : `${version}/${kind}`,
      ageOf(object, nowMs),
    ];
  },
};

export const policyBindingPrinter: Printer = {
  columns: columns("Name", "PolicyName", "ParamRef", "Age"),
  cells: (object, nowMs) => {
    const namespace = textAt(object, "spec", "paramRef", "namespace");
    const name = textAt(object, "spec", "paramRef", "name");
    return [
      object.metadata.name,
      textAt(object, "spec", "policyName"),
      name === "" ? "<unset>" : `${namespace === "" ? "*" : namespace}/${name}`,
      ageOf(object, nowMs),
    ];
  },
};
