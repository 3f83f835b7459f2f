/**
 * The one timeline of a simulated world, and the processes on it. A process has its own chance, and a wall clock that may be
 * wrong; when it is killed, none of its timers ever fires again.
 */
import { type Clock, type Host, type Log, type Random, sleepWith } from "../../src/io/host/host.ts";
import { seededRandom } from "../../src/io/host/seeded-random.ts";
import { VirtualClock } from "../../src/io/host/virtual-clock.ts";

const startMs = 1_800_000_000_000;

/** FNV-1a: spreads names over seeds. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** Everything has run that waits for no timer: an immediate comes only after every microtask. */
const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Timeline {
  readonly clock = new VirtualClock(0);
  readonly seed: number;
  /** Called after each event, when all that it caused has run. */
  afterEvent: () => void = () => undefined;
  events = 0;
  private readonly lines: string[] = [];
  private digest = 0x811c9dc5;
  isTracing = false;

  constructor(seed: number) {
    this.seed = seed;
  }

  get nowMs(): number {
    return this.clock.now();
  }

  random(name: string): Random {
    return seededRandom(hashOf(`${this.seed}/${name}`));
  }

  /** Runs until this moment, or until `isOver`. */
  async runUntil(endMs: number, isOver: () => boolean = () => false): Promise<void> {
    await drained();
    while (!isOver() && this.clock.fireNext(endMs)) {
      await drained();
      this.events += 1;
      this.afterEvent();
    }
    if (!isOver()) this.clock.moveTo(endMs);
  }

  /** What happened, for people and to compare two runs by. */
  trace(line: () => string): void {
    const text = `${(this.nowMs / 1000).toFixed(3)} ${line()}`;
    this.digest = Math.imul(this.digest ^ hashOf(text), 0x01000193);
    if (this.isTracing) process.stdout.write(`${text}\n`);
    this.lines.push(text);
    if (this.lines.length > 200) this.lines.splice(0, 100);
  }

  /** The newest lines. */
  get tail(): readonly string[] {
    return this.lines.slice(-60);
  }

  /** Two runs are the same when their fingerprints are. */
  get fingerprint(): string {
    return `${this.events}/${(this.digest >>> 0).toString(16)}`;
  }
}

export class Process implements Host {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly name: string;
  isAlive = true;
  private readonly timeline: Timeline;
  private readonly cancels = new Set<() => void>();

  /** `skewMs` is the error of the machine's wall clock. */
  constructor(timeline: Timeline, name: string, skewMs: () => number) {
    this.timeline = timeline;
    this.name = name;
    this.random = timeline.random(name);
    this.clock = {
      now: () => startMs + timeline.nowMs + skewMs(),
      elapsed: () => timeline.nowMs,
      after: (ms, heard) => this.after(ms, heard),
      sleep: (ms, signal) => this.sleep(ms, signal),
    };
    const note =
      (level: string) =>
      (event: string, fields: object = {}) =>
        timeline.trace(() => `${name} ${level} ${event} ${JSON.stringify(fields)}`);
    this.log = { debug: () => undefined, info: note("info"), warn: note("warn"), error: note("error") };
  }

  /** Like a power cut: nothing of it runs on. */
  kill(): void {
    this.isAlive = false;
    for (const cancel of this.cancels) cancel();
    this.cancels.clear();
  }

  private after(ms: number, heard: () => void): () => void {
    if (!this.isAlive) return () => undefined;
    const cancel = this.timeline.clock.after(ms, () => {
      this.cancels.delete(stop);
      if (this.isAlive) heard();
    });
    const stop = () => {
      this.cancels.delete(stop);
      cancel();
    };
    this.cancels.add(stop);
    return stop;
  }

  private sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepWith((delayMs, heard) => this.after(delayMs, heard), ms, signal);
  }
}
