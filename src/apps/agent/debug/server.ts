/** The agent's debug pages: JSON over HTTP on the loopback address, read by the CLI through the Kubernetes API server. */
import { createServer, type Server, type ServerResponse } from "node:http";
import { errorText } from "../../../core/api/error-text.ts";
import { port } from "../../../core/api/names.ts";

export type DebugPage = (query: URLSearchParams) => unknown;

/** A question that cannot be answered, and why. */
export class PageProblem extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function parameter(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === "") throw new PageProblem(400, `The parameter ${name} is missing.`);
  return value;
}

const maxConnections = 64;

function answer(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    inner instanceof Map ? Object.fromEntries(inner) : inner,
  );
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${text}\n`);
}

/** Not every request target that HTTP allows is a URL: `//`. */
function urlOf(target: string): URL | undefined {
  try {
    return new URL(target, "http://self");
  } catch {
    return undefined;
  }
}

export function serveDebug(
  pages: Readonly<Record<string, DebugPage>>,
  portNumber: number = port.agentDebug,
): Promise<Server> {
  const server = createServer((request, response) => {
    const url = urlOf(request.url ?? "/");
    if (url === undefined) return answer(response, 400, { error: `${request.url} is no path of a page.` });
    const { pathname, searchParams } = url;
    const page = pages[pathname];
    if (page === undefined)
      return answer(response, 404, { error: "There is no such page.", pages: Object.keys(pages) });
    void (async () => {
      try {
        answer(response, 200, await page(searchParams));
      } catch (error) {
        answer(response, error instanceof PageProblem ? error.status : 500, { error: errorText(error) });
      }
    })();
  });
  server.maxConnections = maxConnections;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(portNumber, "127.0.0.1", () => resolve(server));
  });
}
