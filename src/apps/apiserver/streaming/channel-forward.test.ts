/** Port-forward over WebSocket channels: the client of io/kube against this API server's door. */
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Pod } from "../../../core/api/pod.ts";
import { systemHost } from "../../../io/host/host.ts";
import { fixedCredential, type KubeEndpoint } from "../../../io/kube/endpoint.ts";
import { forwardPort, getFromPod } from "../../../io/kube/port-forward.ts";
import type { NodeStreams } from "../node-streams.ts";
import { handleUpgrade } from "./upgrade.ts";

const host = systemHost("error");
const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "team" },
  spec: { nodeName: "node", containers: [{ name: "c", image: "i" }] },
};
const big = "x".repeat(3 * 1024 * 1024);
const page = createServer((request, response) =>
  response.end(request.url === "/big" ? big : `you asked ${request.url}`),
);
const echo = createTcp((socket) => socket.pipe(socket));
let door: Server;
let endpoint: KubeEndpoint;
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
const listening = (server: { listen(port: number, host: string, then: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const refuse = () => Promise.reject(new Error("not asked for"));
const nodeStreams: NodeStreams = {
  exec: refuse,
  attach: refuse,
  logs: refuse,
  portForward: (_pod, port) =>
    new Promise<Duplex>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket));
      socket.once("error", reject);
    }),
};

beforeAll(async () => {
  door = createServer();
  door.on("upgrade", (request, socket, head) => {
    const target = { pod, subresource: "portforward", nodeStreams, clock: host.clock } as const;
    if (request.headers.authorization !== "Bearer good")
      socket.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    else void handleUpgrade(request, socket, head, target);
  });
  for (const server of [door, page, echo]) await listening(server);
  endpoint = {
    server: `http://127.0.0.1:${portOf(door)}`,
    isVerified: true,
    credentials: fixedCredential({ token: "good" }),
    namespace: "team",
    context: "test",
  };
});

afterAll(() => {
  for (const server of [door, page]) server.closeAllConnections();
  for (const server of [door, page, echo]) server.close();
});

const to = (port: number) => ({ namespace: "team", name: "p", port });

it("carries a page of a pod's loopback, small and large", async () => {
  const at = to(portOf(page));
  expect(await getFromPod(host, endpoint, { ...at, path: "/debug?a=b" })).toEqual({
    status: 200,
    text: "you asked /debug?a=b",
  });
  expect((await getFromPod(host, endpoint, { ...at, path: "/big" })).text).toBe(big);
});

it("carries bytes both ways until the client is done", async () => {
  const stream = await forwardPort(endpoint, to(portOf(echo)));
  const chunks: Buffer[] = [];
  const came = new Promise<void>((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length === big.length) resolve();
    });
  });
  stream.write(big);
  await came;
  expect(Buffer.concat(chunks).toString()).toBe(big);
  stream.destroy();
});

it("says why a port cannot be reached", async () => {
  const free = createTcp();
  await listening(free);
  const port = portOf(free);
  await new Promise((resolve) => free.close(resolve));
  await expect(getFromPod(host, endpoint, { ...to(port), path: "/" })).rejects.toThrow(
    `error forwarding port ${port} to pod team/p: `,
  );
});

it("says what the API server refuses", async () => {
  const stranger = { ...endpoint, credentials: fixedCredential({ token: "bad" }) };
  await expect(getFromPod(host, stranger, { ...to(1), path: "/" })).rejects.toMatchObject({ code: 401 });
  const gone = { ...endpoint, server: "http://127.0.0.1:1" };
  await expect(forwardPort(gone, to(1))).rejects.toThrow("cannot be reached");
});
