/**
 * What the node's Envoy sees over ADS, made from the captured pods, the replica and the certificates whenever it asks, and
 * what must be pushed when one of these changes. Remembers only which destinations Envoy uses.
 */
import { dialCluster, dialEndpoints } from "../../../core/envoy/dial.ts";
import { podWorkloadUid } from "../../../core/envoy/endpoints.ts";
import { gateCluster, gateListener } from "../../../core/envoy/gate.ts";
import { gateClusterName, parseDialClusterName, podListenerName, trustSecretName } from "../../../core/envoy/names.ts";
import { inboundListener, outboundListener } from "../../../core/envoy/pod-listeners.ts";
import { decisionOf } from "../../../core/envoy/policy.ts";
import { type EnvoyResource, envoyType } from "../../../core/envoy/resource.ts";
import { secretOf } from "../../../core/envoy/secrets.ts";
import { nodeClusters } from "../../../core/envoy/static-clusters.ts";
import type { LocalPod, NodeView, SecretSource } from "../../../core/envoy/view.ts";
import { serviceKey } from "../../../core/mesh/model.ts";
import { addressKey, type ReplicaChange } from "../../../core/mesh/replica.ts";
import type { ResourceSource, VersionedResource } from "../../../io/xds/resource-source.ts";
import type { Encode, Push } from "./source.ts";

const staticClusters = new Map(nodeClusters.map((cluster) => [cluster.name, cluster]));
const listenerNames = (pod: LocalPod): readonly string[] => Object.values(podListenerName).map((of) => of(pod.uid));

export class NodeSource implements ResourceSource {
  readonly #view: NodeView;
  readonly #secrets: SecretSource;
  readonly #encode: Encode;
  /** Names of the destinations that Envoy asked for. */
  readonly #dials = new Set<string>();
  /** Pods as they were at the last push, so that those that are gone are withdrawn. */
  #pushedPods: ReadonlyMap<string, LocalPod> = new Map();

  constructor(view: NodeView, secrets: SecretSource, encode: Encode) {
    this.#view = view;
    this.#secrets = secrets;
    this.#encode = encode;
  }

  names(typeUrl: string): Iterable<string> {
    const pods = [...this.#view.podsByUid.values()];
    switch (typeUrl) {
      case envoyType.cluster:
        return [...staticClusters.keys(), ...pods.map((pod) => gateClusterName(pod.uid))];
      case envoyType.listener:
        return pods.flatMap(listenerNames);
      default:
        return [];
    }
  }

  isListed(typeUrl: string, name: string): boolean {
    const hasPod = this.#view.podsByUid.has(name.slice(name.indexOf("|") + 1));
    if (typeUrl === envoyType.listener) return hasPod;
    return (
      typeUrl === envoyType.cluster &&
      (staticClusters.has(name) || (hasPod && parseDialClusterName(name) === undefined))
    );
  }

  get(typeUrl: string, name: string): VersionedResource | undefined {
    const resource = this.#resource(typeUrl, name);
    return resource === undefined ? undefined : this.#encode(resource);
  }

  released(typeUrl: string, name: string): void {
    if (typeUrl === envoyType.cluster) this.#dials.delete(name);
  }

  /** Destinations that Envoy holds clusters for. */
  get dialCount(): number {
    return this.#dials.size;
  }

  podsChanged(push: Push): void {
    const pods = new Map(this.#view.podsByUid);
    const all = [...new Map([...this.#pushedPods, ...pods]).values()];
    this.#pushedPods = pods;
    push.changed(envoyType.cluster, [...all.map((pod) => gateClusterName(pod.uid)), ...this.#dials]);
    push.changed(envoyType.endpoints, this.#dials);
    push.changed(envoyType.listener, all.flatMap(listenerNames));
  }

  replicaChanged(change: ReplicaChange, push: Push): void {
    const dials = [...this.#dials].filter((name) => this.#isTouched(name, change));
    push.changed(envoyType.cluster, dials);
    push.changed(envoyType.endpoints, dials);
    const { cluster } = this.#view;
    const gates = [...this.#view.podsByUid.values()].filter(
      (pod) => change.policies.size > 0 || change.workloads.has(podWorkloadUid(cluster, pod)),
    );
    push.changed(
      envoyType.listener,
      gates.map((pod) => podListenerName.gate(pod.uid)),
    );
  }

  certificateChanged(identity: string, push: Push): void {
    push.changed(envoyType.secret, [identity]);
  }

  trustChanged(push: Push): void {
    push.changed(envoyType.secret, [trustSecretName]);
  }

  #isTouched(name: string, change: ReplicaChange): boolean {
    const dial = parseDialClusterName(name);
    if (dial === undefined) return false;
    const { network, replica } = this.#view;
    if (change.addresses.has(addressKey(network, dial.host)) || change.addresses.has(addressKey("", dial.host)))
      return true;
    const service = replica.serviceByAddress(network, dial.host);
    return service !== undefined && change.services.has(serviceKey(service));
  }

  #resource(typeUrl: string, name: string): EnvoyResource | undefined {
    switch (typeUrl) {
      case envoyType.cluster:
        return this.#cluster(name);
      case envoyType.endpoints:
        return dialEndpoints(this.#view, name);
      case envoyType.listener:
        return this.#listener(name);
      case envoyType.secret:
        return secretOf(this.#secrets, name);
      default:
        return undefined;
    }
  }

  #cluster(name: string): EnvoyResource | undefined {
    const fixed = staticClusters.get(name);
    if (fixed !== undefined) return fixed;
    const [kind = "", uid = ""] = name.split("|", 2);
    if (gateClusterName(uid) === name && kind !== "") {
      const pod = this.#view.podsByUid.get(uid);
      return pod === undefined ? undefined : gateCluster(pod);
    }
    const resource = dialCluster(this.#view, name);
    if (resource !== undefined) this.#dials.add(name);
    return resource;
  }

  #listener(name: string): EnvoyResource | undefined {
    const uid = name.slice(name.indexOf("|") + 1);
    const pod = this.#view.podsByUid.get(uid);
    if (pod === undefined) return undefined;
    if (name === podListenerName.outbound(uid)) return outboundListener(pod);
    if (name === podListenerName.inbound(uid)) return inboundListener(pod);
    return name === podListenerName.gate(uid) ? this.#gate(pod) : undefined;
  }

  /** Closed until the model knows the pod: before that, nobody can say which policies select it. */
  #gate(pod: LocalPod): EnvoyResource | undefined {
    const workload = this.#view.replica.workload(podWorkloadUid(this.#view.cluster, pod));
    if (workload === undefined) return undefined;
    return gateListener(pod, decisionOf(this.#view.replica.policiesFor(workload)));
  }
}
