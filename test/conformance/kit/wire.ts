/** The API over HTTPS as a client without any library sees it: one exchange, or the lines of a watch. */
import { Agent, request as send } from "node:https";
import type { IncomingMessage } from "node:http";

export interface Endpoint {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly accept?: string;
}

export interface Reply {
  readonly code: number;
  readonly text: string;
  readonly headers: IncomingMessage["headers"];
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

function open(
  endpoint: Endpoint,
  { method = "GET", path, body, type, accept }: Ask,
  own?: Agent,
): Promise<IncomingMessage> {
  const headers = {
    authorization: `Bearer ${endpoint.token}`,
    accept: accept ?? "application/json",
    "user-agent": "conformance/1",
    ...(body === undefined
      ? {}
      : { "content-type": type ?? "application/json", "content-length": Buffer.byteLength(body) }),
  };
  return new Promise((resolve, reject) => {
    const asking = send(
      new URL(path, endpoint.url),
      { method, headers, ca: endpoint.ca, agent: own ?? agent },
      resolve,
    );
    asking.on("error", reject);
    asking.end(body);
  });
}

export async function exchange(endpoint: Endpoint, ask: Ask): Promise<Reply> {
  const answer = await open(endpoint, ask);
  const parts: Buffer[] = [];
  for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
  return { code: answer.statusCode ?? 0, text: Buffer.concat(parts).toString(), headers: answer.headers };
}

export async function json(endpoint: Endpoint, ask: Ask): Promise<{ code: number; body: Record<string, unknown> }> {
  const { code, text } = await exchange(endpoint, ask);
  // Every answer to a request that asks for JSON is an object.
  return { code, body: JSON.parse(text) as Record<string, unknown> };
}

/** A watch of its own connection. `destroy` ends it from this side. */
export function stream(endpoint: Endpoint, path: string): Promise<IncomingMessage> {
  return open(endpoint, { path }, new Agent({ keepAlive: false }));
}

export async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  for await (const part of answer as AsyncIterable<Buffer>) {
    rest += part.toString();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
