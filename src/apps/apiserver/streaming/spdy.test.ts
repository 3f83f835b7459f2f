import { createServer, connect, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { controlFrame, dataFrame, type Frame, FrameReader, frameType, words } from "./spdy-frames.ts";
import { decodePairs, encodePairs, HeaderReader, HeaderWriter } from "./spdy-headers.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";

const framesOf = (reader: FrameReader, bytes: Buffer, step: number): Frame[] => {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += step) frames.push(...reader.read(bytes.subarray(at, at + step)));
  return frames;
};

describe("frames", () => {
  const wire = Buffer.concat([
    controlFrame(frameType.ping, 0, words(7)),
    dataFrame(5, Buffer.from("hello world"), false),
    dataFrame(5, Buffer.alloc(0), true),
    controlFrame(frameType.rstStream, 0, words(5, 1)),
  ]);

  test.each([1, 3, 8, 1000])("come out whole when the bytes come %d at a time", (step) => {
    const frames = framesOf(new FrameReader(), wire, step);
    const controls = frames.filter((frame) => frame.kind === "control");
    expect(controls.map((frame) => [frame.type, frame.payload.toString("hex")])).toEqual([
      [frameType.ping, "00000007"],
      [frameType.rstStream, "0000000500000001"],
    ]);
    const data = frames.filter((frame) => frame.kind === "data");
    expect(Buffer.concat(data.map((frame) => frame.piece)).toString()).toBe("hello world");
    expect(data.map((frame) => frame.isLast).indexOf(true)).toBe(data.length - 1);
  });

  test("of another protocol are refused", () => {
    expect(() => [...new FrameReader().read(Buffer.from("8002000100000000", "hex"))]).toThrow(/SPDY\/3/);
  });
});

describe("headers", () => {
  test("go through one zlib stream, which remembers the blocks before", async () => {
    const writer = new HeaderWriter();
    const reader = new HeaderReader();
    const headers = { streamtype: "data", port: "8080", requestid: "0" };
    const first = await writer.compress(headers);
    const second = await writer.compress({ ...headers, requestid: "1" });
    expect(second.length).toBeLessThan(first.length);
    expect(await reader.expand(first)).toEqual(headers);
    expect(await reader.expand(second)).toEqual({ ...headers, requestid: "1" });
    // A reader that has missed the first block cannot read the second.
    await expect(new HeaderReader().expand(second)).rejects.toThrow();
  });

  test("names are read in lower case", () => {
    expect(decodePairs(encodePairs({ StreamType: "error" }))).toEqual({ streamtype: "error" });
  });

  test("a block that ends too early is refused", () => {
    const block = encodePairs({ a: "b" });
    expect(() => decodePairs(block.subarray(0, block.length - 1))).toThrow();
  });
});

/** The client's side, as far as the tests need it. */
class Client {
  readonly #socket: Socket;
  readonly #writer = new HeaderWriter();
  readonly #frames = new FrameReader();
  readonly received: Frame[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.received.push(...this.#frames.read(chunk)));
  }

  async open(id: number, headers: Readonly<Record<string, string>>): Promise<void> {
    const block = await this.#writer.compress(headers);
    this.#socket.write(controlFrame(frameType.synStream, 0, Buffer.concat([words(id, 0), Buffer.alloc(2), block])));
  }

  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  controls(type: number): readonly Frame[] {
    return this.received.filter((frame) => frame.kind === "control" && frame.type === type);
  }

  text(id: number): string {
    const pieces = this.received.flatMap((frame) => (frame.kind === "data" && frame.id === id ? [frame.piece] : []));
    return Buffer.concat(pieces).toString();
  }
}

describe("a connection", () => {
  let server: Server | undefined;
  let socket: Socket | undefined;

  afterEach(() => {
    socket?.destroy();
    server?.close();
  });

  const start = async (
    heard: (stream: SpdyStream) => void,
  ): Promise<{ client: Client; connection: SpdyConnection }> => {
    let connection: SpdyConnection | undefined;
    server = createServer((accepted) => (connection = new SpdyConnection(accepted, heard))).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    socket = connect(address.port, "127.0.0.1");
    await Promise.all([once(socket, "connect"), once(server, "connection")]);
    if (connection === undefined) throw new Error("no connection");
    return { client: new Client(socket), connection };
  };

  test("answers each stream and each ping, and echoes both halves on their own", async () => {
    const { client } = await start((stream) => stream.pipe(stream));
    await client.open(1, { streamtype: "data" });
    client.write(dataFrame(1, Buffer.from("ping"), false));
    client.write(controlFrame(frameType.ping, 0, words(9)));
    await expect.poll(() => client.text(1)).toBe("ping");
    expect(client.controls(frameType.synReply)).toHaveLength(1);
    await expect.poll(() => client.controls(frameType.ping)).toHaveLength(1);
    client.write(dataFrame(1, Buffer.from("!"), true));
    await expect.poll(() => client.received.some((frame) => frame.kind === "data" && frame.isLast)).toBe(true);
    expect(client.text(1)).toBe("ping!");
    // Both halves ended in order: no reset.
    expect(client.controls(frameType.rstStream)).toHaveLength(0);
  });

  test("a stream that is given up is reset, and its neighbour goes on", async () => {
    const streams: SpdyStream[] = [];
    const { client } = await start((stream) => streams.push(stream));
    await client.open(1, {});
    await client.open(3, {});
    await expect.poll(() => streams.length).toBe(2);
    streams[0]?.destroy();
    await expect.poll(() => client.controls(frameType.rstStream)).toHaveLength(1);
    streams[1]?.write("still here");
    await expect.poll(() => client.text(3)).toBe("still here");
  });

  test("a reader that stops holds the client back; nothing is lost", async () => {
    const streams: SpdyStream[] = [];
    const { client } = await start((stream) => streams.push(stream));
    await client.open(1, {});
    await expect.poll(() => streams.length).toBe(1);
    const total = 24 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, "x");
    for (let sent = 0; sent < total; sent += piece.length) client.write(dataFrame(1, piece, false));
    client.write(dataFrame(1, Buffer.alloc(0), true));
    const [stream] = streams;
    if (stream === undefined) throw new Error("no stream");
    await expect.poll(() => stream.readableLength).toBeGreaterThan(1024 * 1024 - 1);
    expect(stream.readableLength).toBeLessThan(2 * 1024 * 1024);
    const sink = new PassThrough().resume();
    let size = 0;
    sink.on("data", (chunk: Buffer) => (size += chunk.length));
    stream.pipe(sink);
    await once(sink, "end");
    expect(size).toBe(total);
  });

  test("the end of the client ends all streams", async () => {
    const streams: SpdyStream[] = [];
    const { client, connection } = await start((stream) => streams.push(stream));
    await client.open(1, {});
    await expect.poll(() => streams.length).toBe(1);
    socket?.destroy();
    await connection.closed;
    expect(streams[0]?.destroyed).toBe(true);
  });
});
