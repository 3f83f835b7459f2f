/**
 * The gRPC face of the CA: IstioCertificateService/CreateCertificate. Who calls is decided by the injected
 * authentication, and a node agent may ask only for identities of pods that run on its own node.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { errorText } from "../../core/api/error-text.ts";
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
  type IstioCertificateRequest,
  type IstioCertificateResponse,
} from "../../core/proto/gen/ca_pb.js";
import type { Host } from "../host/host.ts";
import type { CertificateAuthority } from "./ca.ts";
import { parseIdentity } from "./x509.ts";

const createCertificatePath = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
/** Key in the request's metadata under which a node agent names the identity it wants. */
export const impersonatedIdentityKey = "ImpersonatedIdentity";

/** Requests being signed at once; the next is refused and comes back after the client's backoff. */
const signingMax = 64;

/** Who presented the token or certificate. */
export interface Caller {
  /** The caller's own identity. */
  readonly identity: string;
  /** Node on which it runs, when its token says so. */
  readonly node?: string;
}

export interface CaServiceOptions {
  /** Undefined while there is no usable CA; `problem` then says why. */
  authority(): CertificateAuthority | { readonly problem: string };
  /** Throws when the caller cannot be known; the message goes to the caller. */
  authenticate(metadata: grpc.Metadata): Promise<Caller>;
  mayImpersonate(caller: Caller, identity: string): boolean | Promise<boolean>;
}

type Call = grpc.ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;
type Reply = grpc.sendUnaryData<IstioCertificateResponse>;

/** How both sides turn messages into bytes. */
export const createCertificateMethod = {
  path: createCertificatePath,
  requestStream: false,
  responseStream: false,
  requestSerialize: (message: IstioCertificateRequest) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
  requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
  responseSerialize: (message: IstioCertificateResponse) =>
    Buffer.from(toBinary(IstioCertificateResponseSchema, message)),
  responseDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
} as const;

class Refused extends Error {
  readonly code: grpc.status;
  constructor(code: grpc.status, message: string) {
    super(message);
    this.code = code;
  }
}

/** Adds the service to a server that may serve other things too. */
export function addCaService(server: grpc.Server, host: Host, options: CaServiceOptions): void {
  let signing = 0;
  server.addService(
    { createCertificate: createCertificateMethod },
    {
      createCertificate: (call: Call, reply: Reply) => {
        if (signing >= signingMax) {
          return reply({ code: grpc.status.RESOURCE_EXHAUSTED, details: "The CA is busy; ask again." });
        }
        signing += 1;
        createCertificate(call, options)
          .then((response) => reply(null, response))
          .catch((error: unknown) => {
            const code = error instanceof Refused ? error.code : grpc.status.INTERNAL;
            const details = error instanceof Refused ? error.message : "The CA failed; its log says why.";
            host.log.warn("ca.refused", { code, cause: errorText(error) });
            reply({ code, details });
          })
          .finally(() => {
            signing -= 1;
          });
      },
    },
  );
}

async function createCertificate(call: Call, options: CaServiceOptions): Promise<IstioCertificateResponse> {
  const caller = await options.authenticate(call.metadata).catch((error: unknown) => {
    throw new Refused(grpc.status.UNAUTHENTICATED, errorText(error));
  });
  const identity = await identityFor(caller, call.request, options);
  const authority = options.authority();
  if ("problem" in authority) throw new Refused(grpc.status.UNAVAILABLE, authority.problem);
  const seconds = Number(call.request.validityDuration);
  const signed = await authority.sign({
    csrPem: call.request.csr,
    identity,
    ...(seconds > 0 && { lifetimeMs: seconds * 1000 }),
  });
  if (!signed.ok) throw new Refused(grpc.status.INVALID_ARGUMENT, signed.problem);
  return create(IstioCertificateResponseSchema, { certChain: [...signed.chainPems, signed.rootPem] });
}

async function identityFor(
  caller: Caller,
  request: IstioCertificateRequest,
  options: CaServiceOptions,
): Promise<string> {
  const wanted = request.metadata?.[impersonatedIdentityKey];
  if (wanted === undefined || wanted === "" || wanted === caller.identity) return caller.identity;
  if (typeof wanted !== "string" || !parseIdentity(wanted)) {
    throw new Refused(grpc.status.INVALID_ARGUMENT, `${impersonatedIdentityKey} is not a SPIFFE identity.`);
  }
  if (await options.mayImpersonate(caller, wanted)) return wanted;
  const where = caller.node === undefined ? "its node" : `node ${caller.node}`;
  throw new Refused(
    grpc.status.PERMISSION_DENIED,
    `${caller.identity} may not impersonate ${wanted}: no pod on ${where} has this identity.`,
  );
}
