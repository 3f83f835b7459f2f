/** exec, attach, port-forward, logs and explain as real kubectl does them, over WebSocket and over SPDY. No root. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { basename } from "node:path";
import { spawn as spawnTerminal } from "@lydell/node-pty";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtin } from "../../src/core/api/resources.ts";
import { kubectlBinaries, testServer, type TestServer } from "./kit/api-server.ts";
import { processNode } from "./kit/process-node.ts";

const node = processNode();
let cluster: TestServer;
/** Sends back what it gets; `allowHalfOpen`, so that the end of one direction is seen alone. */
let echo: Server;
let echoPort = 0;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  cluster = await testServer(node);
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(echo, "listening");
  const address = echo.address();
  echoPort = typeof address === "object" && address !== null ? address.port : 0;
  const { client } = cluster.server;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } };
  await client.create(builtin.serviceAccounts, account);
  await client.create(builtin.pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "demo", namespace: "default", labels: { app: "demo" } },
    spec: { nodeName: "node1", containers: [{ name: "app", image: "app:1" }] },
  });
  const pod = await client.get(builtin.pods, { name: "demo", namespace: "default" });
  const at = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const state = { running: { startedAt: at } };
  const containerStatuses = [
    { name: "app", ready: true, started: true, restartCount: 0, image: "app:1", imageID: "app", state },
  ];
  const conditions = [{ type: "Ready" as const, status: "True" as const, lastTransitionTime: at }];
  const status = { ...pod.status, phase: "Running" as const, podIP: "10.0.0.9", containerStatuses, conditions };
  await client.update(builtin.pods, { ...pod, status }, { subresource: "status" });
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  echo.close();
  await cluster.close();
});

