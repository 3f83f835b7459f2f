/** An httpbin for the sandbox: the guides' manifests name two public ones, this program stands in for both. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { errorText } from "../../../core/api/error-text.ts";
import { systemHost } from "../../../io/host/host.ts";
import { readSettings } from "./flags.ts";
import { type Answer, notFound, routes } from "./routes.ts";

const host = systemHost("info");
const settings = readSettings(process.argv.slice(2), process.env);
/** Open requests may finish for so long after SIGTERM, as the Go server's do. */
const graceMs = 10_000;
/** After SIGTERM connections still come for a moment, from callers that have not heard of it; they are served too. */
const lateMs = 1_000;
let isStopping = false;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    // A stream without encoding yields buffers.
    const piece = chunk as Buffer;
    size += piece.length;
    if (size <= settings.maxBodyBytes) chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Error("the client left")));
  const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "localhost"}`);
  const [name = "", ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
  const route = routes[name];
  const wait = (ms: number) => host.clock.sleep(ms, gone.signal);
  const found = route === undefined ? notFound(url.pathname) : await route({ request, url, rest, body: await bodyOf(request), settings, wait });
  await send(request, response, found);
}

async function send(request: IncomingMessage, response: ServerResponse, found: Answer): Promise<void> {
  response.writeHead(found.status, {
    "access-control-allow-credentials": "true",
    "access-control-allow-origin": "*",
    ...(isStopping ? { connection: "close" } : {}),
    ...(found.body === undefined ? { "content-length": "0" } : {}),
    ...found.headers,
  });
  if (found.body === undefined || request.method === "HEAD") return void response.end();
  if (typeof found.body === "string" || Buffer.isBuffer(found.body)) return void response.end(found.body);
  await pipeline(Readable.from(found.body), response);
}

const server = createServer((request, response) => {
  const startedAt = host.clock.now();
  response.once("finish", () =>
    host.log.info("request", { method: request.method ?? "", path: request.url ?? "", status: response.statusCode, ms: host.clock.now() - startedAt }),
  );
  answer(request, response).catch((error: unknown) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(400, { "content-type": "text/plain" }).end(`${errorText(error)}\n`);
  });
});
server.keepAliveTimeout = 75_000;
server.listen(settings.port, settings.host, () => host.log.info("listening", { host: settings.host, port: settings.port }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    isStopping = true;
    host.clock.after(lateMs, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
    });
    host.clock.after(graceMs, () => process.exit(0));
  });
}
