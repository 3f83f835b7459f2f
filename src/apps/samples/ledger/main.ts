/**
 * Numbers requests at a steady rate and writes down what became of each: `ledger --http HOST:PORT --tcp HOST:PORT
 * --rate 200 --seconds 60`. Prints one JSON entry per line as requests end; SIGTERM or the time ends it.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { systemHost } from "../../../io/host/host.ts";
import { type Entry, type Kind, kinds } from "./record.ts";
import { HttpTarget, requestMsMax, TcpTarget, TryError } from "./requests.ts";

const host = systemHost("warn");

const flag = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? undefined : process.argv[at + 1];
};

function target(name: string): { host: string; port: number } | undefined {
  const value = flag(name);
  if (value === undefined) return undefined;
  const at = value.lastIndexOf(":");
  return { host: value.slice(0, at), port: Number(value.slice(at + 1)) };
}

const http = target("http");
const tcp = target("tcp");
const rate = Number(flag("rate") ?? "200");
const endsAt = host.clock.now() + Number(flag("seconds") ?? "60") * 1000;
const httpTarget = http === undefined ? undefined : new HttpTarget(http.host, http.port);
const tcpTarget = tcp === undefined ? undefined : new TcpTarget(tcp.host, tcp.port);
const inUse = kinds.filter((kind) => (kind.startsWith("http") ? httpTarget : tcpTarget) !== undefined);
if (inUse.length === 0) {
  process.stderr.write("ledger: give --http HOST:PORT, --tcp HOST:PORT or both.\n");
  process.exit(2);
}

function sendOnce(number: number, kind: Kind) {
  const isKept = kind.endsWith("kept");
  const chosen = kind.startsWith("http") ? httpTarget : tcpTarget;
  if (chosen === undefined) throw new Error(`no target for ${kind}`);
  return chosen.send(number, isKept);
}

async function request(number: number, kind: Kind): Promise<Entry> {
  const startedAt = host.clock.now();
  const done = (outcome: Entry["outcome"], by: string, cause: string): Entry => ({
    number,
    kind,
    startedAt,
    tookMs: host.clock.now() - startedAt,
    outcome,
    by,
    cause,
  });
  let cause = "";
  // Each kept connection may have ended; after those a new one is made, whose failure counts.
  for (;;) {
    try {
      const { by } = await sendOnce(number, kind);
      return done(cause === "" ? "ok" : "retried", by, cause);
    } catch (error) {
      const text = errorText(error);
      cause = cause === "" ? text : `${cause}, then ${text}`;
      const isOver = host.clock.now() - startedAt > requestMsMax;
      if (!(error instanceof TryError) || !error.isRetriable || isOver) return done("lost", "", cause);
    }
  }
}

let isStopped = false;
process.once("SIGTERM", () => (isStopped = true));
process.once("SIGINT", () => (isStopped = true));

/**
 * So many requests are under way at most: a machine that is too slow for the rate gets fewer requests, not ever more that
 * wait for each other until all are too late.
 */
const openMax = 64;
/** A sender that fell behind for longer than this does not make up for it. */
const behindMsMax = 200;
const open = new Set<Promise<void>>();
let nextAt = host.clock.now();
for (let number = 0; !isStopped && host.clock.now() < endsAt; number++) {
  const kind = inUse[number % inUse.length] ?? "http-new";
  const sent = request(number, kind).then((entry) => {
    open.delete(sent);
    process.stdout.write(`${JSON.stringify(entry)}\n`);
  });
  open.add(sent);
  while (open.size >= openMax) await Promise.race(open);
  nextAt = Math.max(nextAt + 1000 / rate, host.clock.now() - behindMsMax);
  const waitMs = nextAt - host.clock.now();
  if (waitMs > 0) await host.clock.sleep(waitMs);
}
await Promise.all(open);
httpTarget?.close();
tcpTarget?.close();
process.exit(0);
