/**
 * exec and attach over WebSocket (S1, S2): the first byte of each message is a channel. Version 5 can also close the
 * client's stdin alone. Owns the session from the moment the socket is open until both have ended.
 */
import type { Readable, Writable } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { Session } from "../node-streams.ts";
import { brokenStatus, exitStatus } from "./status.ts";
import { resizeOf } from "./target.ts";

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export const execProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"] as const;
export type ExecProtocol = (typeof execProtocols)[number];

/** Above this the client has to wait until the command has read. */
const stdinBytesMax = 1024 * 1024;
const messageBytesMax = 32 * 1024;

const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);

export const serveWebSocketExec = async (
  socket: WebSocket,
  session: Session,
  protocol: ExecProtocol,
): Promise<void> => {
  const { stdin } = session;
  stdin?.on("error", () => undefined);
  socket.on("error", () => session.kill());
  socket.on("close", () => session.kill());
  socket.on("message", (data) => {
    const message = bytesOf(data);
    const body = message.subarray(1);
    switch (message[0] ?? -1) {
      case channel.stdin:
        if (stdin !== undefined) takeInput(socket, stdin, body);
        return;
      case channel.resize: {
        const size = resizeOf(body.toString());
        if (size !== undefined) session.resize(size.columns, size.rows);
        return;
      }
      case channel.close:
        if (protocol === "v5.channel.k8s.io" && body[0] === channel.stdin) stdin?.end();
        return;
      default:
        return;
    }
  });
  const outputs = [pump(session.stdout, channel.stdout, socket), pump(session.stderr, channel.stderr, socket)];
  const status = await endOf(session, outputs);
  if (socket.readyState !== socket.OPEN) return;
  await send(socket, channel.error, Buffer.from(protocol === "channel.k8s.io" ? plainEnd(status) : status));
  socket.close(1000);
};

/** The exit status, after all output has been sent. */
export const endOf = async (session: Session, outputs: readonly Promise<void>[]): Promise<string> => {
  try {
    const { code } = await session.exit;
    await Promise.all(outputs);
    return exitStatus(code);
  } catch (error) {
    return brokenStatus(error);
  }
};

/** The oldest protocol sends words, and none when all went well. */
const plainEnd = (status: string): string => {
  const { message } = JSON.parse(status) as { readonly message?: string };
  return message ?? "";
};

const takeInput = (socket: WebSocket, stdin: Writable, body: Buffer): void => {
  if (stdin.destroyed || stdin.writableEnded) return;
  stdin.write(body);
  if (stdin.writableLength <= stdinBytesMax || socket.isPaused) return;
  socket.pause();
  const goOn = () => {
    stdin.off("drain", goOn).off("close", goOn);
    socket.resume();
  };
  stdin.on("drain", goOn).on("close", goOn);
};

const send = (socket: WebSocket, number: number, body: Buffer): Promise<void> =>
  new Promise((resolve) => {
    // An error here means that the client is gone, which the socket's own events tell.
    socket.send(Buffer.concat([Buffer.of(number), body]), { binary: true }, () => resolve());
  });

const pump = async (source: Readable | undefined, number: number, socket: WebSocket): Promise<void> => {
  if (source === undefined) return;
  for await (const chunk of source) {
    // Streams of a session carry bytes.
    const bytes = chunk as Buffer;
    for (let at = 0; at < bytes.length; at += messageBytesMax) {
      if (socket.readyState !== socket.OPEN) return;
      await send(socket, number, bytes.subarray(at, at + messageBytesMax));
    }
  }
};
