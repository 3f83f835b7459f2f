import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect as connectTcp, createServer as createTcpServer } from "node:net";
import { Duplex, PassThrough, type Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Pod } from "../../../core/api/pod.ts";
import { systemHost } from "../../../io/host/host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { ExecRequest, NodeStreams, Session } from "../node-streams.ts";
import { controlFrame, dataFrame, type Frame, FrameReader, frameType, words } from "./spdy-frames.ts";
import { HeaderWriter } from "./spdy-headers.ts";
import { handleUpgrade, isStreamSubresource } from "./upgrade.ts";

const { clock } = systemHost("error");

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "demo", namespace: "default" },
  spec: {
    nodeName: "node1",
    containers: [
      { name: "app", image: "a" },
      { name: "other", image: "b" },
    ],
  },
};

/** A command that copies its input to its output in upper case and ends with a code of its own. */
class FakeNode implements NodeStreams {
  readonly requests: ExecRequest[] = [];
  readonly sizes: string[] = [];
  killed = 0;
  exitCode = 0;
  refusal: Error | undefined;
  dial: () => Promise<Duplex> = () => Promise.reject(new Error("nothing listens on port 81"));

  async exec(_pod: Pod, container: string, request: ExecRequest): Promise<Session> {
    if (this.refusal !== undefined) throw this.refusal;
    this.requests.push(request);
    const stdin = request.stdin ? new PassThrough() : undefined;
    const stdout = request.stdout ? new PassThrough() : undefined;
    const stderr = request.stderr ? new PassThrough() : undefined;
    const exit = (async () => {
      stderr?.end(`in ${container}\n`);
      if (stdin !== undefined) for await (const chunk of stdin) stdout?.write(String(chunk).toUpperCase());
      stdout?.end("done\n");
      return { code: this.exitCode };
    })();
    const resize = (columns: number, rows: number) => this.sizes.push(`${columns}x${rows}`);
    return { stdin, stdout, stderr, exit, resize, kill: () => (this.killed += 1) };
  }

  attach(attached: Pod, container: string, request: Omit<ExecRequest, "command">): Promise<Session> {
    return this.exec(attached, container, { ...request, command: [] });
  }

  portForward(): Promise<Duplex> {
    return this.dial();
  }

  logs(): Promise<Readable> {
    return Promise.reject(new Error("this node keeps no logs"));
  }
}

let server: Server;
let node: FakeNode;
let port: number;

