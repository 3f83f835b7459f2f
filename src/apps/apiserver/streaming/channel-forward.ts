/**
 * Port-forward over WebSocket channels, the kubelet's older protocol that client libraries speak: for each port of the
 * query a channel of bytes and one of words about failures, both of which begin with the port. One connection per port.
 */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { errorText } from "../../../core/api/error-text.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { NodeStreams } from "../node-streams.ts";

export const channelForwardProtocol = "v4.channel.k8s.io";
/** A channel is one byte, and each port takes two. */
const portsMax = 127;
const messageBytesMax = 32 * 1024;

export function portsOf(query: URLSearchParams): readonly number[] {
  const ports = query.getAll("ports").flatMap((one) => one.split(",").map(Number));
  const isGood = ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536);
  if (ports.length > 0 && ports.length <= portsMax && isGood) return ports;
  throw new KubeError(400, "BadRequest", `query parameter "ports" must name 1 to ${portsMax} ports`);
}

export async function serveChannelForward(
  socket: WebSocket,
  ports: readonly number[],
  { pod, nodeStreams }: { readonly pod: Pod; readonly nodeStreams: NodeStreams },
): Promise<void> {
  const upstreams = new Map<number, Duplex>();
  const early = new Map<number, Buffer[]>();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => socket.terminate());
  socket.on("message", (data) => {
    const message = bytesOf(data);
    const channel = message[0] ?? 0;
    const upstream = upstreams.get(channel);
    if (upstream !== undefined) write(socket, upstream, message.subarray(1));
    else early.set(channel, [...(early.get(channel) ?? []), message.subarray(1)]);
  });
  let open = ports.length;
  await Promise.all(
    ports.map(async (port, index) => {
      const channel = index * 2;
      const word = Buffer.alloc(2);
      word.writeUInt16LE(port);
      await send(socket, channel, word);
      await send(socket, channel + 1, word);
      try {
        const upstream = await nodeStreams.portForward(pod, port);
        upstreams.set(channel, upstream);
        for (const bytes of early.get(channel) ?? []) upstream.write(bytes);
        void closed.then(() => upstream.destroy());
        for await (const chunk of upstream) await sendAll(socket, channel, chunk as Buffer);
      } catch (cause) {
        const { name, namespace = "" } = pod.metadata;
        const why = `error forwarding port ${port} to pod ${namespace}/${name}: ${errorText(cause)}`;
        await send(socket, channel + 1, Buffer.from(why));
      }
      open -= 1;
      if (open === 0) socket.close(1000);
    }),
  );
  await closed;
}

const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);

/** The client waits while the program in the pod does not read. */
function write(socket: WebSocket, upstream: Duplex, bytes: Buffer): void {
  if (upstream.destroyed || upstream.writableEnded || upstream.write(bytes) || socket.isPaused) return;
  socket.pause();
  const goOn = () => {
    upstream.off("drain", goOn).off("close", goOn);
    socket.resume();
  };
  upstream.on("drain", goOn).on("close", goOn);
}

async function sendAll(socket: WebSocket, channel: number, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += messageBytesMax) {
    if (socket.readyState !== socket.OPEN) return;
    await send(socket, channel, bytes.subarray(at, at + messageBytesMax));
  }
}

const send = (socket: WebSocket, channel: number, body: Buffer): Promise<void> =>
  new Promise((resolve) => {
    // An error here means that the client is gone, which the socket's own events tell.
    socket.send(Buffer.concat([Buffer.of(channel), body]), { binary: true }, () => resolve());
  });
