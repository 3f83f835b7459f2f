import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemHost } from "../../../io/host/host.ts";
import { pluginScript } from "./plugin.ts";
import { type AnnouncementHandlers, CniRequests } from "./requests.ts";

const previous = { cniVersion: "1.0.0", ips: [{ address: "fd00::7/64" }, { address: "10.1.0.7/24" }] };
const configuration = JSON.stringify({ cniVersion: "1.0.0", name: "pods", type: "tombolo-cni", prevResult: previous });
const words = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=u-1";

let home: string;
let stop: AbortController;
const removed: string[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tombolo-cni-"));
  stop = new AbortController();
  removed.length = 0;
  writeFileSync(join(home, "plugin"), pluginScript(join(home, "requests")), { mode: 0o755 });
});

afterEach(() => {
  stop.abort(new Error("the test is over"));
  rmSync(home, { recursive: true, force: true });
});

const serve = (added: AnnouncementHandlers["added"]) =>
  new CniRequests(systemHost("error"), join(home, "requests"), {
    added,
    removed: (uid) => removed.push(uid),
  }).serve(stop.signal);

/** Runs the plugin as a container runtime does. */
function plugin(command: string, env: Record<string, string> = {}, input = configuration) {
  const child = spawn(join(home, "plugin"), [], {
    env: {
      PATH: process.env["PATH"] ?? "",
      CNI_COMMAND: command,
      CNI_CONTAINERID: "c1",
      CNI_NETNS: "/var/run/netns/cni-7",
      CNI_ARGS: words,
      ...env,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  return new Promise<{ code: number | null; answer: unknown }>((resolve) => {
    child.on("close", (code) => resolve({ code, answer: stdout === "" ? undefined : JSON.parse(stdout) }));
  });
}

const left = () => readdirSync(join(home, "requests"));

describe("the CNI plugin and the agent", () => {
  it("hold the pod until it is captured, then answer what the plugin before answered", async () => {
    const seen: unknown[] = [];
    let capture: (isCaptured: boolean) => void = () => undefined;
    await serve((pod) => {
      seen.push(pod);
      return new Promise((resolve) => (capture = resolve));
    });
    const added = plugin("ADD");
    await vi.waitFor(() => expect(seen).toHaveLength(1), 5_000);
    expect(seen).toEqual([{ uid: "u-1", namespace: "shop", name: "cart", netns: "/run/netns/cni-7", ip: "10.1.0.7" }]);
    capture(true);
    expect(await added).toEqual({ code: 0, answer: previous });
    await vi.waitFor(() => expect(left()).toEqual([]), 5_000);
  });

  it("fail the pod with the agent's reason, so that the kubelet tries again", async () => {
    await serve(() => Promise.reject(new Error("Pod shop/cart has no address.")));
    const message = "Pod shop/cart has no address.";
    expect(await plugin("ADD")).toEqual({ code: 1, answer: { cniVersion: "1.0.0", code: 11, msg: message } });
  });

  it("tell of a pod's end without waiting for an answer, and never fail it", async () => {
    expect(await plugin("DEL")).toEqual({ code: 0, answer: undefined });
    await serve(() => Promise.resolve(true));
    expect(await plugin("DEL")).toEqual({ code: 0, answer: undefined });
    await vi.waitFor(() => expect(removed).toEqual(["u-1"]), 5_000);
  });

  it("find an answer for a pod that asked while no agent was there", async () => {
    await serve(() => Promise.resolve(true));
    stop.abort(new Error("the first agent ends"));
    const added = plugin("ADD");
    await vi.waitFor(() => expect(left()).toEqual(["ADD-c1.request"]), 5_000);
    stop = new AbortController();
    await serve(() => Promise.resolve(true));
    expect((await added).code).toBe(0);
  });

  it.each([
    ["no prevResult", "{}", "must be chained"],
    ["no JSON", "{", "not a JSON object"],
    ["no address", JSON.stringify({ prevResult: {} }), "the pod's ip"],
  ])("refuse a configuration with %s", async (_what, input, reason) => {
    await serve(() => Promise.resolve(true));
    expect(await plugin("ADD", {}, input)).toMatchObject({ code: 1, answer: { msg: expect.stringContaining(reason) } });
  });

  it("say at once what to do where there never was an agent", async () => {
    expect(await plugin("ADD")).toMatchObject({ code: 1, answer: { msg: expect.stringContaining("tombolo-agent") } });
  });

  it("tell which versions of CNI they speak", async () => {
    const { answer } = await plugin("VERSION");
    expect(answer).toMatchObject({ supportedVersions: expect.arrayContaining(["0.4.0", "1.0.0"]) });
  });
});
