/** What httpbin answers. Every route is a function from a request to an answer; bodies are bounded, waits can be cut. */
import { randomBytes, randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { hostname } from "node:os";
import { deflateSync, gzipSync } from "node:zlib";
import type { HttpbinSettings } from "./flags.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly url: URL;
  /** Path segments after the route's name. */
  readonly rest: readonly string[];
  readonly body: Buffer;
  readonly settings: HttpbinSettings;
  /** Ends early when the client leaves. */
  readonly wait: (ms: number) => Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer | AsyncIterable<string | Buffer>;
}

export type Route = (exchange: Exchange) => Answer | Promise<Answer>;

const json = (value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8", ...headers },
  body: `${JSON.stringify(value, null, 2)}\n`,
});

const mistake = (status: number, message: string): Answer => json({ status_code: status, error: message }, status);

function many(entries: Iterable<readonly [string, string]>, flavour: HttpbinSettings["flavour"]): Record<string, unknown> {
  const found = new Map<string, string[]>();
  for (const [key, value] of entries) found.set(key, [...(found.get(key) ?? []), value]);
  return Object.fromEntries(
    [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, values]) => [key, flavour === "python" && values.length === 1 ? values[0] : values]),
  );
}

/** `x-request-id` → `X-Request-Id`, as HTTP/1 servers show names. */
const title = (name: string): string => name.replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());

function* headerPairs(request: IncomingMessage): Generator<readonly [string, string]> {
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    yield [title((request.rawHeaders[at] ?? "").toLowerCase()), request.rawHeaders[at + 1] ?? ""];
  }
}

