/** Rows of the model as tables, with the columns of `istioctl ztunnel-config` first (spec.md 1.7.3). */
import { spiffeId, type MeshService, type Policy, type Workload } from "../../../core/mesh/model.ts";
import { isProbe } from "../../../core/mesh/probes.ts";
import { orDash, table } from "../table.ts";
import type { CertificateRow, LinkRow } from "./rows.ts";

const byText = (a: readonly string[], b: readonly string[]): number => (a.join("\0") < b.join("\0") ? -1 : 1);

/** `isWide` adds what ztunnel-config does not have. */
export function serviceTable(
  services: readonly MeshService[],
  workloads: readonly Workload[],
  isWide: boolean,
): string {
  const counts = new Map<string, { healthy: number; total: number }>();
  for (const { services: served, isHealthy } of workloads) {
    for (const key of Object.keys(served)) {
      const count = counts.get(key) ?? { healthy: 0, total: 0 };
      counts.set(key, { healthy: count.healthy + (isHealthy ? 1 : 0), total: count.total + 1 });
    }
  }
  const rows = services.map(({ namespace, name, hostname, addresses, trafficDistribution }) => {
    const { healthy, total } = counts.get(`${namespace}/${hostname}`) ?? { healthy: 0, total: 0 };
    const vip = orDash(addresses.map(({ address }) => address).join(","));
    const wide = isWide ? [hostname, trafficDistribution] : [];
    return [namespace, name, vip, "None", `${healthy}/${total}`, ...wide];
  });
  const wideHeader = isWide ? ["HOSTNAME", "DISTRIBUTION"] : [];
  return table(["NAMESPACE", "SERVICE NAME", "SERVICE VIP", "WAYPOINT", "ENDPOINTS", ...wideHeader], rows.sort(byText));
}

const protocols: Readonly<Record<Workload["tunnel"], string>> = { none: "TCP", native: "NATIVE", hbone: "HBONE" };

export function workloadTable(workloads: readonly Workload[], isWide: boolean): string {
  const rows = workloads
    .filter((workload) => !isProbe(workload))
    .map(({ namespace, name, addresses, node, tunnel, remote, cluster, network, isHealthy, capacity }) => {
      const address = remote === undefined ? addresses.join(",") : remote.gateways.map(({ host }) => host).join(",");
      const wide = isWide ? [network, cluster, isHealthy ? String(capacity) : "0"] : [];
      return [namespace, name, orDash(address), orDash(node), "None", protocols[tunnel], ...wide];
    });
  const wideHeader = isWide ? ["NETWORK", "CLUSTER", "READY"] : [];
  return table(["NAMESPACE", "POD NAME", "ADDRESS", "NODE", "WAYPOINT", "PROTOCOL", ...wideHeader], rows.sort(byText));
}

const scopeNames: Readonly<Record<Policy["scope"], string>> = {
  global: "Global",
  namespace: "Namespace",
  workload: "WorkloadSelector",
};

export const policyTable = (policies: readonly Policy[]): string =>
  table(
    ["NAMESPACE", "POLICY NAME", "ACTION", "SCOPE", "RULES"],
    policies
      .map(({ namespace, name, action, scope, groups }) => [
        namespace,
        name,
        action === "deny" ? "Deny" : "Allow",
        scopeNames[scope],
        String(groups.length),
      ])
      .sort(byText),
  );

function certificateStatus({ isValid, problem }: CertificateRow): string {
  if (problem !== undefined) return isValid ? `Available, not renewed: ${problem}` : `Unavailable: ${problem}`;
  return isValid ? "Available" : "Expired";
}

export const certificateTable = (certificates: readonly CertificateRow[]): string =>
  table(
    ["CERTIFICATE NAME", "NODE", "TYPE", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE", "STATUS"],
    certificates.map((row) => [
      row.identity,
      orDash(row.node),
      row.type,
      String(row.isValid),
      orDash(row.serial?.toLowerCase() ?? ""),
      orDash(row.notAfter ?? ""),
      orDash(row.notBefore ?? ""),
      certificateStatus(row),
    ]),
  );

function linkStatus({ state }: LinkRow): string {
  if (state === undefined) return "Pending";
  if (state.isConnected && !state.isStale) return "Connected";
  const what = state.isStale ? "Stale" : "Disconnected";
  return state.cause === undefined ? what : `${what}: ${state.cause}`;
}

export const linkTable = (links: readonly LinkRow[]): string =>
  table(
    ["PEER", "NETWORK", "IDENTITY", "GATEWAYS", "SERVICES", "STATUS"],
    links.map((link) => {
      const { cluster, network, trustDomain, gatewayServiceAccount, dataPlane } = link.peer;
      const [namespace = ""] = link.gateway.split("/");
      const gateways = dataPlane.map(({ host, port }) => `${host}:${port}`).join(",");
      const identity = spiffeId(trustDomain, namespace, gatewayServiceAccount);
      return [cluster, network, identity, orDash(gateways), String(link.services), linkStatus(link)];
    }),
  );
