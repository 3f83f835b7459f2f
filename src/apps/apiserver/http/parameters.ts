/** The query of a request, parsed: selections, write options, delete options. Pure but for reading what it is given. */
import type { DeleteRequest } from "../api/delete.ts";
import { badRequest } from "../api/errors.ts";
import { at, fieldsOf, isFields, listOf, textOf } from "../api/json.ts";
import type { WatchRequest } from "../api/watch.ts";
import type { WriteOptions } from "../api/write.ts";
import type { ResourcePath } from "./path.ts";

const numberParameter = (query: URLSearchParams, name: string): number | undefined => {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw badRequest(`the query parameter ${name} is a whole number, not ${JSON.stringify(text)}`);
};

export const flagParameter = (query: URLSearchParams, name: string): boolean | undefined => {
  const text = query.get(name);
  return text === null ? undefined : text === "" || text === "true" || text === "1";
};

const textParameter = (query: URLSearchParams, name: string): string | undefined => query.get(name) || undefined;

/** What a list, watch or deletecollection is about. A watch below a name is a watch of that one object. */
export function selectionOf(path: ResourcePath, query: URLSearchParams): WatchRequest {
  const one = path.name === undefined ? undefined : `metadata.name=${path.name}`;
  const fields = [one, textParameter(query, "fieldSelector")].filter((term) => term !== undefined).join(",");
  return {
    namespace: path.namespace,
    labelSelector: textParameter(query, "labelSelector"),
    fieldSelector: fields === "" ? undefined : fields,
    limit: numberParameter(query, "limit"),
    continue: textParameter(query, "continue"),
    resourceVersion: textParameter(query, "resourceVersion"),
    resourceVersionMatch: textParameter(query, "resourceVersionMatch"),
    allowWatchBookmarks: flagParameter(query, "allowWatchBookmarks"),
    sendInitialEvents: flagParameter(query, "sendInitialEvents"),
    timeoutSeconds: numberParameter(query, "timeoutSeconds"),
  };
}

const validations = ["Strict", "Warn", "Ignore"] as const;

export interface WriteParameters {
  readonly query: URLSearchParams;
  readonly userAgent: string | undefined;
  readonly isApply: boolean;
  readonly bodyProblems: readonly string[];
  readonly warn: (text: string) => void;
}

const managerCharactersMax = 128;

export function writeOptionsOf({ query, userAgent, isApply, bodyProblems, warn }: WriteParameters): WriteOptions {
  const asked = textParameter(query, "fieldValidation");
  const fieldValidation = validations.find((one) => one === (asked ?? "Warn"));
  if (fieldValidation === undefined) {
    throw badRequest(`fieldValidation is Strict, Warn or Ignore, not ${JSON.stringify(asked)}`);
  }
  const agent = (userAgent ?? "").split("/")[0] || "unknown";
  const fieldManager = textParameter(query, "fieldManager") ?? (isApply ? "" : agent);
  if (fieldManager.length > managerCharactersMax)
    throw badRequest(`fieldManager is longer than ${managerCharactersMax} characters`);
  return { fieldManager, dryRun: isDryRun(query.getAll("dryRun")), fieldValidation, bodyProblems, warn };
}

function isDryRun(values: readonly unknown[]): boolean {
  const given = values.filter((value) => value !== "");
  if (given.length === 0) return false;
  if (given.every((value) => value === "All")) return true;
  throw badRequest(`dryRun is All or absent, not ${JSON.stringify(given)}`);
}

/** The body counts before the query. */
export function deleteRequestOf(body: unknown, query: URLSearchParams): DeleteRequest {
  if (body !== undefined && !isFields(body)) throw badRequest("the body of a DELETE is a DeleteOptions");
  const fields = fieldsOf(body);
  const grace = fields["gracePeriodSeconds"] ?? numberParameter(query, "gracePeriodSeconds");
  if (grace !== undefined && typeof grace !== "number") throw badRequest("gracePeriodSeconds is a number");
  const orphans = fields["orphanDependents"];
  const policy = textOf(fields["propagationPolicy"]) ?? textParameter(query, "propagationPolicy");
  return {
    uid: textOf(at(fields, "preconditions", "uid")),
    resourceVersion: textOf(at(fields, "preconditions", "resourceVersion")),
    gracePeriodSeconds: grace,
    propagationPolicy: propagationOf(policy) ?? (orphans === true ? "Orphan" : undefined),
    dryRun: isDryRun([...listOf(fields["dryRun"]), ...query.getAll("dryRun")]),
  };
}

function propagationOf(text: string | undefined): DeleteRequest["propagationPolicy"] {
  if (text === undefined || text === "Background" || text === "Foreground" || text === "Orphan") return text;
  throw badRequest(`propagationPolicy is Foreground, Background or Orphan, not ${JSON.stringify(text)}`);
}
