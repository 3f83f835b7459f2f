/**
 * Faults as the user makes, lists and heals them. Owns `faults.json`. Every fault ends by itself: those of the network in the
 * kernel, the others in the cluster's process, so it does not matter what becomes of the command that made them.
 */
import { giveToCaller, joinPath, listNow, readText } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { environment, sendSignal } from "../../../io/host/processes.ts";
import { clusterProcesses } from "../launch.ts";
import { withLock } from "../lock.ts";
import { MachineProblem, checkMachine, homeOf } from "../machine.ts";
import { readState } from "../state.ts";
import type { SandboxState } from "../state.ts";
import { concerns, faultId, isLinkFault, isOfNetwork } from "./fault.ts";
import type { Effect, Fault } from "./fault.ts";
import { faultsFile, obeyedFile, readFaults, writeFaults } from "./file.ts";
import { clusterOf, inject, withdraw } from "./network.ts";

const obeyMsMax = 30_000;
const pollMs = 20;

async function withSandbox<T>(
  host: Host,
  what: string,
  signal: AbortSignal,
  act: (home: string, sandbox: SandboxState) => Promise<T>,
): Promise<T> {
  await checkMachine(what);
  const home = homeOf(environment());
  if ((await readState(home)) === undefined)
    throw new MachineProblem("There is no sandbox; start one with: tombolo sandbox up");
  return withLock(host, joinPath(home, "lock"), signal, async () => {
    const sandbox = await readState(home);
    if (sandbox === undefined) throw new MachineProblem("The sandbox has just been taken down.");
    return act(home, sandbox);
  });
}

/** Every end of the fault must be of this sandbox. */
function checkNames(sandbox: SandboxState, effect: Effect): void {
  const names = isLinkFault(effect) ? [effect.from, effect.to] : [effect.cluster];
  for (const name of names) {
    const found = clusterOf(sandbox, name);
    if (!("node" in effect)) continue;
    const nodes = Array.from({ length: found.nodes }, (_, at) => `${name}-node${at + 1}`);
    if (!nodes.includes(effect.node))
      throw new MachineProblem(`Cluster ${name} has no node "${effect.node}"; it has ${nodes.join(", ")}.`);
  }
}

/** Resolves when the fault has taken hold. `forMs` absent: until it is healed. */
export async function makeFault(
  host: Host,
  effect: Effect,
  forMs: number | undefined,
  signal: AbortSignal,
): Promise<Fault> {
  return withSandbox(host, "fault", signal, async (home, sandbox) => {
    checkNames(sandbox, effect);
    const faults = await settled(host, home, sandbox);
    const number = 1 + Math.max(0, ...faults.map((one) => one.number));
    if (isOfNetwork(effect)) {
      if (forMs === undefined) throw new Error("A fault of the network needs a time to heal.");
      try {
        await inject(sandbox, number, effect, forMs);
      } catch (error) {
        await withdraw(sandbox, { number, effect }, faults);
        throw error;
      }
    }
    const until = forMs === undefined ? {} : { untilMs: host.clock.now() + forMs };
    const fault: Fault = { number, effect, ...until };
    await save(home, [...faults, fault]);
    if (!isOfNetwork(effect)) await obeyed(host, home, sandbox, effect.cluster, [...faults, fault], signal);
    return fault;
  });
}

/** Those in force. Needs no rights but those to read the state directory. */
export const listFaults = async (host: Host): Promise<readonly Fault[]> =>
  readFaults(homeOf(environment()), host.clock.now());

/** Ends those that `isMeant` picks; returns them. */
export async function healFaults(
  host: Host,
  isMeant: (fault: Fault) => boolean,
  signal: AbortSignal,
): Promise<readonly Fault[]> {
  return withSandbox(host, "fault heal", signal, async (home, sandbox) => {
    const faults = await settled(host, home, sandbox);
    const healed = faults.filter(isMeant);
    const kept = faults.filter((fault) => !isMeant(fault));
    await save(home, kept);
    for (const fault of healed) if (isOfNetwork(fault.effect)) await withdraw(sandbox, fault, kept);
    const clusters = healed.flatMap(({ effect }) => (isOfNetwork(effect) ? [] : [effect.cluster]));
    for (const name of new Set(clusters)) await obeyed(host, home, sandbox, name, kept, signal);
    return healed;
  });
}

/** For a cluster whose process and network are made anew: nothing of its faults is left then. */
export async function forgetFaults(host: Host, home: string, sandbox: SandboxState, cluster: string): Promise<void> {
  const faults = await readFaults(home, host.clock.now());
  const kept = faults.filter((fault) => !concerns(fault, cluster));
  if (kept.length === faults.length) return;
  await save(home, kept);
  for (const fault of faults) {
    if (concerns(fault, cluster) && isOfNetwork(fault.effect)) await withdraw(sandbox, fault, kept);
  }
}

/** Faults in force; rules of those that are over are removed on the way. */
async function settled(host: Host, home: string, sandbox: SandboxState): Promise<readonly Fault[]> {
  const now = host.clock.now();
  const known = await readFaults(home, Number.NEGATIVE_INFINITY);
  const faults = await readFaults(home, now);
  for (const fault of known) {
    if (!faults.some(({ number }) => number === fault.number) && isOfNetwork(fault.effect))
      await withdraw(sandbox, fault, faults);
  }
  return faults;
}

async function save(home: string, faults: readonly Fault[]): Promise<void> {
  await writeFaults(home, faults);
  giveToCaller(faultsFile(home));
}

/** Tells the cluster's process to read the list again, and waits until it does what it says. */
async function obeyed(
  host: Host,
  home: string,
  sandbox: SandboxState,
  cluster: string,
  faults: readonly Fault[],
  signal: AbortSignal,
): Promise<void> {
  const [pid] = clusterProcesses(listNow("/proc"), sandbox.id, cluster);
  if (pid === undefined) throw new MachineProblem(`Cluster ${cluster} does not run; start it with: tombolo sandbox up`);
  const own = faults.filter((one) => !isOfNetwork(one.effect) && concerns(one, cluster));
  const wanted = own.map(faultId).join(" ");
  sendSignal(pid, "SIGHUP");
  const untilMs = host.clock.now() + obeyMsMax;
  while ((await readText(obeyedFile(home, cluster))) !== wanted) {
    if (host.clock.now() > untilMs)
      throw new MachineProblem(`The process of cluster ${cluster} has not done it within ${obeyMsMax / 1_000} s.`);
    await host.clock.sleep(pollMs, signal);
  }
}
