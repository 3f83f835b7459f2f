/**
 * A connection to a port on a pod's loopback, through the Kubernetes API server, as `kubectl port-forward` makes one: over
 * WebSocket channels, which every kubelet speaks. One WebSocket per connection; it ends with the stream.
 */
import * as http from "node:http";
import { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import type { Host } from "../host/host.ts";
import { KubeError, type Ref } from "./client.ts";
import type { Credential, KubeEndpoint } from "./endpoint.ts";

const protocol = "v4.channel.k8s.io";
const channel = { data: 0, error: 1 } as const;
/** The port, as two bytes, before anything else on either channel. */
const preambleBytes = 2;
const answerBytesMax = 64 * 1024 * 1024;
const openMsMax = 15_000;
const answerMsMax = 30_000;

export interface PodPort extends Ref {
  readonly port: number;
}

function headersOf({ token, basic }: Credential, { impersonate }: KubeEndpoint) {
  const basicText = basic && Buffer.from(`${basic.username}:${basic.password}`).toString("base64");
  return {
    "user-agent": "tombolo",
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(basicText !== undefined && { authorization: `Basic ${basicText}` }),
    ...(impersonate && { "impersonate-user": impersonate.user, "impersonate-group": [...impersonate.groups] }),
  };
}

function dial(endpoint: KubeEndpoint, credential: Credential, { namespace = "", name, port }: PodPort): WebSocket {
  const base = endpoint.server.replace(/^http/, "ws").replace(/\/$/, "");
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/portforward`;
  return new WebSocket(`${base}${path}?ports=${port}`, protocol, {
    headers: headersOf(credential, endpoint),
    perMessageDeflate: false,
    handshakeTimeout: openMsMax,
    rejectUnauthorized: endpoint.isVerified,
    ...(endpoint.certificateAuthority !== undefined && { ca: endpoint.certificateAuthority }),
    ...(endpoint.serverName !== undefined && { servername: endpoint.serverName }),
    ...(credential.certificate !== undefined && { cert: credential.certificate, key: credential.key }),
  });
}

const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);

/** Data as a stream; words on the error channel break it. */
class ForwardedPort extends Duplex {
  readonly #socket: WebSocket;
  readonly #rest = { data: preambleBytes, error: preambleBytes };
  #problem = "";

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on("message", (data) => this.#take(bytesOf(data)));
    socket.on("close", () => {
      if (this.#problem !== "") this.destroy(new Error(this.#problem));
      else this.push(null);
    });
    socket.on("error", (error) => this.destroy(error));
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat([Buffer.of(channel.data), chunk]), { binary: true }, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.terminate();
    done(error);
  }

  #take(message: Buffer): void {
    const kind = message[0] === channel.data ? "data" : "error";
    const skipped = Math.min(this.#rest[kind], message.length - 1);
    this.#rest[kind] -= skipped;
    const body = message.subarray(1 + skipped);
    if (body.length === 0) return;
    if (kind === "error") this.#problem += body.toString("utf8").slice(0, 1_000);
    else if (!this.push(body)) this.#socket.pause();
  }
}

/** Rejects with `KubeError` when the API server refuses, and with the reason when the port cannot be reached. */
export async function forwardPort(endpoint: KubeEndpoint, to: PodPort, signal?: AbortSignal): Promise<Duplex> {
  const credential = await endpoint.credentials.current(signal);
  const socket = dial(endpoint, credential, to);
  // Listens from the first moment: the first messages may come together with the answer that opens the socket.
  const stream = new ForwardedPort(socket);
  // Until the caller listens; what fails before the socket is open is told below.
  stream.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      socket.terminate();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", stop, { once: true });
    socket.once("open", () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    socket.once("unexpected-response", (_request, response) => void refusal(response).then(reject));
    socket.once("error", (error) =>
      reject(new KubeError(0, "Unreachable", `The API server ${endpoint.server} cannot be reached: ${error.message}`)),
    );
  });
  return stream;
}

async function refusal(response: http.IncomingMessage): Promise<KubeError> {
  const code = response.statusCode ?? 0;
  const text = await textOf(response).catch(() => "");
  try {
    // A Status of Kubernetes, or nothing that is used.
    const { message, reason } = JSON.parse(text) as { message?: string; reason?: string };
    return new KubeError(code, reason ?? "Refused", message ?? `the connection was refused with status ${code}`);
  } catch {
    return new KubeError(code, "Refused", `the connection to the pod was refused with status ${code}: ${text}`);
  }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    // Without an encoding set, a response yields buffers.
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > answerBytesMax) throw new Error(`The answer has more than ${answerBytesMax} bytes.`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export interface PodAnswer {
  readonly status: number;
  readonly text: string;
}

/** One HTTP GET of a page that a program in the pod serves on its loopback. */
export async function getFromPod(
  host: Host,
  endpoint: KubeEndpoint,
  to: PodPort & { readonly path: string },
  signal?: AbortSignal,
): Promise<PodAnswer> {
  const stream = await forwardPort(endpoint, to, signal);
  const late = () => stream.destroy(new Error(`${to.path} was not answered within ${answerMsMax / 1000} s.`));
  const cancel = host.clock.after(answerMsMax, late);
  try {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      stream.once("error", reject);
      const options = { host: "localhost", path: to.path, headers: { connection: "close" } };
      const request = http.request({ ...options, createConnection: () => stream }, resolve);
      request.once("error", reject);
      request.end();
    });
    return { status: response.statusCode ?? 0, text: await textOf(response) };
  } finally {
    cancel();
    stream.destroy();
  }
}
