/** What two clusters must have in common, or must not, to be linked. Pure; each finding names the way out. */
import { parseCidr } from "../../../core/api/ip.ts";
import type { ClusterFacts } from "./objects.ts";
import { bad, type Finding, good, warning } from "./finding.ts";

export interface NamedFinding {
  readonly name: string;
  readonly finding: Finding;
}

export type PairedFacts = Pick<
  ClusterFacts,
  "roots" | "version" | "podRanges" | "serviceAddresses" | "gatewayAddresses"
> & {
  readonly context: string;
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly skipTrustDomainCheck: boolean;
};

export const pairedFacts = ({ mesh, roots, version, ...rest }: ClusterFacts): PairedFacts => ({
  context: mesh.context,
  cluster: mesh.cluster,
  network: mesh.network,
  trustDomain: mesh.trustDomain,
  skipTrustDomainCheck: mesh.settings.skipTrustDomainCheck,
  roots,
  version,
  podRanges: rest.podRanges,
  serviceAddresses: rest.serviceAddresses,
  gatewayAddresses: rest.gatewayAddresses,
});

/** Whether two ranges have an address in common. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [parseCidr(one), parseCidr(other)];
  if (a === undefined || b === undefined || a.address.length !== b.address.length) return false;
  const bits = Math.min(a.length, b.length);
  for (let bit = 0; bit < bits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((a.address[bit >> 3] ?? 0) & mask) !== ((b.address[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

const common = (ours: readonly string[], theirs: readonly string[]): readonly string[] =>
  ours.filter((one) => theirs.some((other) => overlap(one, other)));

const few = (values: readonly string[]): string =>
  values.length <= 3 ? values.join(", ") : `${values.slice(0, 3).join(", ")} and ${values.length - 3} more`;

function names(a: PairedFacts, b: PairedFacts): Finding {
  if (a.cluster !== b.cluster) return good(`${a.cluster} and ${b.cluster}`);
  return bad(
    `both are named cluster "${a.cluster}", so peers could not tell them apart`,
    "Install each with its own global.multiCluster.clusterName.",
  );
}

function networks(a: PairedFacts, b: PairedFacts): Finding {
  const nameless = [a, b].find(({ network }) => network === "");
  if (nameless !== undefined) {
    return bad(
      `${nameless.cluster} has no network name`,
      `Label it: 'kubectl --context ${nameless.context} label namespace istio-system topology.istio.io/network=<network>'.`,
    );
  }
  if (a.network !== b.network) return good(`${a.network} and ${b.network}: connections go through the gateways`);
  return warning(`both are on network ${a.network}: pods are dialled directly`, [
    "Each pod must be able to reach the other cluster's pod addresses. Else give the clusters different networks.",
  ]);
}

function addresses(a: PairedFacts, b: PairedFacts): Finding {
  const gateways = a.gatewayAddresses.filter((one) => b.gatewayAddresses.includes(one));
  if (gateways.length > 0) {
    return bad(
      `both gateways have the address ${few(gateways)}`,
      "Give the east-west gateways addresses that each cluster can reach and tell apart.",
    );
  }
  const pods = common(a.podRanges, b.podRanges);
  const services = a.serviceAddresses.filter((one) => b.serviceAddresses.includes(one));
  if (pods.length > 0 && a.network === b.network) {
    return bad(
      `pod addresses overlap (${few(pods)}) on the one network ${a.network}`,
      "Clusters on one network need different pod ranges; or give them different networks, so that gateways lie between.",
    );
  }
  if (pods.length + services.length === 0) return good("pod and service addresses do not overlap");
  const what = [
    ...(pods.length > 0 ? [`pod addresses (${few(pods)})`] : []),
    ...(services.length > 0 ? ["service addresses"] : []),
  ];
  return good(`${what.join(" and ")} overlap, which does no harm: no cluster dials another's addresses`);
}

function trust(a: PairedFacts, b: PairedFacts): Finding {
  const without = [a, b].find(({ roots }) => roots.length === 0);
  if (without !== undefined) {
    return bad(
      `${without.cluster} has no root of trust yet`,
      `See 'kubectl --context ${without.context} -n istio-system get configmap istio-ca-root-cert,pods'.`,
    );
  }
  if (!a.roots.some((one) => b.roots.includes(one))) {
    return bad(
      "they have no root of trust in common, so no workload of one would believe one of the other",
      "Issue an intermediate for each from one root and put it into Secret istio-system/cacerts.",
    );
  }
  const strict = [a, b].filter(({ skipTrustDomainCheck }) => !skipTrustDomainCheck);
  if (a.trustDomain === b.trustDomain || strict.length === 0) {
    const domains = a.trustDomain === b.trustDomain ? a.trustDomain : `${a.trustDomain} and ${b.trustDomain}`;
    return good(`one root of trust; trust domain ${domains}`);
  }
  return bad(
    `trust domains ${a.trustDomain} and ${b.trustDomain} differ, and ${strict.map(({ cluster }) => cluster).join(" and ")} would not believe the other`,
    "Install with PILOT_SKIP_VALIDATE_TRUST_DOMAIN and SKIP_VALIDATE_TRUST_DOMAIN set to true, or with one trust domain.",
  );
}

function versions(a: PairedFacts, b: PairedFacts): Finding {
  if (a.version === b.version) return good(`both ${a.version}`);
  return warning(`${a.cluster} has ${a.version}, ${b.cluster} ${b.version}`, [
    "Neighbouring versions work together while you upgrade; bring both to the newer one.",
  ]);
}

/** Named as `check` and `link --plan` print them. */
export const pairFindings = (a: PairedFacts, b: PairedFacts): readonly NamedFinding[] => [
  { name: "Cluster Names Check", finding: names(a, b) },
  { name: "Networks Check", finding: networks(a, b) },
  { name: "Addresses Check", finding: addresses(a, b) },
  { name: "Intermediate Certs Compatibility Check", finding: trust(a, b) },
  { name: "Versions Check", finding: versions(a, b) },
];