beforeEach(async () => {
  node = new FakeNode();
  server = createServer();
  server.on("upgrade", (request, socket, head) => {
    const subresource = new URL(request.url ?? "/", "http://x").pathname.slice(1);
    if (!isStreamSubresource(subresource)) throw new Error(subresource);
    void handleUpgrade(request, socket, head, { pod, subresource, nodeStreams: node, clock });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

interface Talk {
  readonly socket: WebSocket;
  readonly texts: Record<number, string>;
  readonly closed: Promise<number>;
}

const talk = async (path: string, protocol: string): Promise<Talk> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`, [protocol]);
  const texts: Record<number, string> = {};
  socket.on("message", (data: Buffer) => {
    const number = data[0] ?? 255;
    texts[number] = `${texts[number] ?? ""}${data.subarray(1).toString()}`;
  });
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  await once(socket, "open");
  return { socket, texts, closed };
};

const message = (channel: number, text: string): Buffer => Buffer.concat([Buffer.of(channel), Buffer.from(text)]);

describe("exec over WebSocket", () => {
  test("v5: the half-close of stdin ends the command; output, then its status, then a clean close", async () => {
    const path = "exec?command=cat&command=-&container=app&stdin=true&stdout=true&stderr=true";
    const { socket, texts, closed } = await talk(path, "v5.channel.k8s.io");
    expect(socket.protocol).toBe("v5.channel.k8s.io");
    socket.send(message(0, "hello "));
    socket.send(message(0, "world\n"));
    socket.send(Buffer.of(255, 0));
    expect(await closed).toBe(1000);
    expect(texts).toEqual({ 1: "HELLO WORLD\ndone\n", 2: "in app\n", 3: '{"metadata":{},"status":"Success"}' });
    expect(node.requests).toEqual([{ command: ["cat", "-"], stdin: true, stdout: true, stderr: true, tty: false }]);
  });

  test("an exit code travels in the causes", async () => {
    node.exitCode = 7;
    const { texts, closed } = await talk("exec?command=x&container=app&stdout=true", "v4.channel.k8s.io");
    await closed;
    expect(JSON.parse(texts[3] ?? "")).toEqual({
      metadata: {},
      status: "Failure",
      message: "command terminated with non-zero exit code: exit status 7",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "7" }] },
    });
  });

  test("v4 knows no half-close: the message is not taken for one", async () => {
    const { socket, texts } = await talk("exec?command=x&container=app&stdin=true&stdout=true", "v4.channel.k8s.io");
    socket.send(Buffer.of(255, 0));
    socket.send(message(0, "more"));
    await expect.poll(() => texts[1]).toBe("MORE");
    socket.close();
    await expect.poll(() => node.killed).toBeGreaterThan(0);
  });

  test("a terminal is resized and has no stderr of its own", async () => {
    const path = "exec?command=sh&container=app&stdin=true&stdout=true&stderr=true&tty=true";
    const { socket, closed, texts } = await talk(path, "v5.channel.k8s.io");
    socket.send(message(4, '{"Width":80,"Height":24}'));
    socket.send(message(4, "nonsense"));
    socket.send(message(4, '{"Width":120,"Height":40}\n'));
    socket.send(Buffer.of(255, 0));
    await closed;
    expect(node.sizes).toEqual(["80x24", "120x40"]);
    expect(texts[2]).toBeUndefined();
  });

  test("a client that goes away ends the command", async () => {
    const { socket } = await talk("exec?command=x&container=app&stdin=true&stdout=true", "v5.channel.k8s.io");
    socket.terminate();
    await expect.poll(() => node.killed).toBeGreaterThan(0);
  });

  test.each([
    ["exec?command=x&stdout=true", 400, "a container name must be specified for pod demo, choose one of: [app other]"],
    ["exec?command=x&stdout=true&container=none", 400, "container none is not valid for pod demo"],
    ["exec?command=x&container=app", 400, "you must specify at least 1 of stdin, stdout, stderr"],
    ["exec?stdout=true&container=app", 400, "you must specify at least 1 command to exec"],
  ])("%s is refused before the upgrade", async (path, code, text) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`, ["v5.channel.k8s.io"]);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, Readable & { statusCode: number }];
    expect(response.statusCode).toBe(code);
    const status: unknown = JSON.parse((await response.toArray()).join(""));
    expect(status).toMatchObject({ kind: "Status", status: "Failure", message: text });
  });

  test("what the node refuses is said in HTTP", async () => {
    node.refusal = new KubeError(404, "NotFound", "container app is gone");
    const socket = new WebSocket(`ws://127.0.0.1:${port}/exec?command=x&container=app&stdout=true`, [
      "v5.channel.k8s.io",
    ]);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, Readable & { statusCode: number }];
    expect(response.statusCode).toBe(404);
    response.destroy();
  });
});

/** A client of SPDY over any stream; answers come out per stream. */
class SpdyClient {
  readonly #transport: Duplex;
  readonly #writer = new HeaderWriter();
  readonly #reader = new FrameReader();
  readonly frames: Frame[] = [];

  constructor(transport: Duplex) {
    this.#transport = transport;
    transport.on("error", () => undefined);
    transport.on("data", (chunk: Buffer) => this.frames.push(...this.#reader.read(chunk)));
  }

  async open(id: number, headers: Readonly<Record<string, string>>): Promise<void> {
    const block = await this.#writer.compress(headers);
    this.#transport.write(controlFrame(frameType.synStream, 0, Buffer.concat([words(id, 0), Buffer.alloc(2), block])));
  }

  send(id: number, text: string, isLast = false): void {
    this.#transport.write(dataFrame(id, Buffer.from(text), isLast));
  }

  text(id: number): string {
    const pieces = this.frames.flatMap((frame) => (frame.kind === "data" && frame.id === id ? [frame.piece] : []));
    return Buffer.concat(pieces).toString();
  }

  isEnded(id: number): boolean {
    return this.frames.some((frame) => frame.kind === "data" && frame.id === id && frame.isLast);
  }
}

const rawUpgrade = async (path: string, protocol: string): Promise<{ head: string; socket: Duplex }> => {
  const socket = connectTcp(port, "127.0.0.1");
  await once(socket, "connect");
  const lines = [`POST /${path} HTTP/1.1`, "Host: x", "Connection: Upgrade", "Upgrade: SPDY/3.1"];
  socket.write(`${[...lines, `X-Stream-Protocol-Version: ${protocol}`].join("\r\n")}\r\n\r\n`);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString("latin1");
  }
  return { head: text, socket };
};

/** Bytes in binary messages, by hand: client libraries refuse a protocol name with a slash as ws does. */
const webSocketTunnel = (socket: Duplex): Duplex => {
  let pending = Buffer.alloc(0);
  const tunnel = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      if (chunk.length > 125) return done(new Error("this test sends small messages only"));
      socket.write(Buffer.concat([Buffer.of(0x82, 0x80 | chunk.length, 0, 0, 0, 0), chunk]), done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (let size = pending[1] ?? 126; size < 126 && pending.length >= size + 2; size = pending[1] ?? 126) {
      tunnel.push(pending.subarray(2, size + 2));
      pending = pending.subarray(size + 2);
    }
  });
  return tunnel;
};

