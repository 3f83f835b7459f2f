/** The HTTPS listeners of one API server (A1, A2). Owns the sockets; what they say is the handler's. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:https";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

export interface ListenAddress {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface Listening {
  readonly addresses: readonly ListenAddress[];
  close(): Promise<void>;
}

export interface Answering {
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
}

/** Longer than clients keep idle connections, so that it is they who close first. */
const keepAliveMs = 180_000;

export async function listen(
  addresses: readonly ListenAddress[],
  tls: { readonly cert: string; readonly key: string },
  answering: Answering,
): Promise<Listening> {
  const servers: Server[] = [];
  const close = async () => {
    await Promise.all(servers.map(closeServer));
  };
  const opened: ListenAddress[] = [];
  try {
    for (const address of addresses) {
      const server = createServer({ cert: tls.cert, key: tls.key, ALPNProtocols: ["http/1.1"] });
      server.keepAliveTimeout = keepAliveMs;
      server.requestTimeout = 0;
      server.timeout = 0;
      server.on("request", (request, response) => void answering.answer(request, response));
      server.on("upgrade", (request, socket, head) => void answering.upgrade(request, socket, head));
      servers.push(server);
      opened.push(await open(server, address));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: opened, close };
}

function open(server: Server, { address, port }: ListenAddress): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new Error(`The API server cannot listen on ${address}:${port}: ${cause.message}.`, { cause })),
    );
    server.listen(port, address, () => {
      // A server that listens on TCP has an address of this form.
      const bound = server.address() as AddressInfo;
      server.removeAllListeners("error");
      server.on("error", () => undefined);
      resolve({ address, port: bound.port });
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
