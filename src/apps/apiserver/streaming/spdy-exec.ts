/** exec and attach over SPDY (S5): one stream per channel, told apart by the header `streamtype`. */
import { pipeline } from "node:stream/promises";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../io/host/host.ts";
import type { ExecRequest, Session } from "../node-streams.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";
import { resizeOf } from "./target.ts";
import { endOf } from "./websocket-exec.ts";

/** How long the client may take to open its streams. */
const streamsMs = 30_000;
const resizeBytesMax = 64 * 1024;

/** Newest first. */
export const spdyExecProtocols = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"] as const;
type SpdyExecProtocol = (typeof spdyExecProtocols)[number];

interface Options {
  readonly protocol: SpdyExecProtocol;
  readonly request: ExecRequest;
  readonly clock: Clock;
}

const expectedStreams = ({ protocol, request }: Options): readonly string[] => [
  "error",
  ...(request.stdin ? ["stdin"] : []),
  ...(request.stdout ? ["stdout"] : []),
  ...(request.stderr ? ["stderr"] : []),
  ...(request.tty && protocol !== "v2.channel.k8s.io" ? ["resize"] : []),
];

export const serveSpdyExec = async (transport: Duplex, session: Session, options: Options): Promise<void> => {
  const streams = new Map<string, SpdyStream>();
  const expected = expectedStreams(options);
  let complete: (() => void) | undefined;
  const isComplete = new Promise<void>((resolve) => (complete = resolve));
  const connection = new SpdyConnection(transport, (stream) => {
    streams.set(stream.headers["streamtype"] ?? "", stream);
    if (expected.every((name) => streams.has(name))) complete?.();
  });
  const isGone = connection.closed.then(() => session.kill());
  const stop = options.clock.after(streamsMs, () => connection.close());
  await Promise.race([isComplete, isGone]);
  stop();
  if (!expected.every((name) => streams.has(name))) return;
  const status = await serveStreams(streams, session);
  const failure = JSON.parse(status) as { readonly status: string; readonly message?: string };
  const text = options.protocol === "v4.channel.k8s.io" ? status : failure.status === "Success" ? "" : failure.message;
  await finish(streams.get("error"), text ?? "");
  for (const name of ["stdout", "stderr"]) streams.get(name)?.end();
  connection.close();
  await isGone;
};

const serveStreams = (streams: ReadonlyMap<string, SpdyStream>, session: Session): Promise<string> => {
  const { stdin, stdout, stderr } = session;
  const [input, out, err, sizes] = ["stdin", "stdout", "stderr", "resize"].map((name) => streams.get(name));
  // A command that does not read to the end closes its stdin; the rest of the input is then of no use.
  if (input !== undefined && stdin !== undefined) void pipeline(input, stdin).catch(() => undefined);
  if (sizes !== undefined) void readSizes(sizes, session).catch(() => undefined);
  const copy = async (source: typeof stdout, target: SpdyStream | undefined): Promise<void> => {
    if (source !== undefined && target !== undefined)
      await pipeline(source, target, { end: false }).catch(() => undefined);
  };
  return endOf(session, [copy(stdout, out), copy(stderr, err)]);
};

const readSizes = async (stream: SpdyStream, session: Session): Promise<void> => {
  let pending = "";
  for await (const chunk of stream) {
    pending += (chunk as Buffer).toString();
    if (pending.length > resizeBytesMax) throw new Error("the resize stream carries no sizes");
    for (let end = pending.indexOf("}"); end >= 0; end = pending.indexOf("}")) {
      const size = resizeOf(pending.slice(0, end + 1));
      pending = pending.slice(end + 1);
      if (size !== undefined) session.resize(size.columns, size.rows);
    }
  }
};

const finish = (stream: SpdyStream | undefined, text: string): Promise<void> =>
  new Promise((resolve) => {
    if (stream === undefined || stream.destroyed) return resolve();
    stream.once("close", resolve);
    stream.end(text, () => resolve());
  });
