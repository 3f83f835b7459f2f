/** What follows from a change of the model: what Envoy must hear, and which names are looked up. */
import type { MeshReplica, ReplicaChange } from "../../core/mesh/replica.ts";
import type { WatchedNames } from "../../io/dns/watched-names.ts";
import type { EnvoySource } from "../../io/xds/envoy-source.ts";
import { domainsOf } from "./certificates.ts";
import { GatewayNames } from "./gateway-names.ts";
import type { NodeModel } from "./node-view.ts";

/** Whether a change brought a trust domain that was not known, or took the last workload of one. */
class TrustDomains {
  readonly #own: string;
  /** Of workloads of other domains than our own, which are few. */
  readonly #domainsByUid = new Map<string, string>();
  #known = "";

  constructor(own: string) {
    this.#own = own;
  }

  changed(replica: MeshReplica, change: ReplicaChange): boolean {
    for (const uid of change.workloads) {
      const workload = replica.workload(uid);
      const domains = workload === undefined ? [] : domainsOf(workload).filter((domain) => domain !== this.#own);
      if (domains.length === 0) this.#domainsByUid.delete(uid);
      else this.#domainsByUid.set(uid, domains.join(" "));
    }
    const known = [...new Set(this.#domainsByUid.values())].sort().join(" ");
    if (known === this.#known) return false;
    this.#known = known;
    return true;
  }
}

/** Every change of the model, and what Envoy must hear of it. */
export function followReplica(
  replica: MeshReplica,
  trustDomain: string,
  source: Pick<EnvoySource, "replicaChanged" | "refresh">,
): void {
  const domains = new TrustDomains(trustDomain);
  replica.onChange((change) => {
    source.replicaChanged(change);
    if (domains.changed(replica, change)) source.refresh();
  });
}

/** What is near is ranked by where the node is. */
export function followLocality({ replica, view }: NodeModel, source: Pick<EnvoySource, "refresh">): void {
  let before = view.locality;
  replica.onChange(() => {
    if (view.locality === before) return;
    before = view.locality;
    source.refresh();
  });
}

/** Names of peers' gateways are looked up as long as a row of the model holds them. */
export function followGatewayNames(replica: MeshReplica, names: WatchedNames): void {
  const wanted = new GatewayNames();
  replica.onChange((change) => {
    const all = wanted.after(replica, change);
    if (all !== undefined) names.want(all);
  });
}
