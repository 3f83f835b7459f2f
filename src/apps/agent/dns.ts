/** DNS of captured pods: names of the mesh from the replica, everything else from the cluster's DNS. */
import { clusterDomain } from "../../core/api/names.ts";
import type { LocalPod } from "../../core/envoy/view.ts";
import type { MeshReplica } from "../../core/mesh/replica.ts";
import type { Host } from "../../io/host/host.ts";
import { readNow } from "../../io/host/files.ts";
import { Forwarder, upstreamsOf } from "../../io/dns/forwarder.ts";
import type { Answer } from "../../io/dns/message.ts";
import { answerMeshName } from "../../io/dns/mesh-names.ts";
import { type DnsServer, serveDns } from "../../io/dns/server.ts";

export interface MeshDnsOptions {
  readonly nodeIp: string;
  readonly port: number;
  readonly network: string;
  readonly replica: MeshReplica;
  readonly podsByUid: ReadonlyMap<string, LocalPod>;
}

/**
 * Only IPv4 is captured: an IPv6 address of a known name would lead past the mesh or nowhere, so it is not told. The name
 * stays known, which is an empty answer.
 */
function withoutIpv6(answer: Answer | "forward"): Answer | "forward" {
  if (answer === "forward") return answer;
  return { ...answer, records: answer.records.filter(({ type }) => type !== "AAAA") };
}

export function serveMeshDns(host: Host, options: MeshDnsOptions): Promise<DnsServer> {
  const { replica, network } = options;
  const namespaceOf = (address: string): string => {
    for (const pod of options.podsByUid.values()) if (pod.ip === address) return pod.namespace;
    return "";
  };
  return serveDns({
    address: options.nodeIp,
    port: options.port,
    // The agent's own resolvers: with the host's network and ClusterFirstWithHostNet these are the cluster's DNS.
    forwarder: new Forwarder(host, () => upstreamsOf(readNow("/etc/resolv.conf") ?? "")),
    answer: (question, source) =>
      withoutIpv6(answerMeshName(question, replica, { network, namespace: namespaceOf(source), clusterDomain })),
  });
}
