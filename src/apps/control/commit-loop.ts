/** Gathers bursts of events into one commit: soon after the last event, and never later than `maxMs` after the first. */
import type { Clock } from "../../io/host/host.ts";

const quietMs = 3;
const maxMs = 25;

export class CommitLoop {
  private readonly clock: Clock;
  private readonly commit: () => void;
  private isStarted = false;
  private firstAt: number | undefined;
  private lastAt = 0;

  constructor(clock: Clock, commit: () => void) {
    this.clock = clock;
    this.commit = commit;
  }

  /** Commits what came so far, and from now on what comes. */
  start(): void {
    this.isStarted = true;
    this.firstAt = undefined;
    this.commit();
  }

  /** The model stays as it is from now on. */
  stop(): void {
    this.isStarted = false;
  }

  /** Something was staged. */
  schedule(): void {
    if (!this.isStarted) return;
    this.lastAt = this.clock.elapsed();
    if (this.firstAt !== undefined) return;
    this.firstAt = this.lastAt;
    this.clock.after(quietMs, () => this.fire());
  }

  private fire(): void {
    if (this.firstAt === undefined || !this.isStarted) return;
    const now = this.clock.elapsed();
    const dueAt = Math.min(this.lastAt + quietMs, this.firstAt + maxMs);
    if (now < dueAt) {
      this.clock.after(dueAt - now, () => this.fire());
      return;
    }
    this.firstAt = undefined;
    this.commit();
  }
}
