/**
 * The endpoints of a Service from its pods, packed into slices of at most 100 so that as few slices as possible change.
 * Pure but for the names of new slices.
 */
import type { EndpointSlice } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { Random } from "../../../io/host/host.ts";
import type { BalancedService } from "./kinds.ts";
import { hasLabels } from "./labels.ts";
import { controlledBy, generatedName, isDeleting, isFinished, isReady } from "./pods.ts";
import { canonicalText, isEqual } from "./template.ts";

const endpointsMax = 100;
const managedByLabel = "endpointslice.kubernetes.io/managed-by";
const managedBy = "endpointslice-controller.k8s.io";
const headlessLabel = "service.kubernetes.io/headless";

type Endpoint = EndpointSlice["endpoints"][number];
type Ports = NonNullable<EndpointSlice["ports"]>;
type Family = "IPv4" | "IPv6";

export interface SliceView {
  readonly service: BalancedService;
  /** Of the Service's namespace. */
  readonly pods: readonly Pod[];
  /** Own slices of the Service. */
  readonly existing: readonly EndpointSlice[];
  readonly zoneOf: (node: string) => string | undefined;
  readonly random: Random;
}

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Endpoints that share a slice: one address family, and the same numbers for the named ports. */
interface Group {
  readonly family: Family;
  readonly ports: Ports;
  readonly endpoints: Endpoint[];
}

export const isOwnSlice = ({ metadata }: EndpointSlice, service: string): boolean =>
  metadata.labels?.[label.serviceName] === service && metadata.labels[managedByLabel] === managedBy;

export function planSlices(view: SliceView): SlicePlan {
  const { service } = view;
  const selector = service.spec.selector ?? {};
  if (Object.keys(selector).length === 0 || service.spec.type === "ExternalName") {
    return { create: [], update: [], remove: view.existing };
  }
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  const kept = new Set<EndpointSlice>();
  for (const group of groupsOf(view)) {
    const mine = view.existing.filter(
      (slice) => slice.addressType === group.family && isEqual(slice.ports ?? [], group.ports) && !kept.has(slice),
    );
    for (const { slice, endpoints } of pack(group, mine)) {
      const wanted = sliceOf(view, group, endpoints, slice);
      if (slice === undefined) create.push(wanted);
      else {
        kept.add(slice);
        if (!isSameSlice(slice, wanted)) update.push(wanted);
      }
    }
  }
  return { create, update, remove: view.existing.filter((slice) => !kept.has(slice)) };
}

