/** An explanation as a person reads it: name, service, endpoints, hops, and what comes of it. */
import type { CallExplanation } from "../../../core/explain/call.ts";
import type { Candidate } from "../../../core/explain/candidate.ts";
import type { Destination, Outcome } from "../../../core/explain/outcome.ts";
import { orDash, table } from "../table.ts";
import type { Explanation, Scope } from "./explanation.ts";

const section = (title: string, text: string): string => `${title.padEnd(10)}${text}\n`;

function nameText({ host, address, answer }: CallExplanation): string {
  const { by, addresses, alias } = answer;
  if (by === "itself") return `${host} is an address; nobody was asked`;
  if (address === undefined) return `${host} has no address: neither the mesh nor the cluster's DNS knows it`;
  const known = by === "mesh" ? "the mesh knows it" : "the cluster's DNS knows it, the mesh does not";
  return `${host}${alias === undefined ? "" : ` is ${alias}, which`} is ${addresses.join(", ")}; ${known}`;
}

function scopeText(hostname: string, scope: Scope | undefined): string {
  if (scope === undefined) return "not published to other clusters";
  const published = `scope ${scope.scope}, segment ${scope.segment}`;
  if (scope.hostname === hostname) return published;
  return scope.isTakenOver
    ? `taken over by ${scope.hostname}, ${published}`
    : `this name stays in its cluster, ${scope.hostname} has ${published}`;
}

function serviceText({ call, scope }: Explanation): string {
  const { service, route } = call;
  if (service === undefined) {
    return route === "endpoints" ? "none; the address is that of a pod in the mesh" : "none that the mesh knows";
  }
  return `${service.key}; ${scopeText(service.hostname, scope)}; ${service.trafficDistribution}; ports ${service.ports.join(", ")}`;
}

const routeTexts: Readonly<Record<CallExplanation["route"], string>> = {
  endpoints: "the node's Envoy chooses an endpoint",
  passthrough: "passed on to the address that was dialled, in the clear",
  outside: "the pod is not captured: Kubernetes itself chooses, in the clear",
  unresolved: "there is nothing to connect to",
};

const policyText = ({ verdict, ways }: Candidate): string => {
  if (verdict !== undefined) return `${verdict.decision}: ${verdict.because}`;
  const [way] = ways;
  return way === undefined ? "" : way.kind === "plaintext" ? "none: it is outside the mesh" : "decided there";
};

function candidateRow(candidate: Candidate): readonly string[] {
  const { namespace, name, cluster, node, ways, priority, pods, isUsed, exclusion } = candidate;
  const who = `${namespace}/${name}${pods > 1 ? ` (${pods} pods)` : ""}`;
  if (!isUsed) return ["-", who, cluster, orDash(node), "-", "-", "-", `out: it ${exclusion ?? "is not used"}`];
  const [way] = ways;
  const addresses = ways.map(({ address }) => address).join(",");
  const weight = ways.reduce((sum, one) => sum + one.weight, 0);
  const rank = String((priority ?? 0) + 1);
  return [rank, who, cluster, orDash(node), way?.kind ?? "", addresses, String(weight), policyText(candidate)];
}

const header = ["RANK", "ENDPOINT", "CLUSTER", "NODE", "BY", "ADDRESS", "WEIGHT", "POLICY"];
const byRank = (a: Candidate, b: Candidate): number => (a.priority ?? Infinity) - (b.priority ?? Infinity);

const candidateTable = (candidates: readonly Candidate[]): string =>
  candidates.length === 0 ? "  none\n" : table(header, [...candidates].sort(byRank).map(candidateRow), "  ");

