/** The ledger's book: every request has a number and one outcome; nothing is counted twice. */

export const kinds = ["http-kept", "http-new", "tcp-kept", "tcp-new"] as const;
export type Kind = (typeof kinds)[number];

/**
 * `ok`: answered at the first try. `retried`: the kept connection had ended before any byte of an answer came, and a new
 * one answered (RFC 9110 section 9.2.2: what every HTTP client does). `lost`: anything else.
 */
export type Outcome = "ok" | "retried" | "lost";

export interface Entry {
  readonly number: number;
  readonly kind: Kind;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly tookMs: number;
  readonly outcome: Outcome;
  readonly by: string;
  readonly cause: string;
}

export interface Summary {
  readonly total: number;
  readonly ok: number;
  readonly retried: number;
  readonly lost: number;
  /** The longest time in which no request of one kind was answered. */
  readonly longestGapMs: number;
  readonly slowestMs: number;
  readonly causes: Readonly<Record<string, number>>;
}

/** Sums up what began in [from, to). */
export function summarize(entries: readonly Entry[], from: number, to: number): Summary {
  const inside = entries.filter(({ startedAt }) => startedAt >= from && startedAt < to);
  const count = (outcome: Outcome) => inside.filter((entry) => entry.outcome === outcome).length;
  const causes: Record<string, number> = {};
  for (const { cause } of inside) if (cause !== "") causes[cause] = (causes[cause] ?? 0) + 1;
  return {
    total: inside.length,
    ok: count("ok"),
    retried: count("retried"),
    lost: count("lost"),
    longestGapMs: Math.max(0, ...kinds.map((kind) => longestGap(inside.filter((entry) => entry.kind === kind)))),
    slowestMs: Math.max(0, ...inside.map(({ tookMs }) => tookMs)),
    causes,
  };
}

function longestGap(entries: readonly Entry[]): number {
  const answered = entries
    .filter(({ outcome }) => outcome !== "lost")
    .map(({ startedAt, tookMs }) => startedAt + tookMs)
    .sort((a, b) => a - b);
  let longest = 0;
  for (let at = 1; at < answered.length; at++) longest = Math.max(longest, (answered[at] ?? 0) - (answered[at - 1] ?? 0));
  return longest;
}
