/**
 * One HTTP exchange with an API server: connections, credentials, time limits and the sentences for what goes wrong.
 * Owns the keep-alive agents; watches have their own, so that they never keep a request waiting for a connection.
 */
import * as http from "node:http";
import * as https from "node:https";
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";
import { KubeError } from "./client.ts";
import type { Credential, KubeEndpoint } from "./endpoint.ts";

export interface Exchange {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query, without the server's own path. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  /** Until the headers came for a stream, until the end of the body otherwise. */
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

const maxSockets = 64;
const maxWatchSockets = 256;
const maxBodyBytes = 128 * 1024 * 1024;
const keepAliveMs = 15_000;

type Agent = http.Agent | https.Agent;

export class Transport {
  private readonly host: Host;
  private readonly endpoint: KubeEndpoint;
  private readonly base: URL;
  private agents: { requests: Agent; streams: Agent; certificate: string | undefined } | undefined;

  constructor(host: Host, endpoint: KubeEndpoint) {
    this.host = host;
    this.endpoint = endpoint;
    this.base = new URL(endpoint.server);
  }

  close(): void {
    this.agents?.requests.destroy();
    this.agents?.streams.destroy();
    this.agents = undefined;
  }

  /** Sends and reads the whole answer, whatever its status. */
  async exchange(request: Exchange): Promise<Answer> {
    const timer = this.deadline(request);
    try {
      const response = await this.send(request, timer.signal, false);
      const text = await this.readAll(response);
      const retryAfter = Number(response.headers["retry-after"]);
      return {
        status: response.statusCode ?? 0,
        text,
        retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined,
      };
    } catch (error) {
      throw this.explained(error, request, timer.signal);
    } finally {
      timer.stop();
    }
  }

  /** Resolves with the response once its headers came; the caller reads or destroys the body. */
  async stream(request: Exchange): Promise<http.IncomingMessage> {
    const timer = this.deadline(request);
    try {
      return await this.send(request, timer.signal, true);
    } catch (error) {
      throw this.explained(error, request, timer.signal);
    } finally {
      timer.stop();
    }
  }

  /** Why a started stream broke, as an error for the caller. */
  explained(error: unknown, request: Exchange, inner?: AbortSignal): Error {
    if (request.signal?.aborted === true) return request.signal.reason as Error;
    if (error instanceof KubeError) return error;
    if (inner?.aborted === true) {
      const waited = `${request.method} ${request.path} was not answered within ${request.timeoutMs} ms`;
      return new KubeError(0, "Timeout", `The Kubernetes API server ${this.endpoint.server} is slow: ${waited}.`);
    }
    return unreachable(this.endpoint, error);
  }

  private deadline(request: Exchange): { signal: AbortSignal; stop: () => void } {
    const controller = new AbortController();
    const cancel = this.host.clock.after(request.timeoutMs, () => controller.abort(new Error("time is up")));
    return { signal: controller.signal, stop: cancel };
  }