const origin = (request: IncomingMessage): string =>
  (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");

function common({ request, url, settings }: Exchange): Record<string, unknown> {
  return {
    args: many(url.searchParams, settings.flavour),
    headers: many(headerPairs(request), settings.flavour),
    method: request.method,
    origin: origin(request),
    url: url.href,
  };
}

const isForm = (request: IncomingMessage): boolean =>
  (request.headers["content-type"] ?? "").startsWith("application/x-www-form-urlencoded");

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

const echo: Route = (exchange) => {
  const text = exchange.body.toString("utf8");
  const form = isForm(exchange.request) ? many(new URLSearchParams(text), exchange.settings.flavour) : {};
  return json({ ...common(exchange), data: isForm(exchange.request) ? "" : text, files: {}, form, json: parsed(text) });
};

const bounded = (text: string | undefined, most: number): number | undefined => {
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 && value <= most ? value : undefined;
};

const status: Route = ({ rest }) => {
  const choices = (rest[0] ?? "").split(",").map((choice) => Number(choice.split(":")[0]));
  const code = choices[Math.floor((randomBytes(1)[0] ?? 0) % Math.max(choices.length, 1))];
  if (code === undefined || !Number.isInteger(code) || code < 200 || code > 599) {
    return mistake(400, `invalid status code: "${rest[0] ?? ""}"`);
  }
  return { status: code, headers: { "content-type": "text/plain; charset=utf-8" }, ...(code >= 300 && code < 400 ? { headers: { location: "/redirect/1" } } : {}) };
};

const delay: Route = async (exchange) => {
  const seconds = bounded(exchange.rest[0]?.replace(/s$/, ""), exchange.settings.maxDurationMs / 1000);
  if (seconds === undefined) return mistake(400, `invalid duration: "${exchange.rest[0] ?? ""}"`);
  await exchange.wait(seconds * 1000);
  return echo(exchange);
};

const bytesMax = 100 * 1024 * 1024;
const chunkBytes = 64 * 1024;

async function* chunks(total: number): AsyncGenerator<Buffer> {
  for (let left = total; left > 0; left -= chunkBytes) yield Promise.resolve(randomBytes(Math.min(left, chunkBytes)));
}

const bytes: Route = ({ rest }) => {
  const count = bounded(rest[0], bytesMax);
  if (count === undefined) return mistake(400, `invalid byte count: "${rest[0] ?? ""}"`);
  const headers = { "content-type": "application/octet-stream", "content-length": String(Math.floor(count)) };
  return { status: 200, headers, body: chunks(Math.floor(count)) };
};

const streamed: Route = (exchange) => {
  const count = bounded(exchange.rest[0], 100) ?? 1;
  const lines = async function* () {
    for (let id = 0; id < count; id++) yield Promise.resolve(`${JSON.stringify({ id, ...common(exchange) })}\n`);
  };
  return { status: 200, headers: { "content-type": "application/json" }, body: lines() };
};

const drip: Route = ({ url, settings, wait }) => {
  const count = bounded(url.searchParams.get("numbytes") ?? "10", bytesMax) ?? 10;
  const spanMs = bounded(url.searchParams.get("duration") ?? "2", settings.maxDurationMs / 1000) ?? 2;
  const code = bounded(url.searchParams.get("code") ?? "200", 599) ?? 200;
  const drops = async function* () {
    for (let at = 0; at < count; at++) {
      yield "*";
      await wait((spanMs * 1000) / Math.max(count, 1));
    }
  };
  return { status: code, headers: { "content-type": "application/octet-stream", "content-length": String(count) }, body: drops() };
};

const redirect: Route = ({ rest }) => {
  const left = bounded(rest[0], 100) ?? 1;
  return { status: 302, headers: { location: left > 1 ? `/relative-redirect/${left - 1}` : "/get" } };
};

const basicAuth: Route = ({ request, rest }) => {
  const expected = `Basic ${Buffer.from(`${rest[0]}:${rest[1]}`).toString("base64")}`;
  const isAuthorized = request.headers.authorization === expected;
  return isAuthorized
    ? json({ authorized: true, authenticated: true, user: rest[0] })
    : { ...json({ authorized: false, authenticated: false }, 401), headers: { "www-authenticate": 'Basic realm="Fake Realm"' } };
};

const compressed =
  (encoding: string, compress: (text: string) => Buffer): Route =>
  (exchange) => {
    const text = `${JSON.stringify({ ...common(exchange), [encoding === "gzip" ? "gzipped" : "deflated"]: true }, null, 2)}\n`;
    return { status: 200, headers: { "content-type": "application/json; charset=utf-8", "content-encoding": encoding }, body: compress(text) };
  };

/** By first path segment; several names may share a route. */
export const routes: Readonly<Record<string, Route>> = {
  "": () => ({ status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: "<!doctype html><title>httpbin</title><h1>httpbin</h1>\n" }),
  get: (exchange) => json(common(exchange)),
  post: echo,
  put: echo,
  patch: echo,
  delete: echo,
  anything: echo,
  headers: (exchange) => json({ headers: many(headerPairs(exchange.request), exchange.settings.flavour) }),
  ip: ({ request }) => json({ origin: origin(request) }),
  "user-agent": ({ request }) => json({ "user-agent": request.headers["user-agent"] ?? "" }),
  hostname: ({ settings }) => json({ hostname: settings.useRealHostname ? hostname() : "go-httpbin" }),
  status,
  delay,
  bytes,
  "stream-bytes": bytes,
  range: bytes,
  stream: streamed,
  drip,
  redirect,
  "relative-redirect": redirect,
  "absolute-redirect": redirect,
  "redirect-to": ({ url }) => ({ status: bounded(url.searchParams.get("status_code") ?? "302", 399) ?? 302, headers: { location: url.searchParams.get("url") ?? "/" } }),
  "basic-auth": basicAuth,
  bearer: ({ request }) =>
    request.headers.authorization?.startsWith("Bearer ") === true
      ? json({ authenticated: true, token: request.headers.authorization.slice(7) })
      : { status: 401, headers: { "www-authenticate": "Bearer" } },
  gzip: compressed("gzip", (text) => gzipSync(text)),
  deflate: compressed("deflate", (text) => deflateSync(text)),
  json: () => json({ slideshow: { author: "Yours Truly", title: "Sample Slide Show", slides: [] } }),
  uuid: () => json({ uuid: randomUUID() }),
  base64: ({ rest }) => ({ status: 200, headers: { "content-type": "text/plain" }, body: Buffer.from(rest.at(-1) ?? "", "base64").toString("utf8") }),
  cookies: ({ request }) => json({ cookies: Object.fromEntries((request.headers.cookie ?? "").split("; ").flatMap((pair) => (pair.includes("=") ? [pair.split("=", 2)] : []))) }),
  "response-headers": ({ url }) => json(Object.fromEntries(url.searchParams), 200, Object.fromEntries(url.searchParams)),
  env: () => json({ env: {} }),
};

export const notFound = (path: string): Answer => mistake(404, `there is no ${path} here`);
