/**
 * One attempt of a probe or of an HTTP hook. Network probes are dialled from the node's namespace, as a kubelet's are, so
 * that what stands between node and pod (a mesh's redirection, say) is part of what they test.
 */
import { connect as connectHttp2, constants } from "node:http2";
import { request } from "node:http";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { errorText } from "../../../core/api/error-text.ts";
import type { Container, Probe } from "../../../core/api/pod.ts";
import type { Host } from "../../../io/host/host.ts";
import { dialInside } from "../../../io/host/netns.ts";

export interface ProbeTarget {
  readonly nodeNetns: string;
  readonly podIp: string;
  readonly container: Container;
  exec(command: readonly string[], timeoutMs: number): Promise<{ readonly code: number; readonly output: string }>;
}

export interface ProbeResult {
  readonly isSuccess: boolean;
  readonly message: string;
}

export async function attempt(host: Host, target: ProbeTarget, probe: Probe, timeoutMs: number): Promise<ProbeResult> {
  try {
    if (probe.exec !== undefined) {
      const { code, output } = await target.exec(probe.exec.command, timeoutMs);
      return { isSuccess: code === 0, message: output };
    }
    if (probe.httpGet !== undefined) return await httpGet(host, target, probe.httpGet, timeoutMs);
    if (probe.tcpSocket !== undefined) {
      const { port, host: address } = probe.tcpSocket;
      (await dialInside(target.nodeNetns, address ?? target.podIp, portNumber(target, port), timeoutMs)).destroy();
      return { isSuccess: true, message: "" };
    }
    if (probe.grpc !== undefined) return await grpcCheck(host, target, probe.grpc, timeoutMs);
    return { isSuccess: true, message: "the probe asks for nothing" };
  } catch (error) {
    return { isSuccess: false, message: errorText(error) };
  }
}

function portNumber(target: ProbeTarget, port: number | string): number {
  if (typeof port === "number") return port;
  const named = target.container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port);
  if (Number.isInteger(named)) return named;
  throw new Error(`container ${target.container.name} has no port named "${port}"`);
}

/** Rejects after `timeoutMs`, and tells `giveUp` so that what it started ends. */
async function withTimeout<T>(host: Host, timeoutMs: number, giveUp: () => void, work: Promise<T>): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancel = host.clock.after(timeoutMs, () => {
      reject(new Error("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"));
      giveUp();
    });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}

type HttpGet = NonNullable<Probe["httpGet"]>;

export async function httpGet(host: Host, target: ProbeTarget, get: HttpGet, timeoutMs: number): Promise<ProbeResult> {
  const port = portNumber(target, get.port);
  const address = get.host ?? target.podIp;
  const plain = await dialInside(target.nodeNetns, address, port, timeoutMs);
  const isTls = get.scheme === "HTTPS";
  const socket = isTls ? connectTls({ socket: plain, rejectUnauthorized: false }) : plain;
  const headers: Record<string, string> = { "User-Agent": "kube-probe/1.34", Accept: "*/*", Connection: "close" };
  for (const { name, value } of get.httpHeaders ?? []) headers[name] = value;
  const named = get.httpHeaders?.find(({ name }) => name.toLowerCase() === "host")?.value;
  headers["Host"] = named ?? `${address}:${port}`;
  const answer = new Promise<ProbeResult>((resolve, reject) => {
    const call = request(
      { createConnection: () => socket, path: get.path ?? "/", method: "GET", headers },
      (response) => {
        response.resume();
        const code = response.statusCode ?? 0;
        const isSuccess = code >= 200 && code < 400;
        resolve({ isSuccess, message: isSuccess ? "" : `HTTP probe failed with statuscode: ${code}` });
      },
    );
    call.on("error", reject);
    socket.on("error", reject);
    call.end();
  });
  try {
    return await withTimeout(host, timeoutMs, () => socket.destroy(), answer);
  } finally {
    socket.destroy();
  }
}

/** grpc.health.v1.Health/Check; status 1 is SERVING. */
async function grpcCheck(
  host: Host,
  target: ProbeTarget,
  { port, service = "" }: { port: number; service?: string },
  timeoutMs: number,
): Promise<ProbeResult> {
  const socket = await dialInside(target.nodeNetns, target.podIp, port, timeoutMs);
  const session = connectHttp2(`http://${target.podIp}:${port}`, { createConnection: () => socket });
  try {
    const status = await withTimeout(host, timeoutMs, () => session.destroy(), healthCall(session, socket, service));
    return { isSuccess: status === 1, message: `service unhealthy (responded with status ${status})` };
  } finally {
    session.destroy();
    socket.destroy();
  }
}

function healthCall(session: ReturnType<typeof connectHttp2>, socket: Socket, service: string): Promise<number> {
  const name = Buffer.from(service, "utf8");
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    socket.on("error", reject);
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    call.on("data", (chunk: Buffer) => void chunks.push(chunk));
    call.on("error", reject);
    call.on("end", () => {
      const body = Buffer.concat(chunks).subarray(5);
      resolve(body[0] === 0x08 ? (body[1] ?? 0) : 0);
    });
    call.end(Buffer.concat([head, message]));
  });
}
