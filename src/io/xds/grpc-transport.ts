/** Delta streams over gRPC: one channel per stream, so that a cut is seen at once and addresses are resolved anew. */
import grpc from "@grpc/grpc-js";
import { deltaMethodPath } from "./discovery.ts";
import type { AcceptStream, OpenStream } from "./transport.ts";

/** A server that sends less than this in one message is understood. */
const receiveBytesMax = 64 << 20;
/** The owner of the stream waits between attempts; the channel must not add a second wait of its own. */
const reconnectMsMin = 100;

export const openGrpcStream: OpenStream = ({ target, credentials, metadata, channelOptions }, events) => {
  const client = new grpc.Client(target, credentials(), {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.max_receive_message_length": receiveBytesMax,
    "grpc.initial_reconnect_backoff_ms": reconnectMsMin,
    "grpc.use_local_subchannel_pool": 1,
    ...channelOptions,
  });
  const stream = client.makeBidiStreamRequest(deltaMethodPath, toBuffer, (bytes): Uint8Array => bytes, metadata);
  let isEnded = false;
  const finish = (cause: string) => {
    if (isEnded) return;
    isEnded = true;
    client.close();
    events.ended(cause);
  };
  stream.on("data", (message: Uint8Array) => {
    if (!isEnded) events.received(message);
  });
  stream.on("error", (cause: Error) => finish(cause.message));
  stream.on("end", () => finish("The server ended the stream."));
  return { send: (message) => void stream.write(message), cancel: () => stream.cancel() };
};

type Call = grpc.ServerDuplexStream<Uint8Array, Uint8Array>;

/** Adds the discovery service to a gRPC server that may serve other things too. */
export function addStreamService(server: grpc.Server, accept: AcceptStream): void {
  const definition = {
    deltaAggregatedResources: {
      path: deltaMethodPath,
      requestStream: true,
      responseStream: true,
      requestSerialize: toBuffer,
      requestDeserialize: (bytes: Buffer): Uint8Array => bytes,
      responseSerialize: toBuffer,
      responseDeserialize: (bytes: Buffer): Uint8Array => bytes,
    },
  } as const;
  server.addService(definition, { deltaAggregatedResources: (call: Call) => serve(call, accept) });
}

function serve(call: Call, accept: AcceptStream): void {
  const { received, closed } = accept({
    address: call.getPeer(),
    metadata: call.metadata,
    certificate: call.getAuthContext().sslPeerCertificate?.raw,
    send: (message) => void call.write(message),
    end: (code, details) => void call.emit("error", { code, details }),
  });
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    closed();
  };
  call.on("data", (message: Uint8Array) => {
    if (!isClosed) received(message);
  });
  call.on("end", () => {
    close();
    call.end();
  });
  call.on("cancelled", close);
  call.on("error", close);
  call.on("close", close);
}

const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
