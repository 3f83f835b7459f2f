/**
 * A cluster's DNS server on the underlay. Its zone is made anew when Services or endpoints have changed and somebody asks;
 * what is not of the cluster goes to the machine's own resolvers.
 */
import type { EndpointSlice, Service } from "../../../core/api/kube.ts";
import { Forwarder, upstreamsOf } from "../../../io/dns/forwarder.ts";
import type { Upstream } from "../../../io/dns/forwarder.ts";
import { serveDns } from "../../../io/dns/server.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Informer } from "../../../io/kube/informer.ts";
import { answerFrom } from "./answer.ts";
import { Zone } from "./zone.ts";

export interface DnsInformers {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
}

/** IPv4 servers of a resolv.conf; without any, the machine itself, as the C library does it. */
export function machineResolvers(resolvConf: string): readonly Upstream[] {
  const found = upstreamsOf(resolvConf).filter(({ address }) => !address.includes(":"));
  return found.length > 0 ? found : [{ address: "127.0.0.1", port: 53 }];
}

/** Resolves once it listens on both transports; ends with the signal. */
export async function startDns(
  host: Host,
  informers: DnsInformers,
  resolvers: readonly Upstream[],
  where: { readonly address: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  const { services, endpointSlices } = informers;
  await Promise.all([services.synced, endpointSlices.synced]);
  let zone: Zone | undefined;
  const forget = () => {
    zone = undefined;
  };
  services.onChange(forget);
  endpointSlices.onChange(forget);
  const server = await serveDns({
    ...where,
    forwarder: new Forwarder(host, () => resolvers),
    answer: (question) => {
      zone ??= new Zone({ services: services.objects, endpointSlices: endpointSlices.objects.values() });
      return answerFrom(zone, question);
    },
  });
  signal.addEventListener("abort", () => server.close(), { once: true });
  host.log.info("dns.started", where);
}