const transports = [
  ["WebSocket", {}],
  ["SPDY", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" }],
] as const;

const clients = kubectlBinaries();
const combinations = clients.flatMap((kubectl) =>
  transports.map(([transport, env]) => ({ name: `${basename(kubectl)} over ${transport}`, kubectl, env })),
);

describe.each(combinations)("$name", ({ kubectl, env }) => {
  const run = (args: readonly string[], input?: string | Buffer) =>
    cluster.run(kubectl, args, { env, ...(input === undefined ? {} : { input }) });

  test("exec: both outputs and the exit code", async () => {
    const outcome = await run(["exec", "demo", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(outcome).toMatchObject({ code: 7, out: "out\n" });
    expect(outcome.err).toContain("err\n");
    expect(outcome.err).toContain("command terminated with exit code 7");
  });

  test("exec -i: the end of the input ends the command", async () => {
    expect(await run(["exec", "-i", "demo", "--", "cat"], "from stdin")).toEqual({
      code: 0,
      out: "from stdin",
      err: "",
    });
  });

  test("exec -i: 20 MB in, their digest out; 20 MB out", async () => {
    const input = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef\n");
    const digest = createHash("sha256").update(input).digest("hex");
    const { out } = await run(["exec", "-i", "demo", "--", "sha256sum"], input);
    expect(out).toContain(digest);
    const large = await run(["exec", "demo", "--", "head", "-c", "20000000", "/dev/zero"]);
    expect(large.out.length).toBe(20_000_000);
  });

  test("exec: a container that does not exist is named", async () => {
    const { code, err } = await run(["exec", "demo", "-c", "none", "--", "true"]);
    expect(code).toBe(1);
    expect(err).toMatch(/container none is not valid|container not found/);
  });

  test("attach: connects to what runs", async () => {
    expect((await run(["attach", "-i", "demo", "--quiet"], "to the program\n")).out).toBe("to the program\n");
  });

  test("exec -it: a terminal of the client's size", async () => {
    const args = ["exec", "-it", "demo", "--", "sh", "-c", "sleep 0.5; stty size; exit 4"];
    const merged: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...cluster.environment, ...env })) {
      if (value !== undefined) merged[name] = value;
    }
    const terminal = spawnTerminal(kubectl, args, { cols: 91, rows: 33, env: merged });
    let text = "";
    terminal.onData((part) => (text += part));
    const code = await new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
    expect(text).toContain("33 91");
    expect(code).toBe(4);
  });

  test("port-forward: twenty connections at once, half-closed, nothing lost", async () => {
    const child = spawn(kubectl, ["port-forward", "pod/demo", `:${echoPort}`], {
      env: { ...cluster.environment, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    let text = "";
    child.stdout.on("data", (part: Buffer) => (text += part.toString()));
    await expect.poll(() => text, { timeout: 10_000 }).toMatch(/127\.0\.0\.1:(\d+)/);
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
    const exchange = async (index: number): Promise<number> => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      const sent = Buffer.alloc(500_000 + index, String(index % 10));
      const received: Buffer[] = [];
      socket.on("data", (part: Buffer) => received.push(part));
      socket.end(sent);
      await once(socket, "end");
      return Buffer.concat(received).equals(sent) ? sent.length : -1;
    };
    const sizes = await Promise.all(Array.from({ length: 20 }, (_, index) => exchange(index)));
    expect(sizes).toEqual(Array.from({ length: 20 }, (_, index) => 500_000 + index));
    child.kill();
    await once(child, "close");
  });
});

describe.each(clients.map((kubectl) => [basename(kubectl), kubectl] as const))("%s", (_name, kubectl) => {
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, out, err } = await cluster.run(kubectl, args);
    expect(`${code} ${err}`, args.join(" ")).toBe("0 ");
    return out;
  };

  test("logs -f: old lines by --tail, new ones as they come, and the node hears when the client goes", async () => {
    for (const line of ["one", "two", "three"]) node.log.add(line);
    expect(await run("logs", "demo", "--tail=1")).toBe("three\n");
    const child = spawn(kubectl, ["logs", "-f", "demo", "--tail=2"], { env: cluster.environment });
    children.add(child);
    let text = "";
    child.stdout.on("data", (part: Buffer) => (text += part.toString()));
    await expect.poll(() => text, { timeout: 10_000 }).toBe("two\nthree\n");
    node.log.add("four");
    await expect.poll(() => text).toBe("two\nthree\nfour\n");
    child.kill();
    await expect.poll(() => node.log.followers, { timeout: 10_000 }).toBe(0);
  });

  test("get -o wide, and the STATUS of the pod", async () => {
    const rows = (await run("get", "pods", "-o", "wide")).split("\n");
    expect(rows[0]).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/);
    expect(rows[1]).toMatch(/^demo +1\/1 +Running +0 +\d+s +10\.0\.0\.9 +node1 +<none> +<none>$/);
  });

  test("api-resources lists every kind with its short names", async () => {
    const text = await run("api-resources");
    expect(text).toMatch(/^pods +po +v1 +true +Pod$/m);
    expect(text).toMatch(/^deployments +deploy +apps\/v1 +true +Deployment$/m);
    expect(text).toMatch(
      /^customresourcedefinitions +crd,crds +apiextensions.k8s.io\/v1 +false +CustomResourceDefinition$/m,
    );
  });

  test("explain finds its way down to the fields of a probe", async () => {
    expect(await run("explain", "pods")).toMatch(/KIND: +Pod[\s\S]*VERSION: +v1[\s\S]*spec\t<PodSpec> -required-/);
    const probe = await run("explain", "deployment.spec.template.spec.containers.readinessProbe");
    expect(probe).toMatch(/FIELD: readinessProbe <Probe>/);
    expect(probe).toContain("Takes the pod out of its services while it fails.");
    expect(probe).toMatch(/httpGet\t<HTTPGetAction>/);
    expect(await run("explain", "pods.spec.containers.ports.containerPort")).toContain("<integer>");
    expect(await run("explain", "pods", "--recursive")).toContain("containerPort");
  });
});
