/**
 * What users do to a sandbox with their own kubectl: large streams through exec and port-forward, compared by digest, and
 * a Deployment that grows. Everything is real; the figures include the start of kubectl.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { poll } from "../field/kit/program.ts";
import { apiProxy } from "./changes.ts";
import type { Kube } from "./kube.ts";

const cluster = "cluster1";
const namespace = "bench-kubectl";
const port = 9_000;
const execBytes = 50_000_000;
const forwardBytes = 100_000_000;
const growths = 5;

export interface StreamFigure {
  readonly what: string;
  readonly bytes: number;
  readonly ms: number;
}

export interface KubectlResult {
  /** Each arrived whole; one that does not ends the bench. */
  readonly streams: readonly StreamFigure[];
  /** From the patch of `replicas` from 1 to 5 until five are Ready, of every time. */
  readonly growMs: readonly number[];
}

/** Answers with the digest of what it got, then with as many bytes as it got. */
const mirror = `
const { createHash } = require("node:crypto");
require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  const parts = [];
  socket.on("error", () => undefined).on("data", (part) => parts.push(part)).on("end", () => {
    const all = Buffer.concat(parts);
    socket.write(createHash("sha256").update(all).digest());
    socket.end(all.reverse());
  });
}).listen(${port});`;

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "grow", namespace },
  spec: {
    selector: { matchLabels: { app: "grow" } },
    template: {
      metadata: { labels: { app: "grow" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "app", image: "debian", command: ["sleep", "3600"] }],
      },
    },
  },
};

async function deploy(kube: Kube): Promise<void> {
  const container = { name: "mirror", image: "debian", command: [process.execPath, "-e", mirror] };
  await kube.apply(cluster, [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "mirror", namespace, labels: { app: "mirror" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ ...container, readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } }],
      },
    },
    deployment,
  ]);
  await kube.kubectl(cluster, ["-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]);
}

/** The program's output and how long it took; rejects unless it ends well. */
async function piped(kube: Kube, args: readonly string[], input: Buffer): Promise<{ out: Buffer; ms: number }> {
  const began = performance.now();
  const child = spawn("kubectl", ["--context", cluster, "-n", namespace, ...args], { env: kube.env });
  const parts: Buffer[] = [];
  let problems = "";
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.stderr.on("data", (part: Buffer) => (problems += part.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${code}: ${problems}`);
  return { out: Buffer.concat(parts), ms: performance.now() - began };
}

function mustBe(what: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${what} did not arrive whole: sha256 ${got} instead of ${wanted}.`);
}

async function exec(kube: Kube): Promise<readonly StreamFigure[]> {
  const bytes = randomBytes(execBytes);
  const digest = sha256(bytes);
  const into = ["exec", "-i", "mirror", "--"];
  const up = await piped(kube, [...into, "sh", "-c", "cat > /tmp/sent; sha256sum /tmp/sent"], bytes);
  mustBe("The input of exec", up.out.toString().split(" ")[0] ?? "", digest);
  const back = await piped(kube, ["exec", "mirror", "--", "cat", "/tmp/sent"], Buffer.alloc(0));
  mustBe("The output of exec", sha256(back.out), digest);
  return [
    { what: "exec, into the pod", bytes: execBytes, ms: up.ms },
    { what: "exec, out of the pod", bytes: execBytes, ms: back.ms },
  ];
}

/** Up, half-closed, and down again on one connection. */
async function forward(kube: Kube): Promise<StreamFigure> {
  const args = ["--context", cluster, "-n", namespace, "port-forward", "pod/mirror", `:${port}`];
  const child = spawn("kubectl", args, { env: kube.env, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const local = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
    const bytes = randomBytes(forwardBytes);
    const began = performance.now();
    const socket = connect({ port: local, host: "127.0.0.1", allowHalfOpen: true });
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.end(bytes);
    await once(socket, "end");
    const ms = performance.now() - began;
    const answer = Buffer.concat(parts);
    mustBe("What went through port-forward", answer.subarray(0, 32).toString("hex"), sha256(bytes));
    mustBe("What came through port-forward", sha256(answer.subarray(32)), sha256(bytes.reverse()));
    return { what: "port-forward, there and back", bytes: 2 * forwardBytes, ms };
  } finally {
    child.kill("SIGKILL");
  }
}

async function grow(kube: Kube): Promise<readonly number[]> {
  const proxy = await apiProxy(kube);
  const url = `${proxy.url}/apis/apps/v1/namespaces/${namespace}/deployments/grow`;
  const scale = async (replicas: number): Promise<number> => {
    const began = performance.now();
    const headers = { "content-type": "application/merge-patch+json" };
    const answer = await fetch(url, { method: "PATCH", headers, body: JSON.stringify({ spec: { replicas } }) });
    if (!answer.ok) throw new Error(`The patch of Deployment grow was refused: ${await answer.text()}`);
    const isThere = async () => {
      // A Deployment, as the server answers it.
      const { status } = (await (await fetch(url)).json()) as { status: { replicas?: number; readyReplicas?: number } };
      return status.replicas === replicas && status.readyReplicas === replicas;
    };
    await poll(`${replicas} replicas to be Ready`, isThere, { everyMs: 20 });
    return performance.now() - began;
  };
  try {
    const took: number[] = [];
    for (let at = 0; at < growths; at += 1) {
      took.push(await scale(5));
      await scale(1);
      const onlyOne = async () => {
        const names = await kube.kubectl(cluster, ["-n", namespace, "get", "pods", "-l", "app=grow", "-o", "name"]);
        return names.trim().split("\n").length === 1;
      };
      await poll("the other pods to be gone", onlyOne);
    }
    return took;
  } finally {
    proxy.end();
  }
}

export async function measureKubectl(kube: Kube): Promise<KubectlResult> {
  await deploy(kube);
  const streams = [...(await exec(kube)), await forward(kube)];
  return { streams, growMs: await grow(kube) };
}
