/** Reads request bodies: JSON, YAML and protobuf, up to the limit (A2, A28). */
import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { errorText } from "../../../core/api/error-text.ts";
import { badRequest, tooLarge, unsupportedMediaType } from "../api/errors.ts";
import { decodeBody } from "../protobuf/decode.ts";
import { duplicateKeys } from "./duplicate-keys.ts";

const bodyBytesMax = 3 * 1024 * 1024;

export function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    // What is too long is read to its end and forgotten: a connection that is cut would take the answer with it.
    request.on("data", (part: Buffer) => {
      length += part.length;
      if (length <= bodyBytesMax) parts.push(part);
      else parts.length = 0;
    });
    request.on("error", reject);
    request.on("end", () => (length > bodyBytesMax ? reject(tooLarge(bodyBytesMax)) : resolve(Buffer.concat(parts))));
    request.on("close", () => reject(new Error("the client went away before its request was complete")));
  });
}

export const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim().toLowerCase() ?? "";

export interface Body {
  /** Undefined when there was none. */
  readonly value: unknown;
  /** For strict and warning field validation. */
  readonly problems: readonly string[];
}

export function parseBody(bytes: Buffer, mediaType: string): Body {
  if (bytes.length === 0) return { value: undefined, problems: [] };
  switch (mediaType) {
    case "application/vnd.kubernetes.protobuf":
      return { value: decodeBody(bytes), problems: [] };
    case "application/json":
    case "application/json-patch+json":
    case "application/merge-patch+json":
    case "application/strategic-merge-patch+json":
      return parseJson(bytes.toString("utf8"));
    case "application/yaml":
    case "application/x-yaml":
    case "text/yaml":
    case "application/apply-patch+yaml":
      return parseYaml(bytes.toString("utf8"));
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, ` +
          `application/yaml, application/vnd.kubernetes.protobuf`,
      );
  }
}

/** Deeper than any object of the API; what is deeper would only cost the stack of whoever walks it. */
const depthMax = 1_000;

function refuseDepth(text: string): void {
  let depth = 0;
  let isInside = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInside) {
      if (code === backslash) at += 1;
      else if (code === quote) isInside = false;
    } else if (code === quote) isInside = true;
    else if (code === openBrace || code === openBracket) {
      depth += 1;
      if (depth > depthMax) throw badRequest(`the body of the request is nested deeper than ${depthMax} levels`);
    } else if (code === closeBrace || code === closeBracket) depth -= 1;
  }
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [34, 92, 123, 125, 91, 93] as const;

function parseJson(text: string): Body {
  refuseDepth(text);
  try {
    const value: unknown = JSON.parse(text);
    return { value, problems: duplicateKeys(text).map((path) => `duplicate field ${JSON.stringify(path)}`) };
  } catch (cause) {
    throw badRequest(`error decoding the body as JSON: ${errorText(cause)}`);
  }
}

function parseYaml(text: string): Body {
  // kubectl sends its YAML patches as JSON, which parses a hundred times faster as what it is.
  if (text.startsWith("{")) return parseJson(text);
  refuseDepth(text);
  try {
    return { value: parse(text) as unknown, problems: [] };
  } catch (cause) {
    throw badRequest(`error decoding the body as YAML: ${errorText(cause)}`);
  }
}
