import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { systemHost } from "../../../io/host/host.ts";
import { announceAt, type HookPod } from "./mesh-hook.ts";

const pod: HookPod = {
  uid: "1",
  namespace: "shop",
  name: "cart",
  netns: "/run/netns/x",
  ip: "10.0.0.2",
  serviceAccount: "cart",
  labels: {},
  annotations: {},
};
const folder = mkdtempSync(join(tmpdir(), "tombolo-hook-"));
const path = join(folder, "cni.sock");
const signal = new AbortController().signal;
let server: Server | undefined;
let waits = 0;

/** A clock on which each wait takes a second. */
const host = () => {
  waits = 0;
  const real = systemHost("error");
  const sleep = () => {
    waits += 1;
    return Promise.resolve();
  };
  return { ...real, clock: { ...real.clock, now: () => waits * 1000, sleep } };
};

const listen = (answer: RequestListener) =>
  new Promise<void>((resolve) => {
    server = createServer(answer).listen(path, resolve);
  });

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  rmSync(path, { force: true });
});

it("lets the pod start where no agent is, and where the agent says so", async () => {
  expect(await announceAt(host(), path, pod, signal)).toBeUndefined();
  await listen((_request, response) => response.end("{}"));
  expect(await announceAt(host(), path, pod, signal)).toBeUndefined();
});

it("does not let the pod start while the agent refuses it", async () => {
  await listen((_request, response) => response.writeHead(500).end("not yet"));
  await expect(announceAt(host(), path, pod, signal)).rejects.toThrow(/did not take pod shop\/cart: .*500: not yet/);
});

it("waits for an agent that starts again, but not for ever for one that is gone", async () => {
  await listen((_request, response) => response.end("{}"));
  // Its socket stays when it is killed.
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => server?.close(resolve));
  renameSync(`${path}.kept`, path);
  expect(await announceAt(host(), path, pod, signal)).toContain("did not take pod shop/cart");
  expect(waits).toBe(30);
});
