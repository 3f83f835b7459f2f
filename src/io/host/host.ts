/**
 * The only door to time, chance and the log. Programs get a `Host` as their first argument; tests and simulation pass
 * their own. Processes, files and sockets have their own files in this room.
 */
import { randomBytes, randomInt, randomUUID } from "node:crypto";

export interface Clock {
  /** Milliseconds since the epoch, as the machine believes: it may jump, so it is for what others read. */
  now(): number;
  /** Milliseconds since some moment; never jumps. What is measured or waited for here is measured by this. */
  elapsed(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `heard` once after `ms`; returns what cancels it. */
  after(ms: number, heard: () => void): () => void;
}

export interface Random {
  bytes(count: number): Uint8Array;
  /** An integer in [0, bound). */
  below(bound: number): number;
  uuid(): string;
}

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One event name and fields; never a key, a token or a certificate's private half. */
export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

export interface Host {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The `sleep` of a clock, made from its `after`. */
export const sleepWith = (after: Clock["after"], ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    // An abort reason is whatever its caller gave; everywhere here an Error.
    if (signal?.aborted === true) return reject(signal.reason as Error);
    const onAbort = () => {
      cancel();
      reject(signal?.reason as Error);
    };
    const cancel = after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });

const systemAfter: Clock["after"] = (ms, heard) => {
  const timer = setTimeout(heard, ms);
  return () => clearTimeout(timer);
};

const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) => sleepWith(systemAfter, ms, signal),
  after: systemAfter,
};

const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (bound) => randomInt(bound),
  uuid: () => randomUUID(),
};

const levels = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof levels)[number];

const valueText = (value: string | number | boolean): string =>
  typeof value === "string" && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value);

/** Writes `time level event key=value …` lines to stderr, from `lowest` up. */
function lineLog(lowest: Level, write: (line: string) => void = (line) => process.stderr.write(line)): Log {
  const at =
    (level: Level) =>
    (event: string, fields: Fields = {}) => {
      if (levels.indexOf(level) < levels.indexOf(lowest)) return;
      const pairs = Object.entries(fields).flatMap(([key, value]) =>
        value === undefined ? [] : [`${key}=${valueText(value)}`],
      );
      write(`${new Date().toISOString()} ${level} ${[event, ...pairs].join(" ")}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export function systemHost(lowest: Level = "info"): Host {
  return { clock: systemClock, random: systemRandom, log: lineLog(lowest) };
}
