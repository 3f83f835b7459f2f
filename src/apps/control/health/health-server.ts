/** The control plane's plain HTTP pages: readiness, metrics, and for this machine only what the model holds. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";

export interface Page {
  readonly contentType: string;
  readonly status?: number;
  readonly text: string;
}

/** Path → page. A path that ends with `/` answers for everything below it, which `rest` then is. */
export type Pages = Readonly<Record<string, (rest: string, query: URLSearchParams) => Page>>;

export interface PageServer {
  readonly port: number;
  close(): void;
}

const maxConnections = 256;
const requestMs = 10_000;

export function servePages(port: number, address: string | undefined, pages: Pages): Promise<PageServer> {
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://self");
    const page = findPage(pages, url);
    if (page === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end(`Known pages: ${Object.keys(pages).join(", ")}\n`);
      return;
    }
    response.writeHead(page.status ?? 200, { "content-type": page.contentType }).end(page.text);
  });
  server.maxConnections = maxConnections;
  server.requestTimeout = requestMs;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(address !== undefined && { host: address }) }, () => {
      server.off("error", reject);
      resolve({
        // A TCP listener has an address object.
        port: (server.address() as AddressInfo).port,
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

function findPage(pages: Pages, url: URL): Page | undefined {
  const exact = pages[url.pathname];
  if (exact !== undefined) return exact("", url.searchParams);
  for (const [path, page] of Object.entries(pages)) {
    const isBelow = path.endsWith("/") && url.pathname.startsWith(path);
    if (isBelow) return page(decodeURIComponent(url.pathname.slice(path.length)), url.searchParams);
  }
  return undefined;
}

export const textPage = (text: string, status = 200): Page => ({
  contentType: "text/plain; charset=utf-8",
  status,
  text,
});

/** Sets and maps as arrays and objects, so that rows can be read. */
export const jsonPage = (value: unknown): Page => ({
  contentType: "application/json",
  text: `${JSON.stringify(value, (_key, inner: unknown) => readable(inner), 2) ?? "null"}\n`,
});

function readable(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  return value instanceof Set ? [...value] : value;
}
