/**
 * Port-forward over SPDY, raw or tunnelled (S3-S5). A connection of the user is a pair of streams with one `requestid`:
 * `data` carries the bytes, `error` says why there was no connection.
 */
import type { Duplex } from "node:stream";
import { errorText } from "../../../core/api/error-text.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { Clock } from "../../../io/host/host.ts";
import type { NodeStreams } from "../node-streams.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";

/** How long the second stream of a pair may be missing. */
const pairMs = 30_000;
/** Pairs that are half there; a client opens them one after the other. */
const waitingMax = 1_000;

interface Half {
  readonly stream: SpdyStream;
  readonly stopTimer: () => void;
}

interface Options {
  readonly pod: Pod;
  readonly nodeStreams: NodeStreams;
  readonly clock: Clock;
}

export const servePortForward = async (transport: Duplex, options: Options): Promise<void> => {
  const halves = new Map<string, Half>();
  const connection = new SpdyConnection(transport, (stream) => {
    const { requestid = "", streamtype = "", port = "" } = stream.headers;
    const isKnown = streamtype === "data" || streamtype === "error";
    if (!isKnown || halves.size >= waitingMax) {
      stream.destroy();
      return;
    }
    const key = `${requestid}/${port}`;
    const half = halves.get(key);
    if (half === undefined || half.stream.headers["streamtype"] === streamtype) {
      half?.stopTimer();
      const stopTimer = options.clock.after(pairMs, () => {
        halves.delete(key);
        stream.destroy();
      });
      halves.set(key, { stream, stopTimer });
      return;
    }
    half.stopTimer();
    halves.delete(key);
    const [data, error] = streamtype === "data" ? [stream, half.stream] : [half.stream, stream];
    void forward(data, error, Number(port), options);
  });
  await connection.closed;
  for (const { stopTimer } of halves.values()) stopTimer();
};

const forward = async (data: SpdyStream, error: SpdyStream, port: number, options: Options): Promise<void> => {
  const { pod, nodeStreams } = options;
  error.resume();
  let upstream: Duplex;
  try {
    upstream = await nodeStreams.portForward(pod, port);
  } catch (cause) {
    const why = errorText(cause);
    const { name, namespace = "" } = pod.metadata;
    error.end(`error forwarding port ${port} to pod ${namespace}/${name}: ${why}`);
    data.destroy();
    return;
  }
  await joined(data, upstream, (why) => {
    if (!error.writableEnded) error.end(`error forwarding port ${port} to pod ${pod.metadata.name}: ${why}`);
  });
  if (!error.writableEnded) error.end();
};

/** Carries bytes both ways; each direction ends on its own. Resolves when both have closed. */
const joined = (data: SpdyStream, upstream: Duplex, onBroken: (why: string) => void): Promise<void> => {
  const isClosed = (stream: Pick<Duplex, "destroyed"> & NodeJS.EventEmitter): Promise<void> =>
    new Promise((resolve) => {
      if (stream.destroyed) resolve();
      else stream.once("close", () => resolve());
    });
  upstream.on("error", (cause) => {
    onBroken(cause.message);
    data.destroy();
  });
  data.once("close", () => upstream.destroy());
  upstream.once("close", () => {
    // What it sent before is still on its way to the client.
    if (upstream.readableEnded && !data.destroyed) data.end();
    else if (!upstream.readableEnded) data.destroy();
  });
  data.pipe(upstream);
  upstream.pipe(data);
  return Promise.all([isClosed(data), isClosed(upstream)]).then(() => undefined);
};
