/** The API server of the sandbox as real kubectl finds it. Needs kubectl, no root. */
import { execFile, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import "reflect-metadata";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStreams } from "../../src/apps/apiserver/node-streams.ts";
import type { ApiServer, ApiServerOptions } from "../../src/apps/apiserver/server.ts";
import { startApiServer } from "../../src/apps/apiserver/server.ts";
import type { AnyObject } from "../../src/core/api/kube.ts";
import { builtin, resourceType } from "../../src/core/api/resources.ts";
import { makeCertificates } from "../../src/apps/sandbox/certificates.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { writeAdminKubeconfig } from "./kit/admin-kubeconfig.ts";

const cached = join(import.meta.dirname, "../../.cache/bin/kubectl");
const kubectl = process.env["TOMBOLO_KUBECTL"] ?? (existsSync(cached) ? cached : "kubectl");
const directory = mkdtempSync(join(tmpdir(), "tombolo-kubectl-"));
const adminToken = "a-token-for-the-kubectl-test";
const anyPods = resourceType<AnyObject>("", "v1", "Pod", "pods");
let server: ApiServer;
let options: ApiServerOptions;

/** A node whose every command answers with its words, and whose port-forward leads to a server of this test. */
const web = createServer((_request, response) => void response.end("hello from the pod"));
const nodeStreams: NodeStreams = {
  exec: (_pod, container, request) => {
    const stdin = new PassThrough();
    const stdout = request.stdin ? stdin : Readable.from([Buffer.from(`${container}: ${request.command.join(" ")}\n`)]);
    const code = request.command[0] === "false" ? 3 : 0;
    const exit = new Promise<{ code: number }>((resolve) => stdout.once("end", () => resolve({ code })));
    return Promise.resolve({ stdin, stdout, stderr: Readable.from([]), resize: () => {}, exit, kill: () => {} });
  },
  attach: () => Promise.reject(new Error("not in this test")),
  portForward: () => Promise.resolve(connect((web.address() as AddressInfo).port, "127.0.0.1")),
  logs: (pod, container) => Promise.resolve(Readable.from([Buffer.from(`log of ${pod.metadata.name}/${container}\n`)])),
};

const environment = { PATH: process.env["PATH"], HOME: directory, KUBECONFIG: join(directory, "config") };

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], input = ""): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(kubectl, args, { env: environment, timeout: 30_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
    child.stdin?.end(input);
  });
}

/** The output of a command that must succeed. */
async function k(command: string, input = ""): Promise<string> {
  const { code, out, err } = await run(command.split(" "), input);
  expect(`${code} ${err}`, command).toMatch(/^0 (Warning: [^\n]*\n)*$/);
  return out.trimEnd();
}

const manifest = (image: string, more: object = {}) =>
  JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "team", ...more },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { containers: [{ name: "c", image, ports: [{ containerPort: 80 }] }] },
      },
    },
  });

beforeAll(async () => {
  const { certPem, keyPem, caPem } = await makeCertificates(systemHost("warn"), "kubectl-test", "127.0.0.1");
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  options = {
    name: "kubectl-test",
    dataDir: join(directory, "data"),
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken,
    serviceCidr: "10.96.0.0/16",
    nodeStreams,
  };
  server = await startApiServer(systemHost("warn"), options);
  writeAdminKubeconfig(environment.KUBECONFIG, server.url, caPem, adminToken);
});

afterAll(async () => {
  await server.close();
  web.close();
  rmSync(directory, { recursive: true });
});

