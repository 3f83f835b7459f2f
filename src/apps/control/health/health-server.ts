/** The control plane's plain HTTP pages: readiness, metrics, and for this machine only what the model holds. */
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { errorText } from "../../../core/api/error-text.ts";

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
    const { contentType, status = 200, text } = pageFor(pages, request.url ?? "/");
    response.writeHead(status, { "content-type": contentType }).end(text);
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

/** Never throws: whoever reaches the port must not be able to end the program. */
function pageFor(pages: Pages, target: string): Page {
  try {
    const page = findPage(pages, target);
    return page ?? textPage(`Known pages: ${Object.keys(pages).join(", ")}\n`, 404);
  } catch (error) {
    return error instanceof BadTarget ? textPage(`${error.message}\n`, 400) : textPage(`${errorText(error)}\n`, 500);
  }
}

class BadTarget extends Error {}

function partsOf(target: string): { readonly path: string; readonly query: URLSearchParams } {
  try {
    const { pathname, searchParams } = new URL(target, "http://self");
    return { path: decodeURIComponent(pathname), query: searchParams };
  } catch {
    throw new BadTarget(`${target} is no path of a page.`);
  }
}

function findPage(pages: Pages, target: string): Page | undefined {
  const { path, query } = partsOf(target);
  for (const [at, page] of Object.entries(pages)) {
    if (path === at) return page("", query);
    if (at.endsWith("/") && path.startsWith(at)) return page(path.slice(at.length), query);
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
