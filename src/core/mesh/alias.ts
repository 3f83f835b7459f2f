/** Alias patterns of Segments (spec 1.6): `{service} {namespace} {labels['key']} {annotations['key']}`. */
import { isDnsName } from "../api/dns-names.ts";
import type { Labels } from "./selector.ts";

export interface AliasPattern {
  readonly pattern: string;
  readonly selector: Labels;
}

export interface AliasSubject {
  readonly service: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly annotations: Labels;
}

const variable = /\{(service|namespace|(labels|annotations)\['([^']+)'\])\}/g;

/** Whether every brace belongs to a known variable, and the rest can be part of a host name. */
export const isAliasPattern = (pattern: string): boolean => isDnsName(pattern.replace(variable, "x"));

/** The alias of one service; nothing when a label or annotation is missing or the result is not a host name. */
export function expandAlias(pattern: string, subject: AliasSubject): string | undefined {
  let isMissing = false;
  const host = pattern.replace(variable, (_whole, name: string, map: string | undefined, key: string | undefined) => {
    const value = valueOf(subject, name, map, key ?? "");
    isMissing ||= value === undefined;
    return value ?? "";
  });
  return isMissing || !isDnsName(host.toLowerCase()) ? undefined : host.toLowerCase();
}

function valueOf(subject: AliasSubject, name: string, map: string | undefined, key: string): string | undefined {
  if (map === "labels") return subject.labels[key];
  if (map === "annotations") return subject.annotations[key];
  return name === "service" ? subject.service : subject.namespace;
}