  private async send(request: Exchange, deadline: AbortSignal, isStream: boolean): Promise<http.IncomingMessage> {
    const credential = await this.endpoint.credentials.current(request.signal);
    const agents = this.agentsFor(credential);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const module = this.base.protocol === "http:" ? http : https;
    const options: https.RequestOptions = {
      agent: isStream ? agents.streams : agents.requests,
      method: request.method,
      hostname: this.base.hostname.replace(/^\[|\]$/g, ""),
      port: this.base.port === "" ? undefined : this.base.port,
      path: this.base.pathname.replace(/\/$/, "") + request.path,
      headers: this.headers(request, credential, body),
    };
    if (request.signal?.aborted === true) throw request.signal.reason;
    return new Promise((resolve, reject) => {
      const outgoing = module.request(options, (response) => resolve(response));
      const stop = () => outgoing.destroy(new Error("stopped"));
      // Until the connection is gone, so that aborting also ends a body that is being read.
      request.signal?.addEventListener("abort", stop, { once: true });
      deadline.addEventListener("abort", stop, { once: true });
      outgoing.on("close", () => {
        request.signal?.removeEventListener("abort", stop);
        deadline.removeEventListener("abort", stop);
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  private headers(request: Exchange, credential: Credential, body: string | undefined): http.OutgoingHttpHeaders {
    const { token, basic } = credential;
    const { impersonate } = this.endpoint;
    const basicText = basic && Buffer.from(`${basic.username}:${basic.password}`).toString("base64");
    return {
      accept: request.accept ?? "application/json",
      "user-agent": "tombolo",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(basicText !== undefined && { authorization: `Basic ${basicText}` }),
      ...(impersonate && { "impersonate-user": impersonate.user, "impersonate-group": [...impersonate.groups] }),
      ...(body !== undefined && {
        "content-type": request.contentType ?? "application/json",
        "content-length": Buffer.byteLength(body),
      }),
    };
  }

  /** Agents for this client certificate; a renewed certificate gets new connections. */
  private agentsFor(credential: Credential): { requests: Agent; streams: Agent } {
    if (this.agents !== undefined && this.agents.certificate === credential.certificate) return this.agents;
    // Streams on the old agents live on until they end; idle connections are let go.
    this.agents?.requests.destroy();
    const make = (sockets: number): Agent => {
      const common = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxSockets: sockets, maxFreeSockets: 8 };
      if (this.base.protocol === "http:") return new http.Agent(common);
      return new https.Agent({
        ...common,
        rejectUnauthorized: this.endpoint.isVerified,
        ...(this.endpoint.certificateAuthority !== undefined && { ca: this.endpoint.certificateAuthority }),
        ...(this.endpoint.serverName !== undefined && { servername: this.endpoint.serverName }),
        ...(credential.certificate !== undefined && { cert: credential.certificate, key: credential.key }),
      });
    };
    this.agents = {
      requests: make(maxSockets),
      streams: make(maxWatchSockets),
      certificate: credential.certificate,
    };
    return this.agents;
  }

  private async readAll(response: http.IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response) {
      // Without an encoding set, a response yields buffers.
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > maxBodyBytes) {
        response.destroy();
        const limit = `an answer of more than ${maxBodyBytes} bytes`;
        throw new KubeError(0, "TooLarge", `The Kubernetes API server ${this.endpoint.server} sent ${limit}.`);
      }
      chunks.push(bytes);
    }
    return Buffer.concat(chunks).toString("utf8");
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** True when the connection broke, so that the same read may be asked again. */
export const isReset = (error: unknown): boolean =>
  error instanceof KubeError && error.code === 0 && error.reason === "ConnectionReset";

const wayOut = (code: string, endpoint: KubeEndpoint): string => {
  switch (code) {
    case "ECONNREFUSED":
      return "nothing listens there; is the cluster running?";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name does not resolve; check `server` in the kubeconfig.";
    case "CERT_SIGNATURE_FAILURE":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "its certificate is not signed by the certificate authority of the kubeconfig.";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "its certificate is for another name; set `tls-server-name` in the kubeconfig or correct `server`.";
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `no route or no answer; check the network between here and ${endpoint.server}.`;
    default:
      return "";
  }
};

function unreachable(endpoint: KubeEndpoint, error: unknown): KubeError {
  const code = codeOf(error);
  const cause = errorText(error);
  const isBroken = code === "ECONNRESET" || code === "EPIPE" || code === "ERR_STREAM_PREMATURE_CLOSE";
  const what = isBroken ? "closed the connection" : "cannot be reached";
  const hint = wayOut(code, endpoint);
  const where = `The Kubernetes API server ${endpoint.server} (context ${endpoint.context})`;
  return new KubeError(
    0,
    isBroken ? "ConnectionReset" : "Unreachable",
    `${where} ${what}: ${hint === "" ? `${cause}.` : `${hint} (${cause})`}`,
  );
}
