/** Carries out the faults that the kernel does: on the uplinks of nodes, and before the API servers' ports. */
import { run, runOrThrow } from "../../../io/host/processes.ts";
import { MachineProblem } from "../machine.ts";
import { clusterCidr, hostAddress, netnsPath, planCluster } from "../network/addresses.ts";
import { netnsExists } from "../network/links.ts";
import type { ClusterState, SandboxState } from "../state.ts";
import type { ApiFault, Fault, LinkFault } from "./fault.ts";
import { isLinkFault } from "./fault.ts";
import { apiRules, isShaped, linkRules, shapingCalls, tableInNode, tableOnMachine, unshapingCalls } from "./rules.ts";

interface Place {
  readonly netns: string;
  readonly toCidr: string;
}

export const clusterOf = ({ clusters }: SandboxState, name: string): ClusterState => {
  const found = clusters.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = clusters.map((one) => one.name).join(", ");
  throw new MachineProblem(`The sandbox has no cluster "${name}"; it has ${known}.`);
};

/** Where packets of this fault leave: every node of the one cluster, and unless it is one-way, of the other. */
function placesOf(sandbox: SandboxState, { from, to, isOneWay }: LinkFault): readonly Place[] {
  const ends = [[from, to], ...(isOneWay ? [] : [[to, from]])] as const;
  return ends.flatMap(([here = "", there = ""]) => {
    const { name, index, nodes } = clusterOf(sandbox, here);
    const { underlay, id } = sandbox;
    const plan = planCluster({ sandboxId: id, cluster: name, index, underlay, nodes });
    const toCidr = clusterCidr(underlay, clusterOf(sandbox, there).index);
    return plan.nodes.map(({ netns }) => ({ netns, toCidr }));
  });
}

export async function inject(
  sandbox: SandboxState,
  number: number,
  effect: LinkFault | ApiFault,
  ms: number,
): Promise<void> {
  if (!isLinkFault(effect)) {
    const { apiPort } = clusterOf(sandbox, effect.cluster);
    const addresses = ["127.0.0.1", hostAddress(sandbox.underlay)];
    const input = apiRules(tableOnMachine(sandbox.id, number), addresses, apiPort, ms);
    await runOrThrow("nft", ["-f", "-"], { input });
    return;
  }
  for (const { netns, toCidr } of placesOf(sandbox, effect)) {
    const inside = { net: netnsPath(netns) };
    if (isShaped(effect)) await shape(netns, number, effect);
    await runOrThrow("nft", ["-f", "-"], { input: linkRules(number, effect, toCidr, ms), inside });
  }
}

async function shape(netns: string, number: number, fault: LinkFault): Promise<void> {
  const [root = [], ...others] = shapingCalls(number, fault);
  const inside = { net: netnsPath(netns) };
  const made = await run("tc", root, { inside });
  if (made.code !== 0 && !/exist/i.test(made.stderr)) throw lacking(made.stderr);
  for (const args of others) {
    const { code, stderr } = await run("tc", args, { inside });
    if (code !== 0) throw lacking(stderr, fault);
  }
}

function lacking(said: string, fault?: LinkFault): MachineProblem {
  const isKindMissing = /qdisc kind is unknown/i.test(said);
  if (!isKindMissing) return new MachineProblem(`tc refuses the fault: ${said.trim()}`);
  const [module, other] =
    fault?.type === "delay" ? ["sch_netem", "'fault limit' and 'fault drop' work"] : ["sch_htb", "'fault drop' works"];
  return new MachineProblem(
    `The kernel of this machine cannot ${fault?.type ?? "limit"} packets: it has no ${module}. Load it (modprobe ${module}) where there is one; without it, ${other}.`,
  );
}

/** Also of faults that are over, whose rules do nothing any more. `others` are those that stay. */
export async function withdraw(sandbox: SandboxState, fault: Fault, others: readonly Fault[]): Promise<void> {
  const { effect, number } = fault;
  if (!isLinkFault(effect)) {
    await run("nft", ["delete", "table", "ip", tableOnMachine(sandbox.id, number)]);
    return;
  }
  const shapedElsewhere = new Set(
    others.flatMap((other) =>
      isLinkFault(other.effect) && isShaped(other.effect)
        ? placesOf(sandbox, other.effect).map(({ netns }) => netns)
        : [],
    ),
  );
  for (const { netns } of placesOf(sandbox, effect).filter((place) => netnsExists(place.netns))) {
    const inside = { net: netnsPath(netns) };
    await run("nft", ["delete", "table", "ip", tableInNode(number)], { inside });
    if (!isShaped(effect)) continue;
    for (const args of unshapingCalls(number, !shapedElsewhere.has(netns))) await run("tc", args, { inside });
  }
}
