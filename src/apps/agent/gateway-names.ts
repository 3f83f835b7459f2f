/**
 * Which DNS names of peers' gateways the replica holds, kept up to date from change to change. Owns who uses which name.
 */
import { isIp } from "../../core/api/ip.ts";
import type { MeshReplica, ReplicaChange } from "../../core/mesh/replica.ts";

export class GatewayNames {
  readonly #namesByUid = new Map<string, readonly string[]>();

  /** All names after the change; undefined when they are the same as before. */
  after(replica: MeshReplica, change: ReplicaChange): ReadonlySet<string> | undefined {
    let isChanged = false;
    for (const uid of change.workloads) {
      const gateways = replica.workload(uid)?.remote?.gateways ?? [];
      const names = gateways.flatMap(({ host }) => (isIp(host) ? [] : [host]));
      if ((this.#namesByUid.get(uid)?.join(" ") ?? "") === names.join(" ")) continue;
      isChanged = true;
      if (names.length === 0) this.#namesByUid.delete(uid);
      else this.#namesByUid.set(uid, names);
    }
    return isChanged ? new Set([...this.#namesByUid.values()].flat()) : undefined;
  }
}
