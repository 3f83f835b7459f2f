/**
 * Asks the CA for workload certificates: makes a key and a request here, so that the key never travels, and checks what
 * comes back before anyone uses it.
 */
import { X509Certificate, createPrivateKey, createPublicKey } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { IstioCertificateRequestSchema, type IstioCertificateResponse } from "../../core/proto/gen/ca_pb.js";
import type { Host } from "../host/host.ts";
import { isoSeconds } from "../host/iso-time.ts";
import { createCertificateMethod, impersonatedIdentityKey } from "./ca-service.ts";
import { lifetimeMsDefault } from "./ca.ts";
import type { WorkloadCertificate } from "./certificate.ts";
import { makeKeyAndCsr } from "./csr.ts";
import { clientChannelOptions } from "./tls-credentials.ts";
import { loadX509, splitPem, spiffeIdsOf } from "./x509.ts";

/** The CA answers in milliseconds; what takes longer is tried again. */
const callMsMax = 10_000;

export interface CaClientOptions {
  /** `host:port` of the CA. */
  readonly target: string;
  readonly credentials: grpc.ChannelCredentials;
  readonly channelOptions?: Readonly<Record<string, string | number>>;
  /** The service-account token, read anew for each call because it is rotated. */
  token(): string | Promise<string>;
  /** Headers beside the token. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly lifetimeMs?: number;
}

export class CaClient {
  readonly #host: Host;
  readonly #options: CaClientOptions;
  readonly #client: grpc.Client;

  constructor(host: Host, options: CaClientOptions) {
    this.#host = host;
    this.#options = options;
    this.#client = new grpc.Client(options.target, options.credentials, {
      ...clientChannelOptions,
      ...options.channelOptions,
    });
  }

  /** A certificate for the identity; throws with the CA's sentence when it refuses. */
  async request(identity: string, signal: AbortSignal): Promise<WorkloadCertificate> {
    signal.throwIfAborted();
    const { keyPem, csrPem } = await makeKeyAndCsr(identity);
    const response = await this.#call(identity, csrPem, signal);
    const certificate = await readResponse(identity, keyPem, response.certChain);
    const problem = clockProblem(certificate, this.#host.clock.now());
    if (problem !== undefined) throw new Error(problem);
    return certificate;
  }

  close(): void {
    this.#client.close();
  }

  async #call(identity: string, csr: string, signal: AbortSignal): Promise<IstioCertificateResponse> {
    const message = create(IstioCertificateRequestSchema, {
      csr,
      validityDuration: BigInt(Math.floor((this.#options.lifetimeMs ?? lifetimeMsDefault) / 1000)),
      metadata: { [impersonatedIdentityKey]: identity },
    });
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${await this.#options.token()}`);
    for (const [name, value] of Object.entries(this.#options.headers ?? {})) metadata.set(name, value);
    const { path, requestSerialize, responseDeserialize } = createCertificateMethod;
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        metadata,
        { deadline: this.#host.clock.now() + callMsMax },
        (error, value) => {
          signal.removeEventListener("abort", cancel);
          if (error)
            return reject(new Error(`The CA at ${this.#options.target} refused ${identity}: ${error.details}`));
          if (!value) return reject(new Error(`The CA at ${this.#options.target} answered nothing for ${identity}.`));
          resolve(value);
        },
      );
      const cancel = () => call.cancel();
      signal.addEventListener("abort", cancel, { once: true });
    });
  }
}

/** One that counts as over or not begun here would be asked for again and again, or be refused by every peer. */
function clockProblem({ identity, notBeforeMs, notAfterMs }: WorkloadCertificate, nowMs: number): string | undefined {
  if (notBeforeMs <= nowMs && nowMs < notAfterMs) return undefined;
  return (
    `The CA answered with a certificate for ${identity} that is valid from ${isoSeconds(notBeforeMs)} to ` +
    `${isoSeconds(notAfterMs)}, but here it is ${isoSeconds(nowMs)}; set the clocks of this node and of the ` +
    `control plane's node right.`
  );
}

/** Leaf first and roots last, as the CA sends them; checked against the key and the identity that were asked for. */
async function readResponse(
  identity: string,
  keyPem: string,
  certChain: readonly string[],
): Promise<WorkloadCertificate> {
  const [leafPem] = splitPem(certChain[0] ?? "");
  const rootPem = certChain.length > 1 ? (certChain.at(-1) ?? "") : "";
  if (leafPem === undefined || rootPem === "") throw new Error(`The CA answered without a chain for ${identity}.`);
  const leaf = new X509Certificate(leafPem);
  const ids = spiffeIdsOf(leaf);
  if (ids.length !== 1 || ids[0] !== identity) {
    throw new Error(
      `The CA answered with a certificate for ${ids.join(", ") || "no identity"} instead of ${identity}.`,
    );
  }
  if (!leaf.publicKey.equals(createPublicKey(createPrivateKey(keyPem)))) {
    throw new Error(`The CA answered with a certificate for another key than the one of ${identity}.`);
  }
  const x509 = await loadX509();
  const { notBefore, notAfter } = new x509.X509Certificate(leafPem);
  return {
    identity,
    chainPem: certChain.slice(0, -1).flatMap(splitPem).join(""),
    keyPem,
    rootPem: splitPem(rootPem).join(""),
    notBeforeMs: notBefore.getTime(),
    notAfterMs: notAfter.getTime(),
  };
}
