/** Writes answers: objects, Status errors, warnings; large ones compressed (A3-A5). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { stringify } from "yaml";
import { errorText } from "../../../core/api/error-text.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Fields } from "../api/json.ts";
import { isFields } from "../api/json.ts";
import type { Form } from "./negotiate.ts";

const compress = promisify(gzip);
const compressedFromBytes = 128 * 1024;

export function statusOf(error: unknown): { readonly code: number; readonly body: Fields } {
  const known =
    error instanceof KubeError
      ? error
      : new KubeError(500, "InternalError", `Internal error occurred: ${errorText(error)}`);
  const { code, reason, message } = known;
  const details = isFields(known.details) ? { details: known.details } : {};
  return {
    code,
    body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, ...details, code },
  };
}

export async function sendError(request: IncomingMessage, response: ServerResponse, error: unknown): Promise<void> {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, body } = statusOf(error);
  const retry = isFields(body["details"]) ? body["details"]["retryAfterSeconds"] : undefined;
  if (typeof retry === "number") response.setHeader("Retry-After", String(retry));
  await sendObject(request, response, { code, body, form: { encoding: "json" } });
}

export async function sendObject(
  request: IncomingMessage,
  response: ServerResponse,
  { code, body, form }: { code: number; body: unknown; form: Form },
): Promise<void> {
  const isYaml = form.encoding === "yaml";
  // The 1.1 rules of Go's readers take a bare time or a bare `y` for something else than text.
  const text = isYaml ? stringify(body, { version: "1.1" }) : `${JSON.stringify(body)}\n`;
  await sendBytes(request, response, {
    code,
    bytes: Buffer.from(text),
    type: isYaml ? "application/yaml" : "application/json",
  });
}

export async function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  { code, bytes, type }: { code: number; bytes: Buffer; type: string },
): Promise<void> {
  response.setHeader("Content-Type", type);
  response.setHeader("Cache-Control", "no-cache, private");
  const isLarge = bytes.length >= compressedFromBytes;
  const isCompressed = isLarge && /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  // The fastest level: these bytes travel a few metres at most.
  const sent = isCompressed ? await compress(bytes, { level: 1 }) : bytes;
  if (isCompressed) response.setHeader("Content-Encoding", "gzip");
  if (isLarge) response.setHeader("Vary", "Accept-Encoding");
  response.setHeader("Content-Length", sent.length);
  response.writeHead(code);
  response.end(request.method === "HEAD" ? undefined : sent);
}

/** `Warning: 299 - "…"`. */
export function addWarning(response: ServerResponse, text: string): void {
  const quoted = text.replace(/[\\"]/g, "\\$&").replace(/[^\x20-\x7e]/g, "?");
  response.appendHeader("Warning", `299 - "${quoted}"`);
}
