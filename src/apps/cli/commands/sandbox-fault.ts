/** `tombolo sandbox fault …`: lets something go wrong on purpose, for a while. */
import { type Effect, type Fault, faultId, faultMs, faultText, type LinkFault } from "../../sandbox/faults/fault.ts";
import { healFaults, listFaults, makeFault } from "../../sandbox/faults/control.ts";
import { type Command, columns, type Flag, type Flags, type Shell, UsageError } from "../command.ts";
import { guarded, nodeOf } from "./sandbox-node.ts";

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `200ms`, `10s`, `2m`. */
export function msOf(text: string, flag: string, max: number): number {
  const [, count = "", unit = ""] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN);
  if (ms > 0 && ms <= max) return ms;
  throw new UsageError(`--${flag} ${text}: give a time up to ${max / 1_000} s, such as 500ms, 10s or 2m.`);
}

const forFlag: Flag = {
  type: "string",
  value: "TIME",
  description: `heals by itself after this time (default: ${faultMs.default / 1_000}s, at most ${faultMs.max / 60_000}m)`,
};
const byFlag: Flag = { type: "string", value: "TIME", description: "how late, such as 200ms" };
const oneWayFlag: Flag = { type: "boolean", description: "only packets from the first cluster to the second" };
const latenessMsMax = 30_000;

function required(flags: Flags, name: string, example: string): string {
  const text = flags.text(name);
  if (text === undefined) throw new UsageError(`Say --${name}, such as --${name} ${example}.`);
  return text;
}

function linkOf(flags: Flags): Pick<LinkFault, "from" | "to" | "isOneWay"> {
  const [from, to, more] = flags.positionals;
  if (from === undefined || to === undefined || more !== undefined || from === to)
    throw new UsageError("Name the two clusters between which it happens, such as: cluster1 cluster2");
  return { from, to, isOneWay: flags.isSet("one-way") };
}

function one(flags: Flags, what: string): string {
  const [name, more] = flags.positionals;
  if (name === undefined || more !== undefined) throw new UsageError(`Name one ${what}.`);
  return name;
}

function percentOf(flags: Flags): number {
  const text = required(flags, "percent", "30");
  const percent = Number(text);
  if (Number.isInteger(percent) && percent >= 1 && percent <= 100) return percent;
  throw new UsageError(`--percent ${text}: give a whole number from 1 to 100.`);
}

function rateOf(flags: Flags): string {
  const text = required(flags, "rate", "1mbit");
  if (/^[1-9]\d{0,5}(kbit|mbit|gbit)$/.test(text)) return text;
  throw new UsageError(`--rate ${text}: give a rate such as 500kbit or 10mbit.`);
}

const leftText = ({ untilMs }: Fault, nowMs: number): string =>
  untilMs === undefined ? "until it is healed" : `for ${Math.ceil((untilMs - nowMs) / 1_000)} s more`;

interface Sort {
  readonly verb: string;
  readonly summary: string;
  readonly positional: string;
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly example: string;
  effect(flags: Flags): Effect;
}

const betweenClusters = { positional: "CLUSTER CLUSTER" } as const;

