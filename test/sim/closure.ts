/**
 * Whether what an Envoy holds is closed under reference: no listener leads to a cluster that is not there, no endpoint into a
 * gate that is not there, every cluster that asked for endpoints has an answer, and nobody is verified by roots that are
 * not there.
 */
import { podWorkloadUid } from "../../src/core/envoy/endpoints.ts";
import { podListenerName, trustSecretName } from "../../src/core/envoy/names.ts";
import { envoyType } from "../../src/core/envoy/resource.ts";
import type { JsonObject } from "../../src/core/envoy/resource.ts";
import type { SimAgent } from "./agent.ts";

interface References {
  readonly clusters: readonly string[];
  readonly listeners: readonly string[];
  readonly spiffeIds: readonly string[];
}

const known = new WeakMap<object, References>();

/** A listener that is named so that it never exists. */
const nobody = "nobody";

export function problemOfReferences(agent: SimAgent): string | undefined {
  const of = (type: Parameters<typeof agent.held.get>[0]) => agent.held.get(type) ?? new Map<string, JsonObject>();
  const [clusters, endpoints, listeners] = [of(envoyType.cluster), of(envoyType.endpoints), of(envoyType.listener)];
  if (listeners.size === 0) return undefined;
  const mayBeClosed = gatesOfUnknownPods(agent);
  const domains = domainsOf(of(envoyType.secret).get(trustSecretName));
  for (const [type, resources] of agent.held) {
    for (const [name, resource] of resources) {
      const references = referencesOf(resource);
      const cluster = references.clusters.find((one) => !clusters.has(one));
      if (cluster !== undefined) return `${name} leads to cluster ${cluster}, which is not there.`;
      const isOpen = (one: string) => listeners.has(one) || one === nobody || mayBeClosed.has(one);
      const listener = references.listeners.find((one) => !isOpen(one));
      if (listener !== undefined && !isOfGonePod(agent, listener, type)) {
        return `${name} leads into listener ${listener}, which is not there.`;
      }
      const stranger = references.spiffeIds.find((id) => domains !== undefined && !domains.has(id.split("/")[2] ?? ""));
      if (stranger !== undefined) return `${name} expects ${stranger}, of whose trust domain there is no bundle.`;
    }
  }
  for (const [name, cluster] of clusters) {
    if (cluster["type"] === "EDS" && !endpoints.has(name)) return `cluster ${name} waits for endpoints for ever.`;
  }
  return undefined;
}

/** A pod that the model does not know yet, or not any more, has no gate, so that nobody enters. */
function gatesOfUnknownPods({ podsByUid, replica, options }: SimAgent): ReadonlySet<string> {
  const unknown = [...podsByUid.values()].filter((pod) => !replica.workload(podWorkloadUid(options.cluster, pod)));
  return new Set(unknown.map(({ uid }) => podListenerName.gate(uid)));
}

/** The pod is gone from the node and the model will hear of it: its endpoint leads nowhere meanwhile. */
const isOfGonePod = ({ podsByUid }: SimAgent, listener: string, type: string): boolean =>
  type === envoyType.endpoints && ![...podsByUid.keys()].some((uid) => podListenerName.gate(uid) === listener);

function domainsOf(secret: JsonObject | undefined): ReadonlySet<string> | undefined {
  if (secret === undefined) return undefined;
  const found = new Set<string>();
  walk(secret, (key, value) => {
    if (key === "trust_domains" && Array.isArray(value)) {
      for (const one of value as readonly { name: string }[]) found.add(one.name);
    }
  });
  return found;
}

function referencesOf(resource: JsonObject): References {
  const before = known.get(resource);
  if (before !== undefined) return before;
  const [clusters, listeners, spiffeIds] = [new Set<string>(), new Set<string>(), new Set<string>()];
  walk(resource, (key, value, within) => {
    if (typeof value !== "string") return;
    // In the configuration of a filter; elsewhere the word is a key of a matcher or of a log.
    if (key === "cluster" && "stat_prefix" in within) clusters.add(value);
    if (key === "server_listener_name") listeners.add(value);
    if (key === "exact" && value.startsWith("spiffe://") && !value.endsWith("/nobody")) spiffeIds.add(value);
  });
  const made = { clusters: [...clusters], listeners: [...listeners], spiffeIds: [...spiffeIds] };
  known.set(resource, made);
  return made;
}

function walk(value: unknown, visit: (key: string, value: unknown, within: object) => void): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    visit(key, inner, value);
    walk(inner, visit);
  }
}
