/**
 * The door for requests that become streams: exec, attach and port-forward, over WebSocket or SPDY (S1-S5). The caller
 * has authenticated the request and loaded the pod; errors before the 101 are answered here as a Status.
 */
import type { IncomingMessage } from "node:http";
import { type Duplex, PassThrough, pipeline, type Readable } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import type { Pod } from "../../../core/api/pod.ts";
import type { Clock } from "../../../io/host/host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { ExecRequest, NodeStreams, Session } from "../node-streams.ts";
import { channelForwardProtocol, portsOf, serveChannelForward } from "./channel-forward.ts";
import { servePortForward } from "./port-forward.ts";
import { serveSpdyExec, spdyExecProtocols } from "./spdy-exec.ts";
import { refuseUpgrade } from "./status.ts";
import { containerOf, execRequestOf, requireNode } from "./target.ts";
import { execProtocols, serveWebSocketExec } from "./websocket-exec.ts";

export type StreamSubresource = "exec" | "attach" | "portforward";

export interface StreamTarget {
  readonly pod: Pod;
  readonly subresource: StreamSubresource;
  readonly nodeStreams: NodeStreams;
  readonly clock: Clock;
}

const tunnelProtocol = "SPDY/3.1+portforward.k8s.io";
const portForwardProtocol = "portforward.k8s.io";
const messageBytesMax = 32 * 1024 * 1024;

export const isStreamSubresource = (name: string | undefined): name is StreamSubresource =>
  name === "exec" || name === "attach" || name === "portforward";

/** Resolves when the stream has ended; never rejects. */
export const handleUpgrade = async (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: StreamTarget,
): Promise<void> => {
  socket.on("error", () => undefined);
  try {
    requireNode(target.pod);
    const upgrade = (request.headers.upgrade ?? "").toLowerCase();
    if (upgrade === "websocket") await overWebSocket(request, socket, head, target);
    else if (upgrade === "spdy/3.1") await overSpdy(request, socket, head, target);
    else
      throw badRequest(`unable to upgrade: the request asks for ${JSON.stringify(upgrade)}, not websocket or SPDY/3.1`);
  } catch (error) {
    if (!socket.destroyed) refuseUpgrade(socket, error);
  }
};

const badRequest = (message: string): KubeError => new KubeError(400, "BadRequest", message);

const queryOf = (request: IncomingMessage): URLSearchParams =>
  new URL(request.url ?? "/", "https://server").searchParams;

const offered = (request: IncomingMessage, header: string): readonly string[] => {
  const value = request.headers[header];
  const text = Array.isArray(value) ? value.join(",") : (value ?? "");
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
};

const startSession = async (target: StreamTarget, query: URLSearchParams, request: ExecRequest): Promise<Session> => {
  const container = containerOf(target.pod, query.get("container"));
  const { nodeStreams, pod, subresource } = target;
  const session = await (subresource === "attach"
    ? nodeStreams.attach(pod, container, request)
    : nodeStreams.exec(pod, container, request));
  // Whoever waits for the exit comes later; a failure before that must not count as unheard.
  session.exit.catch(() => undefined);
  return {
    stdin: session.stdin,
    stdout: held(session.stdout),
    stderr: held(session.stderr),
    exit: session.exit,
    resize: (columns, rows) => session.resize(columns, rows),
    kill: () => session.kill(),
  };
};

/**
 * Reads the outputs from the first moment on. The client's streams come later, and what a short command wrote would be
 * thrown away at its end when nobody had begun to read: child processes of Node do so.
 */
const held = (source: Readable | undefined): Readable | undefined => {
  if (source === undefined) return undefined;
  const buffer = new PassThrough();
  pipeline(source, buffer, () => undefined);
  return buffer;
};

const openWebSocket = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
): Promise<WebSocket> => {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    handleProtocols: () => protocol,
  });
  if (protocol === tunnelProtocol) {
    // "/" may not be in a protocol name by the RFC, so ws refuses the header: it must not see it (S3).
    delete request.headers["sec-websocket-protocol"];
    server.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${tunnelProtocol}`));
  }
  return new Promise((resolve, reject) => {
    const isGone = () => reject(new Error("the client went away"));
    socket.once("close", isGone);
    server.once("wsClientError", reject);
    server.handleUpgrade(request, socket, head, (open) => {
      socket.off("close", isGone);
      resolve(open);
    });
  });
};

const overWebSocket = async (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: StreamTarget,
): Promise<void> => {
  const wanted = offered(request, "sec-websocket-protocol");
  if (target.subresource === "portforward") {
    if (wanted.includes(channelForwardProtocol)) {
      const ports = portsOf(queryOf(request));
      await serveChannelForward(await openWebSocket(request, socket, head, channelForwardProtocol), ports, target);
      return;
    }
    if (!wanted.includes(tunnelProtocol)) {
      throw badRequest(`port-forward over WebSocket needs ${tunnelProtocol} or ${channelForwardProtocol}`);
    }
    const open = await openWebSocket(request, socket, head, tunnelProtocol);
    await servePortForward(createWebSocketStream(open), target);
    return;
  }
  const protocol =
    execProtocols.find((one) => wanted.includes(one)) ?? (wanted.length === 0 ? "channel.k8s.io" : undefined);
  if (protocol === undefined) {
    throw badRequest(`none of the protocols is known: ${wanted.join(", ")}; known are ${execProtocols.join(", ")}`);
  }
  const query = queryOf(request);
  // The session comes first: what is wrong with it can still be said in an HTTP answer.
  const session = await startSession(target, query, execRequestOf(query, target.subresource));
  let open: WebSocket;
  try {
    open = await openWebSocket(request, socket, head, protocol);
  } catch (error) {
    session.kill();
    throw error;
  }
  await serveWebSocketExec(open, session, protocol);
};

const overSpdy = async (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: StreamTarget,
): Promise<void> => {
  const wanted = offered(request, "x-stream-protocol-version");
  if (target.subresource === "portforward") {
    if (wanted.length > 0 && !wanted.includes(portForwardProtocol)) {
      throw badRequest(`port-forward over SPDY needs the protocol ${portForwardProtocol}`);
    }
    answerSpdy(socket, head, portForwardProtocol);
    await servePortForward(socket, target);
    return;
  }
  const protocol = spdyExecProtocols.find((one) => wanted.includes(one));
  if (protocol === undefined) {
    throw badRequest(`none of the protocols is known: ${wanted.join(", ")}; known are ${spdyExecProtocols.join(", ")}`);
  }
  const query = queryOf(request);
  const execRequest = execRequestOf(query, target.subresource);
  const session = await startSession(target, query, execRequest);
  answerSpdy(socket, head, protocol);
  await serveSpdyExec(socket, session, { protocol, request: execRequest, clock: target.clock });
};

const answerSpdy = (socket: Duplex, head: Buffer, protocol: string): void => {
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    `X-Stream-Protocol-Version: ${protocol}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  if (head.length > 0) socket.unshift(head);
};
