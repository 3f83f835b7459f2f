import type { AddressInfo, Server } from "node:net";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { serveDebug } from "./server.ts";

let server: Server | undefined;

afterEach(() => server?.close());

async function ask(target: string): Promise<string> {
  // A server that listens on TCP has an address object.
  const address = server?.address() as AddressInfo | undefined;
  const socket = connect(address?.port ?? 0, "127.0.0.1");
  socket.end(`GET ${target} HTTP/1.1\r\nhost: self\r\nconnection: close\r\n\r\n`);
  return text(socket);
}

it("answers what is no URL with a sentence, and lives on", async () => {
  server = await serveDebug({ "/debug/status": () => ({ isSynced: true }) }, 0);
  expect(await ask("//")).toMatch(/^HTTP\/1.1 400 [^]*is no path of a page/);
  expect(await ask("/debug/none")).toMatch(/^HTTP\/1.1 404 /);
  expect(await ask("/debug/status")).toMatch(/^HTTP\/1.1 200 [^]*"isSynced":true/);
});