function groupsOf({ service, pods, zoneOf }: SliceView): readonly Group[] {
  const families = familiesOf(service);
  const groups = new Map<string, Group>();
  const add = (family: Family, ports: Ports, endpoint?: Endpoint): void => {
    const id = `${family} ${canonicalText(ports)}`;
    const group = groups.get(id) ?? { family, ports, endpoints: [] };
    groups.set(id, group);
    if (endpoint !== undefined) group.endpoints.push(endpoint);
  };
  const members = pods
    .filter((pod) => hasLabels(pod.metadata.labels, service.spec.selector ?? {}) && !isFinished(pod))
    .sort((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
  for (const pod of members) {
    for (const family of families) {
      const address = addressOf(pod, family);
      if (address !== undefined) add(family, portsOf(service, pod), endpointOf(service, pod, address, zoneOf));
    }
  }
  // A Service without pods still has a slice: its readers tell "no endpoints" from "not looked at yet".
  for (const family of families) if (![...groups.values()].some((group) => group.family === family)) add(family, []);
  return [...groups.values()];
}

const familiesOf = ({ spec }: BalancedService): readonly Family[] => {
  const families = (spec.ipFamilies ?? []).filter((family): family is Family => family === "IPv4" || family === "IPv6");
  return families.length > 0 ? families : ["IPv4"];
};

function addressOf({ status }: Pod, family: Family): string | undefined {
  const addresses = [
    ...(status?.podIPs ?? []).map(({ ip }) => ip),
    ...(status?.podIP === undefined ? [] : [status.podIP]),
  ];
  return addresses.find((address) => address.includes(":") === (family === "IPv6"));
}

/** A named target port that the pod does not have leaves the port out, as a Service may mix pods of several versions. */
function portsOf({ spec }: BalancedService, pod: Pod): Ports {
  return (spec.ports ?? []).flatMap(({ name = "", port, targetPort = port, protocol = "TCP", appProtocol }) => {
    const number = typeof targetPort === "number" ? targetPort : numberOf(pod, targetPort, protocol);
    if (number === undefined) return [];
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function numberOf({ spec }: Pod, name: string, protocol: string): number | undefined {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  const ports = [...spec.containers, ...sidecars].flatMap((container) => container.ports ?? []);
  return ports.find((port) => port.name === name && (port.protocol ?? "TCP") === protocol)?.containerPort;
}

function endpointOf(
  service: BalancedService,
  pod: Pod,
  address: string,
  zoneOf: (node: string) => string | undefined,
): Endpoint {
  const serving = isReady(pod);
  const terminating = isDeleting(pod);
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { name, namespace, uid } = pod.metadata;
  const { nodeName, hostname, subdomain } = pod.spec;
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    targetRef: { kind: "Pod", namespace: namespace ?? "default", name, ...(uid === undefined ? {} : { uid }) },
  };
}

interface Packed {
  readonly slice: EndpointSlice | undefined;
  readonly endpoints: readonly Endpoint[];
}

const idOf = (endpoint: Endpoint): string => `${endpoint.targetRef?.uid ?? ""} ${endpoint.addresses.join(" ")}`;

/** Endpoints stay in the slice they are in; new ones fill the gaps, then new slices. Empty slices go, but for the last. */
function pack(group: Group, existing: readonly EndpointSlice[]): readonly Packed[] {
  const waiting = new Map(group.endpoints.map((endpoint) => [idOf(endpoint), endpoint]));
  const packed = existing.map((slice) => {
    const endpoints = (slice.endpoints ?? []).flatMap((endpoint) => {
      const wanted = waiting.get(idOf(endpoint));
      waiting.delete(idOf(endpoint));
      return wanted ?? [];
    });
    return { slice, endpoints };
  });
  const rest = [...waiting.values()];
  for (const { endpoints } of packed) endpoints.push(...rest.splice(0, Math.max(0, endpointsMax - endpoints.length)));
  const result: Packed[] = packed.filter(({ endpoints }) => endpoints.length > 0);
  while (rest.length > 0) result.push({ slice: undefined, endpoints: rest.splice(0, endpointsMax) });
  return result.length > 0 ? result : [packed[0] ?? { slice: undefined, endpoints: [] }];
}

function sliceOf(
  { service, random }: SliceView,
  group: Group,
  endpoints: readonly Endpoint[],
  existing: EndpointSlice | undefined,
): EndpointSlice {
  const labels: Record<string, string> = {
    ...service.metadata.labels,
    [label.serviceName]: service.metadata.name,
    [managedByLabel]: managedBy,
    ...(service.spec.clusterIP === "None" ? { [headlessLabel]: "" } : {}),
  };
  const ownerReferences = [controlledBy(service)];
  const fresh = (): EndpointSlice["metadata"] => ({
    name: generatedName(random, service.metadata.name),
    namespace: service.metadata.namespace ?? "default",
  });
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...(existing?.metadata ?? fresh()), labels, ownerReferences },
    addressType: group.family,
    endpoints: [...endpoints],
    ports: group.ports,
  };
}

const isSameSlice = (one: EndpointSlice, other: EndpointSlice): boolean => isEqual(contentOf(one), contentOf(other));

const contentOf = ({ metadata, addressType, endpoints, ports }: EndpointSlice): unknown => [
  metadata.labels,
  metadata.ownerReferences,
  addressType,
  endpoints ?? [],
  ports ?? [],
];
