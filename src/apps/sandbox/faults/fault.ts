/**
 * What can be made to go wrong in a sandbox on purpose, and until when. Pure; `file.ts` keeps the list, `network.ts` and the
 * clusters' processes carry it out.
 */
export interface LinkFault {
  readonly type: "cut" | "drop" | "delay" | "limit";
  readonly from: string;
  readonly to: string;
  /** Only packets that go from `from` to `to` are touched. */
  readonly isOneWay: boolean;
  /** Of 100 packets, with `drop`. */
  readonly percent?: number;
  /** With `delay`. */
  readonly ms?: number;
  /** With `limit`, as tc writes it: `1mbit`. */
  readonly rate?: string;
}

export interface ApiFault {
  readonly type: "pause-api" | "slow-api";
  readonly cluster: string;
  /** With `slow-api`. */
  readonly ms?: number;
}

export interface NodeFault {
  readonly type: "pause-node" | "stop-node";
  readonly cluster: string;
  readonly node: string;
}

export type Effect = LinkFault | ApiFault | NodeFault;

export interface Fault {
  /** From 1; no two faults of a sandbox have the same at a time. */
  readonly number: number;
  readonly effect: Effect;
  /** Absent: until it is healed by hand. */
  readonly untilMs?: number;
}

export const faultMs = { default: 30_000, max: 600_000 } as const;

export const faultId = ({ number }: Pick<Fault, "number">): string => `f${number}`;

export const isLinkFault = (effect: Effect): effect is LinkFault =>
  effect.type === "cut" || effect.type === "drop" || effect.type === "delay" || effect.type === "limit";

/** Carried out by the kernel, which also ends it in time; the others by the cluster's process. */
export const isOfNetwork = (effect: Effect): effect is LinkFault | (ApiFault & { readonly type: "pause-api" }) =>
  isLinkFault(effect) || effect.type === "pause-api";

export const isOver = ({ untilMs }: Fault, nowMs: number): boolean => untilMs !== undefined && untilMs <= nowMs;

/** Whether the fault goes with the process of this cluster. */
export const concerns = ({ effect }: Fault, cluster: string): boolean =>
  isLinkFault(effect) ? effect.from === cluster || effect.to === cluster : effect.cluster === cluster;

/** One line for people. */
export function faultText(effect: Effect): string {
  if (isLinkFault(effect)) return `${linkVerb(effect)} ${effect.from} ${effect.isOneWay ? "->" : "<->"} ${effect.to}`;
  switch (effect.type) {
    case "pause-api":
      return `API server of ${effect.cluster} gives no answer`;
    case "slow-api":
      return `API server of ${effect.cluster} answers ${effect.ms ?? 0} ms late`;
    case "pause-node":
      return `node ${effect.cluster}/${effect.node} is frozen`;
    case "stop-node":
      return `node ${effect.cluster}/${effect.node} is off`;
  }
}

function linkVerb({ type, percent, ms, rate }: LinkFault): string {
  switch (type) {
    case "cut":
      return "no packets";
    case "drop":
      return `${percent ?? 0} % of packets lost`;
    case "delay":
      return `packets ${ms ?? 0} ms late`;
    case "limit":
      return `at most ${rate ?? ""}`;
  }
}
