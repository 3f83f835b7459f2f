/**
 * Kubernetes Services of this cluster as the mesh sees them, with what they publish. ExternalName Services are not
 * among them.
 */
import type { Service } from "../api/kube.ts";
import { annotation, label } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { expandAlias } from "./alias.ts";
import type { MeshSettings, TrafficDistribution } from "./model.ts";
import { type NamespaceFacts, type Namespaces } from "./namespace-facts.ts";
import { type TargetedPort, targetedPort } from "./ports.ts";
import { type Fault, type Problem, problemKey } from "./problem.ts";
import { isScopeValue, type Publication, publicationOf, unknownScope } from "./scope.ts";
import { currentSegment, isReservedDomain, type SegmentRow, type Segments } from "./segments.ts";
import { type Labels, selects } from "./selector.ts";
import type { MeshSources } from "./sources.ts";
import { firstDistribution, parseTrafficDistribution } from "./traffic-distribution.ts";
import { shared, trimmed } from "./shared.ts";

/** What this cluster publishes of a service, under its segment. */
export interface Published extends Publication {
  readonly segment: string;
  readonly domain: string;
  /** The global hostname. */
  readonly hostname: string;
  readonly aliases: readonly string[];
}

export interface LocalService {
  readonly namespace: string;
  readonly name: string;
  /** `<name>.<namespace>.svc.<cluster domain>`. */
  readonly hostname: string;
  readonly ports: readonly TargetedPort[];
  readonly selector: Labels;
  readonly addresses: readonly string[];
  readonly isHeadless: boolean;
  readonly publishNotReady: boolean;
  /** What the Service or its Namespace says; nothing when they say nothing. */
  readonly trafficDistribution: TrafficDistribution | undefined;
  /** Connections to its local name stay on their node (internalTrafficPolicy Local). */
  readonly isNodeLocal: boolean;
  readonly published: Published | undefined;
}

export interface LocalServices {
  /** Key `<ns>/<name>`. */
  readonly rows: Collection<LocalService>;
  readonly problems: Collection<Problem>;
}

export const globalId = (segment: string, namespace: string, name: string): string => `${segment}/${namespace}/${name}`;

export const localHostname = (name: string, namespace: string, settings: MeshSettings): string =>
  `${name}.${namespace}.svc.${settings.clusterDomain}`;

export function wireLocalServices(
  graph: Graph,
  settings: MeshSettings,
  from: { readonly sources: MeshSources; readonly namespaces: Namespaces; readonly segments: Segments },
): LocalServices {
  const { sources, namespaces, segments } = from;
  const rows = graph.derive<Service, LocalService>("localServices", sources.services, function* (service, read, key) {
    if (service.spec.type === "ExternalName") return;
    const facts = read.get(namespaces.facts, service.metadata.namespace ?? "");
    const publication = publicationOf(service.metadata.labels ?? {}, facts);
    const segment = publication === undefined ? undefined : currentSegment(segments, read);
    yield [key, localService(service, settings, { facts, publication, segment })];
  });
  const problems = graph.derive<Service, Problem>(
    "localServices.problems",
    sources.services,
    function* (service, read) {
      for (const problem of problemsOf(service, namespaces, read)) yield [problemKey(problem), problem];
    },
  );
  return { rows, problems };
}

interface Context {
  readonly facts: NamespaceFacts | undefined;
  readonly publication: Publication | undefined;
  readonly segment: SegmentRow | undefined;
}

function localService(service: Service, settings: MeshSettings, context: Context): LocalService {
  const { metadata, spec } = service;
  const namespace = metadata.namespace ?? "";
  const { facts, publication, segment } = context;
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    namespace,
    name: metadata.name,
    hostname: localHostname(metadata.name, namespace, settings),
    ports: shared.of((spec.ports ?? []).filter((port) => port.protocol !== "SCTP").map(targetedPort)),
    selector: spec.selector ?? {},
    addresses: trimmed(addresses.filter((address) => address !== "" && address !== "None")),
    isHeadless: spec.clusterIP === "None",
    publishNotReady: spec.publishNotReadyAddresses === true,
    trafficDistribution: firstDistribution(
      spec.trafficDistribution,
      metadata.annotations?.[annotation.trafficDistribution],
      facts?.trafficDistribution,
    ),
    isNodeLocal: spec.internalTrafficPolicy === "Local",
    published:
      publication === undefined || segment === undefined
        ? undefined
        : publish(service, publication, { segment, settings }),
  };
}

function publish(
  service: Service,
  publication: Publication,
  { segment, settings }: { readonly segment: SegmentRow; readonly settings: MeshSettings },
): Published {
  const { name, namespace = "", labels = {}, annotations = {} } = service.metadata;
  const aliases = new Set<string>();
  for (const { pattern, selector } of segment.aliases) {
    const alias = selects(selector, labels)
      ? expandAlias(pattern, { service: name, namespace, labels, annotations })
      : undefined;
    // Names of Kubernetes itself cannot be had by a label.
    if (alias !== undefined && !isReservedDomain(alias, settings)) aliases.add(alias);
  }
  const hostname = `${name}.${namespace}.${segment.domain}`;
  aliases.delete(hostname);
  return {
    scope: publication.scope,
    takeover: publication.takeover,
    segment: segment.name,
    domain: segment.domain,
    hostname,
    aliases: trimmed([...aliases].sort()),
  };
}

function problemsOf(service: Service, namespaces: Namespaces, read: Reader): readonly Problem[] {
  const { name, namespace = "", labels = {}, annotations = {} } = service.metadata;
  const found: Problem[] = [];
  const add = (fault: Fault): void => {
    found.push({ kind: "Service", namespace, name, ...fault, shownAs: "event" });
  };
  const object = `Service ${namespace}/${name}`;
  const scope = labels[label.serviceScope];
  if (scope !== undefined && !isScopeValue(scope)) add(unknownScope(object, scope));
  const publication = publicationOf(labels, read.get(namespaces.facts, namespace));
  if (labels[label.serviceTakeover] === "true" && publication === undefined) {
    add({
      reason: "TakeoverWithoutScope",
      message: `${object}: label ${label.serviceTakeover}=true has no effect without a scope.`,
      remedy: `Add label ${label.serviceScope}=global to the Service or its Namespace.`,
    });
  }
  if (publication !== undefined && service.spec.type === "ExternalName") {
    add({
      reason: "NotPublishable",
      message: `${object}: an ExternalName Service has no pods and is not published.`,
      remedy: "Label the Service that it stands for.",
    });
  }
  const distribution = annotations[annotation.trafficDistribution];
  if (distribution !== undefined && parseTrafficDistribution(distribution) === undefined) {
    add({
      reason: "UnknownTrafficDistribution",
      message: `${object}: annotation ${annotation.trafficDistribution}=${distribution} is not known and counts as Any.`,
      remedy: "Use PreferNetwork, PreferClose, PreferRegion or Any.",
    });
  }
  return found;
}
