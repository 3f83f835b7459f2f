/**
 * The TLS listener of the control plane, in front of its gRPC server: its certificate is replaced while it runs, and
 * client certificates are asked for but not demanded, since agents come with tokens and peers with certificates.
 */
import * as tls from "node:tls";
import type { AddressInfo, Socket } from "node:net";
import grpc from "@grpc/grpc-js";

export interface ServingCertificate {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
  /** Roots against which client certificates are checked. */
  readonly rootPem: string;
}

/** Connections at once; the next is refused until one ends. */
const maxConnections = 20_000;
const handshakeMs = 10_000;
const keepAliveMs = 15_000;

export class TlsDoor {
  private readonly listener: tls.Server;
  private readonly sockets = new Set<Socket>();

  constructor(server: grpc.Server, certificate: ServingCertificate) {
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    this.listener = tls.createServer({
      ...contextOf(certificate),
      requestCert: true,
      // A connection whose certificate does not verify counts as one without: `getAuthContext` shows only verified ones.
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      handshakeTimeout: handshakeMs,
    });
    this.listener.maxConnections = maxConnections;
    this.listener.on("secureConnection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.setKeepAlive(true, keepAliveMs);
      injector.injectConnection(socket);
    });
    // A failed handshake concerns the one who tried.
    this.listener.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** Resolves with the port. */
  listen(port: number, address?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.listener.once("error", reject);
      this.listener.listen({ port, ...(address !== undefined && { host: address }) }, () => {
        this.listener.off("error", reject);
        // A TCP listener has an address object.
        resolve((this.listener.address() as AddressInfo).port);
      });
    });
  }

  /** For connections from now on. */
  replace(certificate: ServingCertificate): void {
    this.listener.setSecureContext(contextOf(certificate));
  }

  get connectionCount(): number {
    return this.sockets.size;
  }

  /** No new connections; open ones live on. */
  stopAccepting(): void {
    this.listener.close();
  }

  close(): void {
    this.listener.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

const contextOf = ({ chainPem, keyPem, rootPem }: ServingCertificate): tls.SecureContextOptions => ({
  cert: chainPem,
  key: keyPem,
  ca: rootPem,
  minVersion: "TLSv1.2",
});