describe("kubectl", () => {
  it("creates what it sends as protobuf", async () => {
    expect(await k("create namespace team")).toBe("namespace/team created");
    expect(await k("create serviceaccount default -n team")).toBe("serviceaccount/default created");
    expect(await k("create configmap cm -n team --from-literal=a=b")).toBe("configmap/cm created");
    expect(await k("create secret generic s -n team --from-literal=a=b")).toBe("secret/s created");
    expect(await k("get secret s -n team -o jsonpath={.data.a}")).toBe("Yg==");
    expect(await k("create deployment made -n team --image=httpd --replicas=2 --port=80")).toBe(
      "deployment.apps/made created",
    );
    expect(
      await k(
        "get deploy made -n team -o jsonpath={.spec.replicas}/{.spec.template.spec.containers[0].ports[0].containerPort}",
      ),
    ).toBe("2/80");
    expect(await k("create token default -n team")).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await k("auth can-i create pods")).toBe("yes");
  });

  it("applies, and finds nothing to change the second time", async () => {
    expect(await k("apply -f -", manifest("httpd"))).toBe("deployment.apps/web created");
    expect(await k("apply -f -", manifest("httpd"))).toBe("deployment.apps/web unchanged");
    expect(await k("apply -f -", manifest("nginx"))).toBe("deployment.apps/web configured");
    expect(await k("diff -f -", manifest("nginx"))).toBe("");
    expect(await k("get deploy web -n team -o jsonpath={.metadata.generation}")).toBe("2");
  });

  it("takes several objects in one kind: List", async () => {
    const item = (name: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "team" },
      data: { a: "b" },
    });
    const list = { apiVersion: "v1", kind: "List", items: [item("one"), item("two")] };
    expect(await k("apply -f -", JSON.stringify(list))).toBe("configmap/one created\nconfigmap/two created");
    expect(await k("apply -f -", JSON.stringify(list))).toBe("configmap/one unchanged\nconfigmap/two unchanged");
    const typo = { ...list, items: [{ ...item("three"), dta: {} }] };
    expect((await run("apply -f -".split(" "), JSON.stringify(typo))).err).toContain('unknown field "dta"');
  });

  it("makes jobs, cron jobs and ingresses from the command line, and says what nothing acts on", async () => {
    expect(await k("create job once -n team --image=curl -- date")).toBe("job.batch/once created");
    const cron = await run([..."create cronjob often -n team --image=curl".split(" "), "--schedule=*/5 * * * *"]);
    expect(cron).toMatchObject({ code: 0, out: "cronjob.batch/often created\n" });
    expect(await k("create job twice -n team --from=cronjob/often")).toBe("job.batch/twice created");
    const ingress = await run("create ingress web -n team --rule=a.example/*=web:80".split(" "));
    expect(ingress).toMatchObject({ code: 0, out: "ingress.networking.k8s.io/web created\n" });
    expect(ingress.err).toContain("Warning: Ingress is stored, but nothing in this sandbox serves it");
    expect(await k("delete job,cronjob,ingress --all -n team")).toContain('job.batch "once" deleted');
  });

  it("labels, annotates, patches and scales", async () => {
    expect(await k("label deploy/web -n team tier=front")).toBe("deployment.apps/web labeled");
    expect(await k("annotate deploy/web -n team a=b")).toBe("deployment.apps/web annotated");
    const patch = '{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"1"}]}]}}}}';
    expect((await run(["patch", "deploy/web", "-n", "team", "-p", patch])).out).toBe("deployment.apps/web patched\n");
    expect(await k("get deploy web -n team -o jsonpath={.spec.template.spec.containers[0].image}")).toBe("nginx");
    expect(await k("scale deploy/web -n team --replicas=0")).toBe("deployment.apps/web scaled");
    expect(await k("scale deploy/web -n team --replicas=3")).toBe("deployment.apps/web scaled");
    expect(await k("rollout restart deploy/web -n team")).toBe("deployment.apps/web restarted");
    expect(await k("get deploy -n team -l tier=front -o name")).toBe("deployment.apps/web");
  });

  it("shows tables and objects", async () => {
    expect(await k("get deploy web -n team")).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/3 +0 +0 +\d+s$/,
    );
    const object: unknown = JSON.parse(await k("get deploy web -n team -o json"));
    expect(object).toMatchObject({
      kind: "Deployment",
      spec: { replicas: 3 },
      metadata: { labels: { tier: "front" } },
    });
    expect(await k("get svc -A")).toMatch(/default +kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/);
    expect(await k("describe deploy web -n team")).toContain("3 desired");
    expect(await k("explain deployment.spec.replicas")).toContain("FIELD: replicas <integer>");
    expect(await k("api-resources --api-group=apps -o name")).toContain("deployments.apps");
  });

  it("applies on the server, and says who is in the way", async () => {
    expect(await k("apply --server-side --force-conflicts -f -", manifest("nginx"))).toBe(
      "deployment.apps/web serverside-applied",
    );
    const { code, err } = await run("apply --server-side --field-manager=other -f -".split(" "), manifest("caddy"));
    expect(code).toBe(1);
    expect(err).toContain('conflict with "kubectl": .spec.template.spec.containers[name="c"].image');
  });

  it("refuses unknown fields and bad values in the words that users know", async () => {
    const typo = await run("apply -f -".split(" "), manifest("nginx", { lables: {} }));
    expect(typo.err).toContain('unknown field "metadata.lables"');
    const missing = await run("get deploy none -n team".split(" "));
    expect(missing.err).toBe('Error from server (NotFound): deployments.apps "none" not found\n');
    const exists = await run("create namespace team".split(" "));
    expect(exists.err).toBe('Error from server (AlreadyExists): namespaces "team" already exists\n');
  });

  it("watches and waits", async () => {
    const watching = spawn(kubectl, "get cm -n team -w -o name".split(" "), { env: environment });
    const seen: string[] = [];
    watching.stdout.on("data", (text: Buffer) => seen.push(...text.toString().trim().split("\n")));
    const ended = new Promise((resolve) => watching.once("close", resolve));
    await expect.poll(() => seen, { timeout: 10_000 }).toContain("configmap/cm");
    await k("create configmap later -n team --from-literal=a=b");
    await expect.poll(() => seen, { timeout: 10_000 }).toContain("configmap/later");
    watching.kill();
    await ended;
    const waiting = k("wait --for=condition=Available deploy/web -n team --timeout=20s");
    const status = { conditions: [{ type: "Available", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }] };
    const ref = { name: "web", namespace: "team" };
    await server.client.patch(builtin.deployments, ref, { type: "merge", body: { status } }, { subresource: "status" });
    expect(await waiting).toBe("deployment.apps/web condition met");
  });

  it("reaches into pods: exec, logs, port-forward", async () => {
    await k("run p -n team --image=httpd");
    const ref = { name: "p", namespace: "team" };
    await server.client.post(anyPods, ref, "binding", { target: { kind: "Node", name: "n1" } });
    const status = { phase: "Running" };
    await server.client.patch(anyPods, ref, { type: "merge", body: { status } }, { subresource: "status" });
    expect(await k("exec p -n team -- echo a b")).toBe("p: echo a b");
    expect(await k("exec -i p -n team -- cat", "through stdin")).toBe("through stdin");
    expect((await run("exec p -n team -- false".split(" "))).code).toBe(3);
    expect(await k("logs p -n team")).toBe("log of p/p");
    const forwarding = spawn(kubectl, "port-forward -n team p :80".split(" "), { env: environment });
    let said = "";
    forwarding.stdout.on("data", (text: Buffer) => (said += text.toString()));
    const ended = new Promise((resolve) => forwarding.once("close", resolve));
    await expect.poll(() => said, { timeout: 10_000 }).toMatch(/127\.0\.0\.1:\d+/);
    const port = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("hello from the pod");
    forwarding.kill();
    await ended;
  });

  it("finds everything again after a restart on the same port", async () => {
    const before = await k("get all,cm -n team -o name");
    await server.close();
    server = await startApiServer(systemHost("warn"), { ...options, listen: server.addresses });
    expect(await k("get all,cm -n team -o name")).toBe(before);
  });

  it("deletes, and lets a namespace go when its content is gone", async () => {
    expect(await k("delete deploy web -n team")).toMatch(/^deployment.apps "web" deleted/);
    expect((await run("get deploy web -n team".split(" "))).code).toBe(1);
    expect(await k("delete pod p -n team --force --grace-period=0")).toContain('"p" force deleted');
    expect(await k("delete cm --all -n team")).toContain('configmap "later" deleted');
    const deleting = k("delete namespace team --timeout=20s");
    const gone = () => server.client.get(builtin.namespaces, { name: "team" });
    await expect.poll(async () => (await gone()).status?.phase, { timeout: 10_000 }).toBe("Terminating");
    const live = { ...(await gone()), spec: {} };
    await server.client.update(builtin.namespaces, live, { subresource: "finalize" });
    expect(await deleting).toMatch(/^namespace "team" deleted/);
  });

  it("is refused without a token, but may ask for health", async () => {
    const { err } = await run("get ns --token=wrong".split(" "));
    expect(err).toContain("You must be logged in to the server");
    expect(await k("get --raw /readyz")).toBe("ok");
  });
});