/** Along the first endpoint of the first rank. */
function hopsText({ call, peers }: Explanation): string {
  const first = [...call.candidates].sort(byRank)[0];
  const [way] = first?.ways ?? [];
  if (first === undefined || way === undefined) return "";
  const { client } = call;
  const captured = `Pod ${client.namespace}/${client.name} dials ${call.address}:${call.port}; caught on 127.0.0.1:15001`;
  const hops =
    client.identity === undefined
      ? [`Pod ${client.namespace}/${client.name} dials ${call.address}:${call.port} in the clear`]
      : [captured, `Envoy of node ${client.node}, as ${client.identity}`];
  const gate = `gate of the pod: policies, then the app`;
  switch (way.kind) {
    case "gateway": {
      const pod = peers.find(({ cluster }) => cluster === first.cluster)?.candidates.find(({ isUsed }) => isUsed);
      hops.push(
        `gateway of ${first.cluster} at ${way.address}, by mutual TLS with server name ${way.sni}, which it does not open`,
        pod === undefined
          ? `a pod of cluster ${first.cluster}, port 15006`
          : `Pod ${pod.namespace}/${pod.name}, ${pod.ways[0]?.address ?? ""} by port 15006`,
        gate,
      );
      break;
    }
    case "mtls":
      hops.push(`Pod ${first.namespace}/${first.name}, ${way.address} by port 15006, mutual TLS`, gate);
      break;
    case "local":
      hops.push(`Pod ${first.namespace}/${first.name} on the same node, without TLS`, gate);
      break;
    case "plaintext":
      hops.push(`${first.namespace}/${first.name}, ${way.address}, in the clear`);
      if (first.verdict !== undefined) hops.push(gate);
  }
  return `\nHops, as by the first endpoint\n${hops.map((hop, at) => `  ${at + 1}  ${hop}\n`).join("")}`;
}

const nameOf = ({ cluster, namespace, name }: Destination): string => `${namespace}/${name} of ${cluster}`;

function outcomeText(outcome: Outcome): string {
  if (outcome.kind === "unresolved") return "The caller is told that the name does not exist.";
  if (outcome.kind === "noEndpoint") return `The connection is closed: ${outcome.because}.`;
  if (outcome.kind === "unknown") return `The mesh passes it on and says no more: ${outcome.because}.`;
  const lines: string[] = [];
  const { destinations } = outcome;
  const decided = (decision: Destination["decision"]) => destinations.filter((one) => one.decision === decision);
  const [allowed, denied, unknown] = [decided("allowed"), decided("denied"), decided("unknown")];
  if (allowed.length > 0) {
    const seenAs = [...new Set(allowed.map((one) => one.seenAs ?? "nobody in particular"))].join(" or ");
    const among = allowed.length === 1 ? "" : "one of ";
    lines.push(`Answered by ${among}${allowed.map(nameOf).join(", ")}, which sees ${seenAs}.`);
  }
  for (const one of denied) lines.push(`Denied by ${nameOf(one)}: ${one.because}.`);
  for (const one of unknown) lines.push(`Not known for ${nameOf(one)}: ${one.because}.`);
  return lines.join("\n          ");
}

function envoyText({ envoy, call }: Explanation): string {
  if (call.route !== "endpoints" || envoy === undefined) return "chooses nothing here";
  if (!envoy.isHeld) return "holds nothing for this call yet; it asks the agent with the first connection";
  const ejected = envoy.endpoints.filter(({ isEjected }) => isEjected).map(({ address }) => address);
  const passed = ejected.length === 0 ? "" : `; passes over ${ejected.join(", ")}, since connecting failed`;
  if (envoy.differences.length === 0) return `holds just these endpoints${passed}`;
  return `${envoy.differences.join(" ")} (It may be a moment behind; ask again.)${passed}`;
}

export function explanationText(explanation: Explanation): string {
  const { call, peers, unasked, outcome } = explanation;
  const { client } = call;
  const parts = [
    section("Call", `Pod ${client.namespace}/${client.name} of ${client.cluster} to ${call.host}:${call.port}`),
    section("Client", client.identity ?? "outside the mesh: it proves no identity"),
    section("DNS", nameText(call)),
    section("Service", serviceText(explanation)),
    section("Route", routeTexts[call.route]),
  ];
  if (call.route !== "unresolved") parts.push(`\nEndpoints\n${candidateTable(call.candidates)}`);
  for (const peer of peers) {
    parts.push(`\nIn ${peer.cluster}, as ${peer.hostname}:${peer.port}\n${candidateTable(peer.candidates)}`);
  }
  for (const [cluster, why] of Object.entries(unasked)) parts.push(`\nIn ${cluster}: not looked at; ${why}\n`);
  parts.push(
    hopsText(explanation),
    "\n",
    section("Envoy", envoyText(explanation)),
    section("Result", outcomeText(outcome)),
  );
  return parts.join("");
}
