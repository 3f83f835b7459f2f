/**
 * Takes clusters on demand from Envoy that nobody uses any more. Envoy asks for a name once in its life, so only names of past
 * periods go: the next connection to the same destination asks under another name. Owns since when each is idle.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { type ClusterUsage, usageOf } from "../../../core/envoy/usage.ts";
import { isPeriodic, isOfPeriod } from "../../../core/envoy/names.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";

/** A cluster of a past period goes that had neither an open connection nor a new one for so long. */
const idleMsDefault = 10 * 60_000;
const lookMsDefault = 60_000;

export interface IdleOptions {
  readonly source: { demandedClusters(): readonly string[]; evict(names: Iterable<string>): void };
  readonly admin: { get(path: string, signal?: AbortSignal): Promise<string> };
  readonly signal: AbortSignal;
  readonly idleMs?: number;
  readonly lookMs?: number;
  /** What Envoy makes of `periodFormatDefault` at that time. */
  readonly periodAt?: (ms: number) => string;
}

interface Seen {
  readonly total: number;
  readonly sinceMs: number;
}

function halfDayAt(ms: number): string {
  const time = isoSeconds(ms);
  return `${time.slice(0, 10).replaceAll("-", "")}${Number(time.slice(11, 13)) < 12 ? "AM" : "PM"}`;
}

const unused: ClusterUsage = { active: 0, total: 0 };

/** Until the signal aborts. */
export async function evictIdle(host: Host, options: IdleOptions): Promise<void> {
  const { source, admin, signal, idleMs = idleMsDefault, lookMs = lookMsDefault, periodAt = halfDayAt } = options;
  const seenByName = new Map<string, Seen>();
  const look = async (): Promise<void> => {
    // A connection that began in a period is counted a moment later.
    const current = [periodAt(host.clock.now()), periodAt(host.clock.now() - lookMs)];
    const isPast = (name: string) => isPeriodic(name) && !current.some((period) => isOfPeriod(name, period));
    const names = new Set(source.demandedClusters().filter(isPast));
    if (names.size === 0) return seenByName.clear();
    const usage = usageOf(await admin.get("/clusters", signal), names);
    const nowMs = host.clock.elapsed();
    for (const name of seenByName.keys()) if (!names.has(name)) seenByName.delete(name);
    for (const name of names) {
      const { active, total } = usage.get(name) ?? unused;
      const seen = seenByName.get(name);
      if (seen === undefined || active > 0 || total !== seen.total) seenByName.set(name, { total, sinceMs: nowMs });
    }
    const idle = [...seenByName].flatMap(([name, { sinceMs }]) => (nowMs - sinceMs >= idleMs ? [name] : []));
    if (idle.length === 0) return;
    for (const name of idle) seenByName.delete(name);
    source.evict(idle);
    host.log.debug("envoy.idle", { removed: idle.length, left: names.size - idle.length });
  };
  while (!signal.aborted) {
    await host.clock.sleep(lookMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    // Envoy may be starting anew; what it does not tell is not taken for idle.
    await look().catch((error: unknown) => host.log.debug("envoy.idle.unknown", { cause: errorText(error) }));
  }
}