const sorts: readonly Sort[] = [
  {
    ...betweenClusters,
    verb: "cut",
    summary: "Let no packet pass between two clusters",
    flags: { "one-way": oneWayFlag },
    example: "cut cluster1 cluster2 --for 10s",
    effect: (flags) => ({ type: "cut", ...linkOf(flags) }),
  },
  {
    ...betweenClusters,
    verb: "drop",
    summary: "Lose some of the packets between two clusters",
    flags: { percent: { type: "string", value: "N", description: "of 100 packets" }, "one-way": oneWayFlag },
    example: "drop cluster1 cluster2 --percent 30",
    effect: (flags) => ({ type: "drop", ...linkOf(flags), percent: percentOf(flags) }),
  },
  {
    ...betweenClusters,
    verb: "delay",
    summary: "Send packets between two clusters late (needs sch_netem in the kernel)",
    flags: { by: byFlag, "one-way": oneWayFlag },
    example: "delay cluster1 cluster2 --by 200ms",
    effect: (flags) => ({
      type: "delay",
      ...linkOf(flags),
      ms: msOf(required(flags, "by", "200ms"), "by", latenessMsMax),
    }),
  },
  {
    ...betweenClusters,
    verb: "limit",
    summary: "Limit the rate between two clusters",
    flags: { rate: { type: "string", value: "RATE", description: "such as 1mbit" }, "one-way": oneWayFlag },
    example: "limit cluster1 cluster2 --rate 1mbit",
    effect: (flags) => ({ type: "limit", ...linkOf(flags), rate: rateOf(flags) }),
  },
  {
    verb: "pause-api",
    summary: "Let an API server answer nobody",
    positional: "CLUSTER",
    example: "pause-api cluster1 --for 20s",
    effect: (flags) => ({ type: "pause-api", cluster: one(flags, "cluster") }),
  },
  {
    verb: "slow-api",
    summary: "Let an API server answer late",
    positional: "CLUSTER",
    flags: { by: byFlag },
    example: "slow-api cluster1 --by 500ms",
    effect: (flags) => ({
      type: "slow-api",
      cluster: one(flags, "cluster"),
      ms: msOf(required(flags, "by", "500ms"), "by", latenessMsMax),
    }),
  },
  {
    verb: "pause-node",
    summary: "Freeze a node and everything on it",
    positional: "CLUSTER/NODE",
    example: "pause-node cluster1/node2 --for 60s",
    effect: (flags) => ({ type: "pause-node", ...nodeOf(one(flags, "node")) }),
  },
];

async function make(shell: Shell, flags: Flags, sort: Sort): Promise<number> {
  const effect = sort.effect(flags);
  const forMs = msOf(flags.text("for") ?? `${faultMs.default}ms`, "for", faultMs.max);
  const fault = await makeFault(shell.host, effect, forMs, shell.signal);
  const id = faultId(fault);
  shell.out(
    `${id}: ${faultText(effect)}, ${leftText(fault, shell.host.clock.now())}. Earlier: tombolo sandbox fault heal ${id}\n`,
  );
  return 0;
}

const commandOf = (sort: Sort): Command => ({
  path: ["sandbox", "fault", sort.verb],
  summary: sort.summary,
  details: "It ends by itself when its time is over, whatever becomes of this command.",
  positional: sort.positional,
  flags: { ...sort.flags, for: forFlag },
  examples: [`tombolo sandbox fault ${sort.example}`],
  run: (shell, flags) => guarded(() => make(shell, flags, sort)),
});

const list: Command = {
  path: ["sandbox", "fault", "list"],
  summary: "List the faults in force",
  flags: {},
  async run(shell) {
    const faults = await listFaults(shell.host);
    const nowMs = shell.host.clock.now();
    const rows = faults.map(
      (fault) => [faultId(fault), `${faultText(fault.effect)}, ${leftText(fault, nowMs)}`] as const,
    );
    shell.out(rows.length === 0 ? "There are no faults\n" : `${columns(rows)}\n`);
    return 0;
  },
};

const heal: Command = {
  path: ["sandbox", "fault", "heal"],
  summary: "End faults now: those named, else all",
  positional: "[ID...]",
  flags: {},
  run: (shell, flags) =>
    guarded(async () => {
      const ids = flags.positionals;
      const known = (await listFaults(shell.host)).map(faultId);
      const unknown = ids.find((id) => !known.includes(id));
      if (unknown !== undefined)
        throw new UsageError(`There is no fault "${unknown}" (any more); see: tombolo sandbox fault list`);
      const isMeant = (fault: Fault): boolean => ids.length === 0 || ids.includes(faultId(fault));
      const healed = await healFaults(shell.host, isMeant, shell.signal);
      shell.out(healed.length === 0 ? "There were no faults\n" : `Healed: ${healed.map(faultId).join(", ")}\n`);
      return 0;
    }),
};

export const faultCommands: readonly Command[] = [...sorts.map(commandOf), list, heal];
