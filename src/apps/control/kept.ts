/**
 * What the control plane keeps of the objects it watches: of most kinds only what the mesh reads, and what many objects
 * have in common once. There may be tens of thousands of them.
 */
import type { KubeObject, Namespace, Node, ObjectMeta, Service } from "../../core/api/kube.ts";
import type { ServiceEntry, WorkloadEntry } from "../../core/api/mesh-kinds.ts";
import { annotation, label } from "../../core/api/names.ts";
import type { Container, Pod } from "../../core/api/pod.ts";
import type { Export } from "../../core/mesh/model.ts";
import { shared } from "../../core/mesh/shared.ts";
import { digestOf, managedByUs, type Remembered } from "./writers/written.ts";

const emptyEntry: ServiceEntry["spec"] = { hosts: [] };
const emptyWorkload: WorkloadEntry["spec"] = {};
const meshObject = {
  serviceEntry: { apiVersion: "networking.istio.io/v1", kind: "ServiceEntry" },
  workloadEntry: { apiVersion: "networking.istio.io/v1", kind: "WorkloadEntry" },
} as const;
type WrittenAddress = NonNullable<NonNullable<ServiceEntry["status"]>["addresses"]>[number];
const managed = { [label.managedBy]: "tombolo" };

/** Kept by clients for themselves, and large. */
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

const keptOfContainer = ({ name, image, ports, restartPolicy }: Container): Container => ({
  name,
  image,
  ...(ports && { ports }),
  ...(restartPolicy && { restartPolicy }),
});

/**
 * Objects are filled field by field in one order: the JavaScript engine then keeps one shape for all of a kind, while
 * objects put together by spreading each get a shape of their own, which takes more than the object.
 */
export class Kept {
  pod(pod: Pod): Pod {
    const { labels, annotations, ownerReferences } = pod.metadata;
    const metadata = this.metadata(pod.metadata);
    if (labels !== undefined) metadata.labels = shared.of(labels);
    const said = annotationsOf(annotations);
    if (said !== undefined) metadata.annotations = shared.of(said);
    const owner = ownerReferences?.find(({ controller }) => controller === true);
    if (owner !== undefined) {
      const { apiVersion, kind, name } = owner;
      // Whose uid it was is of no use.
      metadata.ownerReferences = shared.of([{ apiVersion, kind, name, uid: "", controller: true }]);
    }
    return { apiVersion: "v1", kind: "Pod", metadata, spec: this.#podSpec(pod), status: this.#podStatus(pod) };
  }

  #podSpec(pod: Pod): Pod["spec"] {
    const { nodeName, serviceAccountName, hostNetwork, containers, initContainers } = pod.spec;
    const spec: Pod["spec"] = { containers: shared.of(containers.map(keptOfContainer)) };
    if (initContainers !== undefined) spec.initContainers = shared.of(initContainers.map(keptOfContainer));
    if (nodeName !== undefined) spec.nodeName = shared.word(nodeName);
    if (serviceAccountName !== undefined) spec.serviceAccountName = shared.word(serviceAccountName);
    if (hostNetwork !== undefined) spec.hostNetwork = hostNetwork;
    return spec;
  }

