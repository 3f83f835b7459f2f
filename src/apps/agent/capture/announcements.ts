/**
 * The node's kubelet, or its CNI plugin, tells of a pod before its first container starts and waits for the answer, so
 * that a pod of the mesh never runs uncaptured. HTTP over a unix socket; keeps what it was told while the pod lives.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { errorText } from "../../../core/api/error-text.ts";

/** Body of `POST /pods`. */
export interface Announcement {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly netns: string;
  readonly ip: string;
}

export interface AnnouncementHandlers {
  /** True: captured. False: not a pod of the mesh. Rejects when it should be and is not. */
  added(pod: Announcement, signal: AbortSignal): Promise<boolean>;
  removed(uid: string): void;
}

const bodyBytesMax = 256 * 1024;

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    // A stream without encoding yields buffers.
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > bodyBytesMax) throw new Error(`the body is larger than ${bodyBytesMax} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The announcement in a body, or a sentence that says what is missing. */
export function readAnnouncement(body: string): Announcement | string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return "The body is not JSON.";
  }
  if (typeof value !== "object" || value === null) return "The body is not a JSON object.";
  const fields = new Map<string, unknown>(Object.entries(value));
  const read = (name: string): string => {
    const field = fields.get(name);
    return typeof field === "string" ? field : "";
  };
  const found = {
    uid: read("uid"),
    namespace: read("namespace"),
    name: read("name"),
    netns: read("netns"),
    ip: read("ip"),
  };
  const missing = Object.entries(found).flatMap(([name, text]) => (text === "" ? [name] : []));
  return missing.length === 0 ? found : `Missing in the announcement: ${missing.join(", ")}.`;
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: AnnouncementHandlers,
): Promise<void> {
  const path = request.url ?? "";
  if (request.method === "POST" && path === "/pods") {
    const announcement = readAnnouncement(await bodyOf(request));
    if (typeof announcement === "string") return answer(response, 400, { message: announcement });
    const gone = new AbortController();
    response.once("close", () => gone.abort(new Error("the caller no longer waits")));
    return answer(response, 200, { captured: await handlers.added(announcement, gone.signal) });
  }
  const uid = /^\/pods\/([^/]+)$/.exec(path)?.[1];
  if (request.method === "DELETE" && uid !== undefined) {
    handlers.removed(uid);
    return answer(response, 200, {});
  }
  return answer(response, 404, {
    message: `There is no ${request.method} ${path}; see POST /pods and DELETE /pods/<uid>.`,
  });
}

/** Listens on `path`, which is readable by root only. */
export function serveAnnouncements(path: string, handlers: AnnouncementHandlers): Promise<Server> {
  const server = createServer((request, response) => {
    handle(request, response, handlers).catch((error: unknown) => {
      const message = errorText(error);
      if (!response.headersSent) answer(response, 500, { message });
    });
  });
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}
