/** Makes the built-in kinds out of their tables. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind, Schema } from "../kind.ts";
import { nameAndAge } from "../tables/printer.ts";
import { authenticationGroup, authorizationGroup, rbacGroup } from "./builtin/access.ts";
import { appsGroup } from "./builtin/apps.ts";
import { batchGroup } from "./builtin/batch.ts";
import { coreGroup } from "./builtin/core.ts";
import { admissionGroup, extensionsGroup } from "./builtin/extension.ts";
import { objectMeta } from "./builtin/meta.ts";
import { coordinationGroup, discoveryGroup, networkingGroup, policyGroup } from "./builtin/network.ts";
import type { Declaration, GroupDeclaration } from "./declaration.ts";
import { decodeProblem } from "./decode-problem.ts";
import { fillSchemaDefaults } from "./defaults.ts";
import { struct, text } from "./dsl.ts";
import { checkMetadata } from "./names.ts";
import { pruneObject } from "./prune.ts";
import { validateSchema } from "./validate.ts";

/** Verbs of a kind whose objects are stored. */
export const storedVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** In the order in which `kubectl api-resources` and short names go through them. */
const groups: readonly GroupDeclaration[] = [
  coreGroup,
  appsGroup,
  authenticationGroup,
  authorizationGroup,
  batchGroup,
  networkingGroup,
  policyGroup,
  rbacGroup,
  admissionGroup,
  extensionsGroup,
  coordinationGroup,
  discoveryGroup,
];

export const builtinKinds = (): Kind[] =>
  groups.flatMap((group) => group.kinds.map((declaration) => kindOf(group, declaration)));

const schemaOf = (declaration: Declaration): Schema =>
  struct(declaration.kind, declaration.about, {
    apiVersion: text.about("Group and version of this object."),
    kind: text.about("Kind of this object."),
    metadata: objectMeta,
    ...declaration.fields,
  }).schema;

const kindOf = ({ group, version }: GroupDeclaration, declaration: Declaration): Kind => {
  const { kind, plural, isClusterScoped = false, printer = nameAndAge } = declaration;
  const schema = schemaOf(declaration);
  const type = { group, version, kind, plural, namespaced: !isClusterScoped };
  return {
    type,
    singular: declaration.singular ?? kind.toLowerCase(),
    listKind: `${kind}List`,
    shortNames: declaration.shortNames ?? [],
    categories: declaration.categories ?? [],
    storageVersion: version,
    verbs: declaration.verbs ?? storedVerbs,
    schema,
    isCustom: false,
    hasGeneration: declaration.hasGeneration ?? false,
    inert: declaration.inert,
    subresources: declaration.subresources ?? [],
    selectableFields: declaration.selectableFields ?? [],
    columns: printer.columns,
    cells: (object, nowMs) => printer.cells(object, nowMs),
    prune: (object) => pruneObject(object, schema, { metadata: objectMeta.schema, dropNulls: true }),
    decodeProblem: (object) => decodeProblem(object, schema, kind),
    fillDefaults: (object, old) => {
      declaration.fillDefaults?.(object, old);
      fillSchemaDefaults(object, schema);
    },
    validate: (object, old) => validateBuiltin(declaration, schema, object, old),
  };
};

const validateBuiltin = (declaration: Declaration, schema: Schema, object: AnyObject, old: AnyObject | undefined) => {
  const form = declaration.nameForm ?? "subdomain";
  const found = validateSchema(object, schema, "", false);
  const causes = [...checkMetadata(object, form, declaration.isClusterScoped !== true), ...found.causes];
  const more = declaration.check?.(object, old) ?? [];
  const known = new Set(causes.map((cause) => `${cause.field} ${cause.reason}`));
  return [...causes, ...more.filter((cause) => !known.has(`${cause.field} ${cause.reason}`))];
};