const echoPort = async (): Promise<() => Promise<Duplex>> => {
  const echo = createTcpServer({ allowHalfOpen: true }, (accepted) => accepted.pipe(accepted)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  echo.unref();
  const address = echo.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return async () => {
    const socket = connectTcp({ port: address.port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
};

describe("exec over SPDY", () => {
  test("streams by type, an exit code in the error stream, and the connection closes", async () => {
    node.exitCode = 3;
    const path = "exec?command=cat&container=app&stdin=true&stdout=true&stderr=true";
    const { head, socket } = await rawUpgrade(path, "v5.channel.k8s.io, v4.channel.k8s.io");
    expect(head).toContain("101 Switching Protocols");
    expect(head).toContain("X-Stream-Protocol-Version: v4.channel.k8s.io");
    const client = new SpdyClient(socket);
    for (const [id, streamtype] of [
      [1, "error"],
      [3, "stdin"],
      [5, "stdout"],
      [7, "stderr"],
    ] as const) {
      await client.open(id, { streamtype });
    }
    client.send(3, "spdy", true);
    await once(socket, "close");
    expect(client.text(5)).toBe("SPDYdone\n");
    expect(client.text(7)).toBe("in app\n");
    expect(client.text(1)).toContain('"message":"3"');
  });

  test("the terminal's size comes as a stream of JSON", async () => {
    const path = "exec?command=sh&container=app&stdin=true&stdout=true&tty=true";
    const { socket } = await rawUpgrade(path, "v4.channel.k8s.io");
    const client = new SpdyClient(socket);
    const types = ["error", "stdin", "stdout", "resize"];
    for (const [index, streamtype] of types.entries()) await client.open(2 * index + 1, { streamtype });
    client.send(7, '{"Width":80,"Height":24}\n{"Width":');
    client.send(7, '100,"Height":30}\n');
    await expect.poll(() => node.sizes).toEqual(["80x24", "100x30"]);
    client.send(3, "", true);
    await once(socket, "close");
  });
});

describe("port-forward", () => {
  const exchange = async (transport: Duplex): Promise<void> => {
    const client = new SpdyClient(transport);
    await client.open(1, { streamtype: "error", port: "80", requestid: "0" });
    client.send(1, "", true);
    await client.open(3, { streamtype: "data", port: "80", requestid: "0" });
    client.send(3, "over the ");
    client.send(3, "tunnel", true);
    await expect.poll(() => client.isEnded(3)).toBe(true);
    expect(client.text(3)).toBe("over the tunnel");
    await expect.poll(() => client.isEnded(1)).toBe(true);
    expect(client.text(1)).toBe("");
    transport.destroy();
  };

  test("tunnelled in a WebSocket, whose protocol name ws itself would refuse", async () => {
    node.dial = await echoPort();
    const socket = connectTcp(port, "127.0.0.1");
    await once(socket, "connect");
    const lines = [
      "GET /portforward HTTP/1.1",
      "Host: x",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io",
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    expect(head.toString()).toContain("101 Switching Protocols");
    expect(head.toString()).toContain("Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n");
    await exchange(webSocketTunnel(socket));
  });

  test("over SPDY itself", async () => {
    node.dial = await echoPort();
    const { head, socket } = await rawUpgrade("portforward", "portforward.k8s.io");
    expect(head).toContain("X-Stream-Protocol-Version: portforward.k8s.io");
    await exchange(socket);
  });

  test("a port on which nothing listens is an error of that connection only", async () => {
    const { socket } = await rawUpgrade("portforward", "portforward.k8s.io");
    const client = new SpdyClient(socket);
    await client.open(1, { streamtype: "error", port: "81", requestid: "0" });
    await client.open(3, { streamtype: "data", port: "81", requestid: "0" });
    await expect.poll(() => client.isEnded(1)).toBe(true);
    expect(client.text(1)).toBe("error forwarding port 81 to pod default/demo: nothing listens on port 81");
    node.dial = await echoPort();
    await client.open(5, { streamtype: "error", port: "80", requestid: "1" });
    await client.open(7, { streamtype: "data", port: "80", requestid: "1" });
    client.send(7, "next");
    await expect.poll(() => client.text(7)).toBe("next");
    socket.destroy();
  });
});
