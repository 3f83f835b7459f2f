import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { type PageServer, servePages, textPage } from "./health-server.ts";

let server: PageServer | undefined;

afterEach(() => server?.close());

/** The status line of the answer to a request whose target goes out letter by letter, as no client library would. */
async function statusOf(target: string): Promise<string | undefined> {
  const socket = connect(server?.port ?? 0, "127.0.0.1");
  socket.end(`GET ${target} HTTP/1.1\r\nhost: self\r\nconnection: close\r\n\r\n`);
  return (await text(socket)).split("\r\n")[0];
}

describe("a page server that anybody may ask", () => {
  it.each([
    ["//", "HTTP/1.1 400 Bad Request"],
    ["/below/%", "HTTP/1.1 400 Bad Request"],
    ["http://:99999/", "HTTP/1.1 400 Bad Request"],
    ["/nothing", "HTTP/1.1 404 Not Found"],
    ["/broken", "HTTP/1.1 500 Internal Server Error"],
    ["/below/one", "HTTP/1.1 200 OK"],
  ])("answers %s with %s, and lives on", async (target, status) => {
    const broken = () => {
      throw new Error("The page is broken.");
    };
    server = await servePages(0, "127.0.0.1", { "/below/": (rest) => textPage(rest), "/broken": broken });
    expect(await statusOf(target)).toBe(status);
    expect(await statusOf("/below/again")).toBe("HTTP/1.1 200 OK");
  });
});
