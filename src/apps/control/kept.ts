/**
 * What the control plane keeps of the objects it watches: of most kinds only what the mesh reads, and what many objects
 * have in common once. There may be tens of thousands of them.
 */
import type { KubeObject, Namespace, Node, ObjectMeta, Service } from "../../core/api/kube.ts";
import type { ServiceEntry, WorkloadEntry } from "../../core/api/mesh-kinds.ts";
import { annotation, label } from "../../core/api/names.ts";
import type { Container, Pod } from "../../core/api/pod.ts";
import type { Export } from "../../core/mesh/model.ts";
import { Shared } from "../../core/mesh/shared.ts";
import { digestOf, managedByUs, type Remembered, type Specified } from "./writers/written.ts";

/** Kept by clients for themselves, and large. */
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

const emptyEntry: ServiceEntry["spec"] = { hosts: [] };
const emptyWorkload: WorkloadEntry["spec"] = {};
const managed = { [label.managedBy]: "tombolo" };

type Metadata = Pick<
  ObjectMeta,
  "name" | "namespace" | "uid" | "resourceVersion" | "generation" | "creationTimestamp" | "deletionTimestamp"
>;

const keptOfContainer = ({ name, image, ports, restartPolicy }: Container): Container => ({
  name,
  image,
  ...(ports && { ports }),
  ...(restartPolicy && { restartPolicy }),
});

/** Owns the values that kept objects share. */
export class Kept {
  readonly #shared = new Shared();

  pod(pod: Pod): Pod {
    const shared = this.#shared;
    const { labels, annotations, ownerReferences } = pod.metadata;
    const { nodeName, serviceAccountName, hostNetwork, containers, initContainers } = pod.spec;
    const { phase, podIP, podIPs, conditions } = pod.status ?? {};
    const said = annotationsOf(annotations);
    const owners = ownerReferences?.filter(({ controller }) => controller === true);
    const isSingle = podIP !== undefined && podIPs?.length === 1 && podIPs[0]?.ip === podIP;
    const ready = conditions?.filter(({ type }) => type === "Ready").map(({ type, status }) => ({ type, status }));
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        ...this.metadata(pod.metadata),
        ...(labels && { labels: shared.of(labels) }),
        ...(said && { annotations: shared.of(said) }),
        ...(owners && owners.length > 0 && { ownerReferences: shared.of(owners) }),
      },
      spec: {
        containers: shared.of(containers.map(keptOfContainer)),
        ...(initContainers && { initContainers: shared.of(initContainers.map(keptOfContainer)) }),
        ...(nodeName !== undefined && { nodeName: shared.word(nodeName) }),
        ...(serviceAccountName !== undefined && { serviceAccountName: shared.word(serviceAccountName) }),
        ...(hostNetwork !== undefined && { hostNetwork }),
      },
      status: {
        ...(phase && { phase }),
        ...(podIP !== undefined && { podIP }),
        ...(podIPs && !isSingle && { podIPs }),
        ...(ready && { conditions: shared.of(ready) }),
      },
    };
  }

  /** Services of gateways are ours to write, and kept whole for that. */
  service(service: Service): Service {
    const { labels, annotations } = service.metadata;
    if (labels?.[label.gatewayManaged] !== undefined) return this.whole(service);
    const shared = this.#shared;
    const { spec } = service;
    const { type, clusterIP, clusterIPs, selector, ports, trafficDistribution, publishNotReadyAddresses } = spec;
    const isSingle = clusterIP !== undefined && clusterIPs?.length === 1 && clusterIPs[0] === clusterIP;
    return {
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        ...this.metadata(service.metadata),
        ...(labels && { labels: shared.of(labels) }),
        ...(annotations && { annotations: shared.of(withoutApplied(annotations)) }),
      },
      spec: {
        ...(type !== undefined && { type: type }),
        ...(clusterIP !== undefined && { clusterIP }),
        ...(clusterIPs && !isSingle && { clusterIPs }),
        ...(selector && { selector: shared.of(selector) }),
        ...(ports && { ports: shared.of(ports) }),
        ...(trafficDistribution !== undefined && { trafficDistribution: shared.word(trafficDistribution) }),
        ...(publishNotReadyAddresses !== undefined && { publishNotReadyAddresses }),
        ...(spec.internalTrafficPolicy !== undefined && { internalTrafficPolicy: spec.internalTrafficPolicy }),
      },
    };
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
    const { status } = entry;
    const isNamed = (status?.addresses ?? []).every(({ host }) => host !== undefined);
    return {
      ...this.#generated(entry),
      // An address without host belongs to the first one.
      spec: isNamed ? emptyEntry : { hosts: entry.spec.hosts },
      ...(status && { status }),
    };
  }

  workloadEntry(entry: WorkloadEntry): WorkloadEntry & Remembered {
    return managedByUs(entry) ? { ...this.#generated(entry), spec: emptyWorkload } : this.whole(entry);
  }

  #generated(object: Specified): KubeObject & Remembered {
    return {
      apiVersion: this.#shared.word(object.apiVersion),
      kind: this.#shared.word(object.kind),
      metadata: { ...this.metadata(object.metadata), labels: managed },
      digest: digestOf(object),
    };
  }

  /** All but what the API server and clients note for themselves. */
  whole<T extends KubeObject>(object: T): T {
    const { managedFields: _managedFields, annotations, ...metadata } = object.metadata;
    return { ...object, metadata: { ...metadata, ...(annotations && { annotations: withoutApplied(annotations) }) } };
  }

  /** Of a peer; generations are peering's business, and the mesh must not see a change where only they differ. */
  export(row: Export): Export {
    const shared = this.#shared;
    return {
      ...row,
      cluster: shared.word(row.cluster),
      network: shared.word(row.network),
      trustDomain: shared.word(row.trustDomain),
      segment: shared.word(row.segment),
      segmentDomain: shared.word(row.segmentDomain),
      namespace: shared.word(row.namespace),
      ports: shared.of(row.ports),
      identities: shared.of(row.identities),
      aliases: shared.of(row.aliases),
      ready: shared.of(row.ready),
      endpoints: row.endpoints.length === 0 ? shared.of(row.endpoints) : row.endpoints,
      generation: 0,
    };
  }

  metadata(metadata: ObjectMeta): Metadata {
    const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
    return {
      name,
      ...(namespace !== undefined && { namespace: this.#shared.word(namespace) }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(generation !== undefined && { generation }),
      ...(creationTimestamp !== undefined && { creationTimestamp: this.#shared.word(creationTimestamp) }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    };
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
