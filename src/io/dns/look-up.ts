/** Finds a name as a pod's own resolver would: with its search domains, the mesh's names first, then the cluster's DNS. */
import { Resolver } from "node:dns/promises";
import type { Upstream } from "./forwarder.ts";
import { answerMeshName, type NameClient, type NameLookup } from "./mesh-names.ts";

/** As kubelet writes it into a pod's resolv.conf. */
const dotsOfWholeName = 5;
const upstreamMsMax = 2_000;

export interface LookedUp {
  readonly by: "mesh" | "cluster DNS" | "nobody";
  readonly addresses: readonly string[];
  /** The name that was found, when it is not the one asked for. */
  readonly alias?: string;
}

function namesToTry(host: string, { namespace, clusterDomain }: NameClient): readonly string[] {
  if (host.endsWith(".")) return [host.slice(0, -1)];
  const domains = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  const extended = domains.map((domain) => `${host}.${domain}`);
  return host.split(".").length > dotsOfWholeName ? [host, ...extended] : [...extended, host];
}

export interface LookUpOptions {
  /** Undefined: the pod's questions do not pass the mesh. */
  readonly lookup: NameLookup | undefined;
  readonly client: NameClient;
  readonly upstreams: readonly Upstream[];
}

/** IPv4 only, as pods are told no IPv6 address of the mesh. */
export async function lookUp(asked: string, { lookup, client, upstreams }: LookUpOptions): Promise<LookedUp> {
  const host = asked.toLowerCase();
  const resolver = new Resolver({ timeout: upstreamMsMax, tries: 1 });
  resolver.setServers(
    upstreams.map(({ address, port }) => `${address.includes(":") ? `[${address}]` : address}:${port}`),
  );
  for (const name of namesToTry(host, client)) {
    const found = lookup === undefined ? "forward" : answerMeshName({ name, type: "A" }, lookup, client);
    if (found !== "forward") {
      const addresses = found.records.flatMap((record) => (record.type === "A" ? [record.data] : []));
      const alias = found.records.find(({ type }) => type === "CNAME");
      // An empty answer is one: the resolver tries its next name.
      if (addresses.length === 0) continue;
      const real = alias?.type === "CNAME" ? alias.data : name;
      return { by: "mesh", addresses, ...(real === host ? {} : { alias: real }) };
    }
    const addresses = await resolver.resolve4(name).catch(() => []);
    if (addresses.length > 0) return { by: "cluster DNS", addresses, ...(name === host ? {} : { alias: name }) };
  }
  return { by: "nobody", addresses: [] };
}
