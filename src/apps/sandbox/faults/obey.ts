/**
 * In the process of a cluster: carries out those faults that the kernel does not, and ends them in time. Reads the list when
 * it is told to (SIGHUP), and says in a file of its own what it does.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { writeAtomically } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import type { NodeState } from "../kubelet/node-switch.ts";
import { concerns, faultId, isOfNetwork } from "./fault.ts";
import type { Fault } from "./fault.ts";
import { obeyedFile, readFaults } from "./file.ts";

export interface Obedient {
  readonly name: string;
  readonly nodes: readonly { readonly name: string; set(state: NodeState): Promise<void> }[];
  /** How late the API server answers from now on. */
  slowApi(ms: number): void;
}

export class FaultFollower {
  private readonly host: Host;
  private readonly home: string;
  private readonly cluster: Obedient;
  private working: Promise<void> = Promise.resolve();
  private cancelTimer: () => void = () => undefined;

  constructor(host: Host, home: string, cluster: Obedient) {
    this.host = host;
    this.home = home;
    this.cluster = cluster;
  }

  /** One after the other; a failure is logged, and the next reading tries again. */
  read(): Promise<void> {
    this.working = this.working
      .then(() => this.obey())
      .catch((error: unknown) => {
        this.host.log.error("faults.failed", { cluster: this.cluster.name, cause: errorText(error) });
      });
    return this.working;
  }

  stop(): void {
    this.cancelTimer();
  }

  private async obey(): Promise<void> {
    const nowMs = this.host.clock.now();
    const faults = (await readFaults(this.home, nowMs)).filter(
      (fault) => !isOfNetwork(fault.effect) && concerns(fault, this.cluster.name),
    );
    this.cancelTimer();
    const ends = faults.flatMap(({ untilMs }) => untilMs ?? []);
    if (ends.length > 0) {
      this.cancelTimer = this.host.clock.after(Math.max(0, Math.min(...ends) - nowMs), () => void this.read());
    }
    this.cluster.slowApi(lateMs(faults));
    await Promise.all(this.cluster.nodes.map((node) => node.set(stateOf(faults, node.name))));
    await writeAtomically(obeyedFile(this.home, this.cluster.name), faults.map(faultId).join(" "));
  }
}

const lateMs = (faults: readonly Fault[]): number =>
  Math.max(0, ...faults.map(({ effect }) => (effect.type === "slow-api" ? (effect.ms ?? 0) : 0)));

function stateOf(faults: readonly Fault[], node: string): NodeState {
  const types = faults.flatMap(({ effect }) => ("node" in effect && effect.node === node ? [effect.type] : []));
  return types.includes("stop-node") ? "off" : types.includes("pause-node") ? "frozen" : "on";
}
