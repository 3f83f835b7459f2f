import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Pod } from "../../../core/api/pod.ts";
import { systemHost } from "../../../io/host/host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { LogOptions, NodeStreams } from "../node-streams.ts";
import { handleLog } from "./logs.ts";

const { clock } = systemHost("error");

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "demo", namespace: "default" },
  spec: {
    nodeName: "node1",
    containers: [
      { name: "app", image: "a" },
      { name: "other", image: "b" },
    ],
  },
};

const noStream = () => Promise.reject(new Error("this node has logs only"));

const node: NodeStreams & { logOptions?: LogOptions; refusal?: Error } = {
  exec: noStream,
  attach: noStream,
  portForward: noStream,
  logs: (_pod, _container, options) => {
    if (node.refusal !== undefined) return Promise.reject(node.refusal);
    node.logOptions = options;
    return Promise.resolve(Readable.from([Buffer.from("one\n"), Buffer.from("two\n")]));
  },
};

let server: Server;
let port = 0;

beforeEach(async () => {
  delete node.refusal;
  delete node.logOptions;
  server = createServer((request, response) => {
    const { searchParams: query } = new URL(request.url ?? "/", "http://x");
    handleLog(response, { pod, query, nodeStreams: node, clock }).catch((error: unknown) => {
      response.writeHead(error instanceof KubeError ? error.code : 500).end(String(error));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe("logs", () => {
  const get = (query: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/log?${query}`);

  test("the options reach the node, times as milliseconds", async () => {
    const before = clock.now();
    const response = await get("container=app&follow=true&tailLines=5&sinceSeconds=60&timestamps=true&limitBytes=9");
    expect(await response.text()).toBe("one\ntwo\n");
    expect(response.headers.get("content-type")).toBe("text/plain");
    expect(node.logOptions).toMatchObject({
      follow: true,
      previous: false,
      timestamps: true,
      tailLines: 5,
      limitBytes: 9,
    });
    expect((node.logOptions?.sinceTime ?? 0) - (before - 60_000)).toBeLessThan(5_000);
  });

  test.each([
    ["container=app&tailLines=-1", 422],
    ["container=app&sinceTime=yesterday", 400],
    ["container=none", 400],
    ["", 400],
  ])("%s is refused", async (query, code) => {
    expect((await get(query)).status).toBe(code);
  });

  test("a container that has not started is the node's to refuse", async () => {
    node.refusal = new KubeError(400, "BadRequest", 'container "app" in pod "demo" is waiting to start: ErrImagePull');
    const response = await get("container=app");
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("is waiting to start");
  });
});
