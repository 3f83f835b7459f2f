/** `tombolo sandbox node stop|start`: a node of a cluster loses its power, and gets it back. */
import type { NodeFault } from "../../sandbox/faults/fault.ts";
import { healFaults, makeFault } from "../../sandbox/faults/control.ts";
import { MachineProblem } from "../../sandbox/machine.ts";
import { type Command, CommandError, type Flags, type Shell, UsageError } from "../command.ts";

/** What the machine or the sandbox lacks is said in a sentence. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MachineProblem) throw new CommandError(error.message);
    throw error;
  }
}

/** `cluster1/node2`, `cluster1/cluster1-node2`, or the name alone as `kubectl get nodes` shows it. */
export function nodeOf(text: string): Pick<NodeFault, "cluster" | "node"> {
  const found = /^(?:([a-z0-9-]+)\/)?(?:([a-z0-9-]+)-)?node(\d+)$/.exec(text);
  const [, before, prefix, number] = found ?? [];
  const cluster = before ?? prefix;
  if (cluster === undefined || (prefix !== undefined && prefix !== cluster)) {
    throw new UsageError(`"${text}" names no node; write it as cluster1/node2.`);
  }
  return { cluster, node: `${cluster}-node${number}` };
}

function nodeArgument(flags: Flags, verb: string): Pick<NodeFault, "cluster" | "node"> {
  const [text, more] = flags.positionals;
  if (text !== undefined && more === undefined) return nodeOf(text);
  throw new UsageError(`Say which node: tombolo sandbox node ${verb} cluster1/node2`);
}

async function stop(shell: Shell, flags: Flags): Promise<number> {
  const { cluster, node } = nodeArgument(flags, "stop");
  await healFaults(shell.host, ({ effect }) => "node" in effect && effect.node === node, shell.signal);
  await makeFault(shell.host, { type: "stop-node", cluster, node }, undefined, shell.signal);
  shell.out(`Node ${node} is off; the cluster notices after 40 s. Start it with: tombolo sandbox node start ${node}\n`);
  return 0;
}

async function start(shell: Shell, flags: Flags): Promise<number> {
  const { node } = nodeArgument(flags, "start");
  const isOff = ({ effect }: { readonly effect: { readonly type: string } }) =>
    effect.type === "stop-node" && "node" in effect && effect.node === node;
  const healed = await healFaults(shell.host, isOff, shell.signal);
  shell.out(healed.length > 0 ? `Node ${node} is on\n` : `Node ${node} was on already\n`);
  return 0;
}

export const nodeStop: Command = {
  path: ["sandbox", "node", "stop"],
  summary: "Cut the power of a node",
  details: `Its network falls silent and its processes are gone; nobody is told. As on any cluster, the node counts as NotReady
after 40 s without a heartbeat, its endpoints leave then, and its pods are made anew elsewhere when their toleration ends
(300 s unless they say otherwise). Pods of DaemonSets stay. 'tombolo sandbox up' after a crash starts all nodes.`,
  positional: "CLUSTER/NODE",
  flags: {},
  examples: ["tombolo sandbox node stop cluster1/node2"],
  run: (shell, flags) => guarded(() => stop(shell, flags)),
};

export const nodeStart: Command = {
  path: ["sandbox", "node", "start"],
  summary: "Give a stopped node its power back",
  positional: "CLUSTER/NODE",
  flags: {},
  examples: ["tombolo sandbox node start cluster1/node2"],
  run: (shell, flags) => guarded(() => start(shell, flags)),
};
