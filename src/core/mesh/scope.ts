/** Who may see a service (spec 1.2): the scope and takeover labels of a Service, else of its Namespace. */
import { label } from "../api/names.ts";
import type { Fault } from "./problem.ts";
import type { Labels } from "./selector.ts";

export interface Publication {
  readonly scope: "global" | "segment";
  readonly takeover: boolean;
}

/** What a Namespace says for the services in it that say nothing. */
export interface ScopeOfNamespace {
  readonly scope: string | undefined;
  readonly takeover: string | undefined;
}

/** Values by which a Service opts out of its Namespace's scope. */
const privateValues: readonly string[] = ["local", "cluster", "none"];
const publicValues: readonly string[] = ["global", "segment", "global-only"];

export const isScopeValue = (value: string): boolean => publicValues.includes(value) || privateValues.includes(value);

export const unknownScope = (object: string, value: string): Fault => ({
  reason: "UnknownScope",
  message: `${object}: label ${label.serviceScope}=${value} is not known, so nothing is published.`,
  remedy: "Use global, segment or global-only (or local, to opt out of the Namespace's label).",
});

/** Nothing when the service stays in its cluster. */
export function publicationOf(labels: Labels, namespace: ScopeOfNamespace | undefined): Publication | undefined {
  const scope = labels[label.serviceScope] ?? namespace?.scope;
  if (scope === undefined || !publicValues.includes(scope)) return undefined;
  const takeover = labels[label.serviceTakeover] ?? namespace?.takeover;
  return {
    scope: scope === "segment" ? "segment" : "global",
    takeover: scope === "global-only" || takeover === "true",
  };
}
