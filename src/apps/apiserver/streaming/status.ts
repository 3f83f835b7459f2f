/** How a command ended, as the `Status` that goes over the error channel (S2), and refusals before a stream begins. */
import type { Duplex } from "node:stream";
import { errorText } from "../../../core/api/error-text.ts";
import { KubeError } from "../../../io/kube/client.ts";

export const exitStatus = (code: number): string => {
  if (code === 0) return JSON.stringify({ metadata: {}, status: "Success" });
  return JSON.stringify({
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(code) }] },
  });
};

export const brokenStatus = (error: unknown): string => {
  const message = errorText(error);
  return JSON.stringify({ metadata: {}, status: "Failure", message, reason: "InternalError", code: 500 });
};

const statusBody = (error: unknown): { readonly code: number; readonly body: string } => {
  const known = error instanceof KubeError ? error : new KubeError(500, "InternalError", errorText(error));
  const body = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: known.message,
    reason: known.reason,
    ...(known.details === undefined ? {} : { details: known.details }),
    code: known.code,
  };
  return { code: known.code, body: `${JSON.stringify(body)}\n` };
};

/** Answers an upgrade request with an error instead of a 101, so that kubectl can print the reason. */
export const refuseUpgrade = (socket: Duplex, error: unknown): void => {
  const { code, body } = statusBody(error);
  const head = [
    `HTTP/1.1 ${code} ${code === 404 ? "Not Found" : "Refused"}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.on("error", () => undefined);
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
};