  #podStatus({ status }: Pod): NonNullable<Pod["status"]> {
    const { phase, podIP, podIPs, conditions } = status ?? {};
    const kept: NonNullable<Pod["status"]> = {};
    if (phase !== undefined) kept.phase = phase;
    if (podIP !== undefined) kept.podIP = podIP;
    const isSingle = podIP !== undefined && podIPs?.length === 1 && podIPs[0]?.ip === podIP;
    if (podIPs !== undefined && !isSingle) kept.podIPs = podIPs;
    const ready = conditions?.find(({ type }) => type === "Ready");
    if (ready !== undefined) kept.conditions = shared.of([{ type: ready.type, status: ready.status }]);
    return kept;
  }

  /** Services of gateways are ours to write, and kept whole for that. */
  service(service: Service): Service {
    const { labels, annotations } = service.metadata;
    if (labels?.[label.gatewayManaged] !== undefined) return this.whole(service);
    const metadata = this.metadata(service.metadata);
    if (labels !== undefined) metadata.labels = shared.of(labels);
    if (annotations !== undefined) metadata.annotations = shared.of(withoutApplied(annotations));
    return { apiVersion: "v1", kind: "Service", metadata, spec: this.#serviceSpec(service) };
  }

  #serviceSpec({ spec }: Service): Service["spec"] {
    const { clusterIP, clusterIPs } = spec;
    const kept: Service["spec"] = {};
    if (spec.type !== undefined) kept.type = spec.type;
    if (clusterIP !== undefined) kept.clusterIP = clusterIP;
    const isSingle = clusterIP !== undefined && clusterIPs?.length === 1 && clusterIPs[0] === clusterIP;
    if (clusterIPs !== undefined && !isSingle) kept.clusterIPs = clusterIPs;
    if (spec.selector !== undefined) kept.selector = shared.of(spec.selector);
    if (spec.ports !== undefined) kept.ports = shared.of(spec.ports);
    if (spec.trafficDistribution !== undefined) kept.trafficDistribution = shared.word(spec.trafficDistribution);
    if (spec.publishNotReadyAddresses === true) kept.publishNotReadyAddresses = true;
    if (spec.internalTrafficPolicy !== undefined) kept.internalTrafficPolicy = spec.internalTrafficPolicy;
    return kept;
  }

  /** Labels and annotations are all that is read. */
  namespace({ apiVersion, kind, metadata }: Namespace): Namespace {
    return this.whole({ apiVersion, kind, metadata });
  }

  node({ apiVersion, kind, metadata: { annotations: _annotations, ...metadata } }: Node): Node {
    return this.whole({ apiVersion, kind, metadata });
  }

  /** What we generate ourselves is kept as a digest, and as the addresses that stand in its status. */
  serviceEntry(entry: ServiceEntry): ServiceEntry & Remembered {
    if (!managedByUs(entry)) return this.whole(entry);
    const isNamed = (entry.status?.addresses ?? []).every(({ host }) => host !== undefined);
    const { apiVersion, kind } = meshObject.serviceEntry;
    // An address without host belongs to the first one.
    const spec = isNamed ? emptyEntry : { hosts: entry.spec.hosts };
    const digest = digestOf(entry);
    const kept: ServiceEntry & Remembered = { apiVersion, kind, metadata: this.#ofOurs(entry), spec, digest };
    if (entry.status === undefined) return kept;
    const { addresses, ...status } = entry.status;
    kept.status = status;
    if (addresses !== undefined) kept.status.addresses = addresses.map((one) => this.#address(one));
    return kept;
  }

  workloadEntry(entry: WorkloadEntry): WorkloadEntry & Remembered {
    if (!managedByUs(entry)) return this.whole(entry);
    const { apiVersion, kind } = meshObject.workloadEntry;
    return { apiVersion, kind, metadata: this.#ofOurs(entry), spec: emptyWorkload, digest: digestOf(entry) };
  }

  #address({ host, value }: WrittenAddress): WrittenAddress {
    return host === undefined ? { value } : { host: shared.word(host), value };
  }

  #ofOurs(object: KubeObject): ObjectMeta {
    const metadata = this.metadata(object.metadata);
    metadata.labels = managed;
    return metadata;
  }

  /** All but what the API server and clients note for themselves. */
  whole<T extends KubeObject>(object: T): T {
    const { managedFields: _managedFields, annotations, ...metadata } = object.metadata;
    return { ...object, metadata: { ...metadata, ...(annotations && { annotations: withoutApplied(annotations) }) } };
  }

  /** Of a peer; generations are peering's business, and the mesh must not see a change where only they differ. */
  export(row: Export): Export {
    const kept: { -readonly [Field in keyof Export]: Export[Field] } = {
      cluster: shared.word(row.cluster),
      network: shared.word(row.network),
      trustDomain: shared.word(row.trustDomain),
      segment: shared.word(row.segment),
      segmentDomain: shared.word(row.segmentDomain),
      namespace: shared.word(row.namespace),
      name: shared.word(row.name),
      scope: row.scope,
      takeover: row.takeover,
      ports: shared.of(row.ports),
      identities: shared.of(row.identities),
      aliases: shared.of(row.aliases),
      ready: shared.of(row.ready),
      endpoints: row.endpoints.length === 0 ? shared.of(row.endpoints) : row.endpoints,
      generation: 0,
    };
    if (row.trafficDistribution !== undefined) kept.trafficDistribution = row.trafficDistribution;
    return kept;
  }

  metadata(metadata: ObjectMeta): ObjectMeta {
    const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
    const kept: ObjectMeta = { name };
    if (namespace !== undefined) kept.namespace = shared.word(namespace);
    if (uid !== undefined) kept.uid = uid;
    if (resourceVersion !== undefined) kept.resourceVersion = resourceVersion;
    if (generation !== undefined) kept.generation = generation;
    if (creationTimestamp !== undefined) kept.creationTimestamp = shared.word(creationTimestamp);
    if (deletionTimestamp !== undefined) kept.deletionTimestamp = deletionTimestamp;
    return kept;
  }
}

/** Those of a pod that the mesh reads: the agent's. */
function annotationsOf(annotations: Record<string, string> = {}): Record<string, string> | undefined {
  const read = [annotation.redirection, annotation.refusedPolicies];
  const found = read.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]] as const]));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

function withoutApplied(annotations: Record<string, string>): Record<string, string> {
  const { [lastApplied]: _applied, ...rest } = annotations;
  return rest;
}
