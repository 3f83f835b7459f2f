/** `link --plan`: what links would change, from what the clusters hold now. Reads only. */
import { type DirectionPlan, planDirection } from "../../../core/explain/plan.ts";
import { type Command, CommandError, type Shell } from "../command.ts";
import { orDash, table } from "../table.ts";
import type { MeshOfCluster } from "./cluster.ts";
import { bad, findingText, good, warning } from "./finding.ts";
import { remoteGateway } from "./gateways.ts";
import { type ClusterFacts, factsOf } from "./objects.ts";
import { type NamedFinding, pairedFacts, pairFindings } from "./pair-facts.ts";

/** Stands for a gateway that has no address yet; reserved for documentation, so nobody's. */
const noAddress = "192.0.2.1";

export interface Direction {
  readonly plan: DirectionPlan;
  readonly isLinked: boolean;
  readonly isExposed: boolean;
  /** Context of the cluster that is reached. */
  readonly toContext: string;
}

export function directionOf(from: ClusterFacts, to: ClusterFacts, namespace: string): Direction {
  const { cluster, network, trustDomain } = to.mesh;
  const addresses = to.gatewayAddresses.length > 0 ? to.gatewayAddresses : [noAddress];
  const gateway = remoteGateway(namespace, { cluster, network, trustDomain, addresses });
  const isLinked = from.links.includes(cluster);
  // What a link that is there has brought already is planned anew, so that a plan says the same before and after.
  const others = Object.entries(from.objects.peerExports).filter(([, row]) => row.cluster !== cluster);
  const objects = { ...from.objects, peerExports: Object.fromEntries(others) };
  return {
    plan: planDirection(objects, to.objects, gateway),
    isLinked,
    isExposed: to.gatewayAddresses.length > 0,
    toContext: to.mesh.context,
  };
}

function effectOf({ isJoined, takesOver }: DirectionPlan["services"][number], from: string): string {
  const effect = isJoined ? `more endpoints for ${from}'s own` : `a new name in ${from}`;
  return takesOver === undefined ? effect : `${effect}; ${takesOver} leads there too`;
}

function serviceTable({ services, from }: DirectionPlan): string {
  const rows = services.map((service) => [
    `${service.namespace}/${service.name}`,
    service.hostname,
    service.scope,
    orDash(service.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(",")),
    String(service.readyPods),
    effectOf(service, from),
  ]);
  return table(["SERVICE", "HOST NAME", "SCOPE", "PORTS", "READY PODS", "EFFECT"], rows, "  ");
}

function directionText(direction: Direction): string {
  const { plan, isLinked, isExposed, toContext } = direction;
  const { from, to, services, hidden, problems } = plan;
  const lines = [`=== Link: ${from} → ${to} ===\n`];
  lines.push(
    services.length === 0
      ? `Workloads of ${from} will see no service of ${to}: it publishes none (label solo.io/service-scope=global).\n`
      : `What workloads of ${from} will reach in ${to}:\n${serviceTable(plan)}`,
    ...hidden.map((one) => `  ${one}\n`),
  );
  const add = (name: string, finding: NamedFinding["finding"]) => lines.push(findingText(name, finding, false));
  if (isLinked) add("Link", good(`${from} is linked to ${to} already; linking again changes nothing`));
  if (!isExposed) {
    add(
      "Gateway",
      bad(
        `${to} has no east-west gateway with an address`,
        `Make one: 'tombolo multicluster expose --context ${toContext} --wait'.`,
      ),
    );
  }
  const differences = services.flatMap((service) => service.differences);
  add(
    "Names",
    differences.length === 0
      ? good("services of the same name are defined alike")
      : warning("services of the same name differ", differences),
  );
  for (const problem of problems) {
    add(
      "Fault",
      warning(`${problem.kind} ${problem.namespace}/${problem.name} will show ${problem.reason}`, [
        `${problem.message} ${problem.remedy}`,
      ]),
    );
  }
  return `${lines.join("")}\n`;
}

interface Wanted {
  readonly meshes: ReadonlyMap<string, MeshOfCluster>;
  readonly pairs: readonly { readonly from: string; readonly to: string }[];
  readonly namespace: string;
}

/** The exit code: 1 when a link would not work. */
export async function planLinks(shell: Shell, { meshes, pairs, namespace }: Wanted): ReturnType<Command["run"]> {
  const facts = new Map<string, ClusterFacts>();
  for (const [context, mesh] of meshes) facts.set(context, await factsOf(mesh, shell.signal));
  let problems = 0;
  const seen = new Set<string>();
  for (const { from, to } of pairs) {
    const [a, b] = [facts.get(from), facts.get(to)];
    if (a === undefined || b === undefined) continue;
    const direction = directionOf(a, b, namespace);
    shell.out(directionText(direction));
    if (!direction.isExposed) problems++;
    const pair = [from, to].sort().join(" and ");
    if (seen.has(pair)) continue;
    seen.add(pair);
    shell.out(`=== Between: ${a.mesh.cluster} and ${b.mesh.cluster} ===\n`);
    for (const { name, finding } of pairFindings(pairedFacts(a), pairedFacts(b))) {
      shell.out(findingText(name, finding, false));
      if (finding.level === "bad") problems++;
    }
    shell.out("\n");
  }
  if (problems > 0) throw new CommandError("this link would not work as it stands; nothing was changed");
  shell.out("Nothing was changed. The same command without --plan makes the links.\n");
  return 0;
}
