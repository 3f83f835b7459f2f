/** The control plane's port as its servers see it, and the real one: gRPC with TLS, with the CA's service beside streams. */
import grpc from "@grpc/grpc-js";
import { bracketed } from "../../../core/api/ip.ts";
import { addStreamService } from "../../../io/xds/grpc-transport.ts";
import type { AcceptStream } from "../../../io/xds/transport.ts";

export interface StreamPort {
  /** Resolves with the number of the port. */
  listen(accept: AcceptStream): Promise<number>;
  /** No new connections; streams live on. */
  unbind(): void;
  /** Ends what is left. */
  close(): void;
}

export interface GrpcPortOptions {
  readonly address: string;
  readonly port: number;
  readonly credentials: grpc.ServerCredentials;
  /** Services beside the streams. */
  readonly addServices: (server: grpc.Server) => void;
}

const keepalive: grpc.ServerOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  // Agents send keepalives of their own while nothing changes.
  "grpc.http2.min_ping_interval_without_data_ms": 1_000,
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  "grpc.max_concurrent_streams": 1_000,
};

export class GrpcPort implements StreamPort {
  private readonly options: GrpcPortOptions;
  private readonly server = new grpc.Server(keepalive);
  private bound: string | undefined;

  constructor(options: GrpcPortOptions) {
    this.options = options;
  }

  async listen(accept: AcceptStream): Promise<number> {
    const { address, port, addServices } = this.options;
    addStreamService(this.server, accept);
    addServices(this.server);
    try {
      return await this.bind(address, port);
    } catch (error) {
      // A machine without IPv6 has no address that stands for both families.
      if (address !== "::") throw error;
      return this.bind("0.0.0.0", port);
    }
  }

  unbind(): void {
    if (this.bound !== undefined) this.server.unbind(this.bound);
    this.bound = undefined;
  }

  close(): void {
    this.server.forceShutdown();
  }

  private bind(address: string, port: number): Promise<number> {
    const host = bracketed(address);
    return new Promise((resolve, reject) => {
      this.server.bindAsync(`${host}:${port}`, this.options.credentials, (error, bound) => {
        if (error !== null) return reject(error);
        this.bound = `${host}:${bound}`;
        resolve(bound);
      });
    });
  }
}
