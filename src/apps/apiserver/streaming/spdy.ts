/**
 * The server's side of a SPDY/3.1 connection over any byte stream: a raw upgraded socket, or the tunnel in a WebSocket
 * (S4, S5). There is no flow control by window: who reads too slowly stops the whole connection.
 */
import { Duplex } from "node:stream";
import {
  cancelled,
  controlFrame,
  dataFrame,
  flagFin,
  type Frame,
  FrameReader,
  frameType,
  words,
} from "./spdy-frames.ts";
import { HeaderReader, HeaderWriter, type SpdyHeaders } from "./spdy-headers.ts";

/** Streams a client may have open at once on one connection. */
const streamsMax = 1_000;
/** What one stream may hold back before the connection stands still. */
const bufferedBytesMax = 1024 * 1024;
const frameBytesMax = 64 * 1024;

interface Link {
  write(frame: Buffer, done: (error?: Error | null) => void): void;
  wantMore(stream: SpdyStream): void;
  forget(stream: SpdyStream): void;
}

/** One stream. Ends of both directions are independent; destroying it resets the stream. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly #link: Link;
  #isRemoteEnded = false;
  #isLocalEnded = false;
  #isReset = false;

  constructor(id: number, headers: SpdyHeaders, link: Link) {
    super({ readableHighWaterMark: bufferedBytesMax, allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#link = link;
  }

  /** From the wire. False: the stream has enough for now. */
  accept(piece: Buffer, isLast: boolean): boolean {
    if (this.#isRemoteEnded) return true;
    const goesOn = piece.length === 0 || this.push(piece);
    if (isLast) {
      this.#isRemoteEnded = true;
      this.push(null);
    }
    return goesOn || isLast;
  }

  /** The other side reset the stream. */
  acceptReset(): void {
    this.#isReset = true;
    this.destroy();
  }

  override _read(): void {
    this.#link.wantMore(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const frames: Buffer[] = [];
    for (let at = 0; at < chunk.length; at += frameBytesMax) {
      frames.push(dataFrame(this.id, chunk.subarray(at, at + frameBytesMax), false));
    }
    this.#link.write(Buffer.concat(frames), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#isLocalEnded = true;
    this.#link.write(dataFrame(this.id, Buffer.alloc(0), true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#link.forget(this);
    const isOver = this.#isReset || (this.#isLocalEnded && this.#isRemoteEnded);
    if (isOver) return done(error);
    const reset = controlFrame(frameType.rstStream, 0, words(this.id, cancelled));
    this.#link.write(reset, () => done(error));
  }
}

export class SpdyConnection {
  readonly #transport: Duplex;
  readonly #frames = new FrameReader();
  readonly #reader = new HeaderReader();
  readonly #writer = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #heard: (stream: SpdyStream) => void;
  #isClosed = false;
  /** The stream that has enough, while the connection waits for it. */
  #blocked: { readonly id: number; readonly goOn: () => void } | undefined;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;

  constructor(transport: Duplex, heard: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#heard = heard;
    // Errors of the transport end the loop below; this listener only keeps them from being unhandled.
    transport.on("error", () => undefined);
    transport.once("close", () => this.#blocked?.goOn());
    this.closed = this.#run();
  }

  /** Says goodbye and ends the transport once everything is written. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#transport.write(controlFrame(frameType.goAway, 0, words(0, 0)));
    this.#transport.end();
  }

  async #run(): Promise<void> {
    try {
      for await (const chunk of this.#transport) {
        // A transport without encoding gives buffers.
        for (const frame of this.#frames.read(chunk as Buffer)) await this.#handle(frame);
      }
    } catch {
      // A broken connection and one that breaks the protocol end alike.
    }
    this.#isClosed = true;
    this.#transport.destroy();
    for (const stream of this.#streams.values()) stream.acceptReset();
    this.#reader.close();
    this.#writer.close();
  }

  #unblock(id: number): void {
    if (this.#blocked?.id === id) this.#blocked.goOn();
  }

  async #handle(frame: Frame): Promise<void> {
    if (frame.kind === "control") return this.#handleControl(frame.type, frame.flags, frame.payload);
    const stream = this.#streams.get(frame.id);
    if (stream === undefined || stream.accept(frame.piece, frame.isLast)) return;
    await new Promise<void>((resolve) => {
      if (this.#transport.destroyed) resolve();
      else this.#blocked = { id: frame.id, goOn: resolve };
    });
    this.#blocked = undefined;
  }

  async #handleControl(type: number, flags: number, payload: Buffer): Promise<void> {
    switch (type) {
      case frameType.synStream:
        return this.#open(flags, payload);
      case frameType.headers:
        await this.#reader.expand(payload.subarray(4));
        return;
      case frameType.rstStream:
        this.#streams.get(payload.readUInt32BE(0) & 0x7fffffff)?.acceptReset();
        return;
      case frameType.ping:
        this.#transport.write(controlFrame(frameType.ping, 0, payload.subarray(0, 4)));
        return;
      case frameType.goAway:
        // Streams that are open go on; the client ends the connection itself.
        return;
      default:
        return;
    }
  }

  async #open(flags: number, payload: Buffer): Promise<void> {
    const id = payload.readUInt32BE(0) & 0x7fffffff;
    const headers = await this.#reader.expand(payload.subarray(10));
    if (this.#streams.size >= streamsMax) {
      this.#transport.write(controlFrame(frameType.rstStream, 0, words(id, cancelled)));
      return;
    }
    const stream = new SpdyStream(id, headers, {
      write: (frame, done) => {
        if (this.#transport.destroyed || this.#transport.writableEnded)
          return done(new Error("the connection is closed"));
        this.#transport.write(frame, done);
      },
      wantMore: (ready) => this.#unblock(ready.id),
      forget: (gone) => {
        this.#streams.delete(gone.id);
        this.#unblock(gone.id);
      },
    });
    stream.on("error", () => undefined);
    this.#streams.set(id, stream);
    // The client waits for this reply before it uses the stream.
    const block = await this.#writer.compress({});
    this.#transport.write(controlFrame(frameType.synReply, 0, Buffer.concat([words(id), block])));
    if ((flags & flagFin) !== 0) stream.accept(Buffer.alloc(0), true);
    this.#heard(stream);
  }
}
