/**
 * The sandbox as its user sees it: two clusters from `up` to `down`, real kubectl, pods on two nodes, Services, DNS, streams,
 * and what is left behind after a crash and after the end. Needs root and the built programs.
 */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { status } from "../../src/apps/sandbox/sandbox.ts";
import type { SandboxSummary } from "../../src/apps/sandbox/sandbox.ts";
import { namespacesOf, processesWithEnvironment } from "../../src/apps/sandbox/network/leftovers.ts";
import { run } from "../../src/io/host/processes.ts";
import { OwnSandbox, until } from "./kit/own-sandbox.ts";

const sandbox = new OwnSandbox(["east", "west"], 2);
const kubectl = (context: string, args: string[], input?: string) => sandbox.tryKubectl(context, args, input);
const said = (context: string, ...args: string[]) => sandbox.kubectl(context, args);
/** What the last `up` said. */
let summary: SandboxSummary;

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: mccutchen/go-httpbin:2.18.3
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /status/200, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 8000, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      containers:
      - {name: client, image: nicolaka/netshoot, command: [sh, -c, "echo hello; while true; do sleep 1; done"]}
`;

beforeAll(async () => {
  summary = await sandbox.up();
});

afterAll(() => sandbox.end());

it("runs two clusters with two ready nodes each, each a context of the kubeconfig", async () => {
  expect(summary.clusters.map(({ name, isReady }) => [name, isReady])).toEqual([
    ["east", true],
    ["west", true],
  ]);
  for (const name of ["east", "west"]) {
    const nodes = await said(name, "get", "nodes", "--no-headers");
    expect(nodes.match(/ Ready /g)).toHaveLength(2);
  }
  expect(await said("east", "config", "current-context")).toBe("east\n");
});

it("brings a Deployment to Ready and leads its Service to pods of both nodes", async () => {
  expect((await kubectl("east", ["apply", "-f", "-"], manifest)).stderr).toBe("");
  await said("east", "rollout", "status", "deployment/web", "--timeout=20s");
  await said("east", "rollout", "status", "deployment/client", "--timeout=20s");
  const nodes = await said("east", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}");
  expect(nodes.split(" ").toSorted()).toEqual(["east-node1", "east-node2"]);
  const pods = await said("east", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}");
  for (const ip of pods.split(" ")) {
    const url = `http://${ip}:8080/status/200`;
    const direct = await said(
      "east",
      "exec",
      "deploy/client",
      "--",
      "curl",
      "-s",
      "-m",
      "3",
      "-w",
      "%{http_code}",
      url,
    );
    expect(direct).toBe("200");
  }
});

it("answers names of Services in pods, and the API server by its own", async () => {
  const exec = (script: string) => said("east", "exec", "deploy/client", "--", "sh", "-c", script);
  for (const name of ["web", "web.default", "web.default.svc.cluster.local"]) {
    expect(await exec(`curl -s -m 3 -w '%{http_code}' http://${name}:8000/status/200`)).toBe("200");
  }
  await expect(exec("getent hosts nothing.default.svc.cluster.local")).rejects.toThrow(/exit code 2/);
  const access = "/var/run/secrets/kubernetes.io/serviceaccount";
  const version = await exec(
    `curl -s -m 3 --cacert ${access}/ca.crt -H "Authorization: Bearer $(cat ${access}/token)" https://kubernetes.default/version`,
  );
  expect(version).toContain("+tombolo");
});

it("knows a pod by its own token, lets it do what its account may, and no longer when the pod is gone", async () => {
  const run1 = ["run", "asker", "--image=curlimages/curl", "--restart=Never", "--command", "--", "sleep", "600"];
  await said("east", ...run1);
  await said("east", "wait", "--for=condition=Ready", "pod/asker", "--timeout=20s");
  const access = "/var/run/secrets/kubernetes.io/serviceaccount";
  const ask = (path: string) => {
    const token = `"Authorization: Bearer $(cat ${access}/token)"`;
    const script = `curl -s -m 5 -o /dev/null -w '%{http_code}' --cacert ${access}/ca.crt -H ${token} https://kubernetes.default${path}`;
    return said("east", "exec", "asker", "--", "sh", "-c", script);
  };
  const pods = "/api/v1/namespaces/default/pods";
  expect(await ask(pods)).toBe("403");
  await said("east", "create", "rolebinding", "see", "--clusterrole=view", "--serviceaccount=default:default");
  expect([await ask(pods), await ask("/api/v1/namespaces/kube-system/pods")]).toEqual(["200", "403"]);
  const token = await said("east", "exec", "asker", "--", "cat", `${access}/token`);
  const { server = "" } = summary.clusters.find(({ name }) => name === "east") ?? {};
  const withToken = async () => {
    const args = ["-s", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-H", `Authorization: Bearer ${token}`];
    return (await run("curl", [...args, `${server}${pods}`])).stdout;
  };
  expect(await withToken()).toBe("200");
  await said("east", "delete", "pod", "asker", "--grace-period=0", "--force");
  await until("the token's end", async () => ((await withToken()) === "401" ? true : undefined));
});

it("serves exec, logs and debug to kubectl", async () => {
  const failed = await kubectl("east", ["exec", "-i", "deploy/client", "--", "sh", "-c", "cat; exit 7"], "from stdin");
  expect([failed.code, failed.stdout]).toEqual([7, "from stdin"]);
  expect(await said("east", "logs", "deploy/client")).toBe("hello\n");
  const pod = (await said("east", "get", "pod", "-l", "app=client", "-o", "name")).trim();
  const asked = await kubectl("east", [
    "debug",
    "-i",
    pod,
    "--image=curlimages/curl",
    "--",
    "curl",
    "-s",
    "web:8000/status/418",
    "-w",
    "%{http_code}",
  ]);
  expect(asked.stdout).toContain("418");
});

it("gives a LoadBalancer address that the machine and the other cluster can reach", async () => {
  const ip = await until(
    "an address",
    async () =>
      (await said("east", "get", "svc", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")) || undefined,
  );
  const fetched = await until("an answer", async () => {
    const { code, stdout } = await run("curl", [
      "-s",
      "-m",
      "2",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      `http://${ip}:8000/status/200`,
    ]);
    return code === 0 ? stdout : undefined;
  });
  expect(fetched).toBe("200");
  await kubectl("west", ["apply", "-f", "-"], manifest);
  await said("west", "rollout", "status", "deployment/client", "--timeout=20s");
  const code = await said(
    "west",
    "exec",
    "deploy/client",
    "--",
    "curl",
    "-s",
    "-m",
    "3",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    `http://${ip}:8000/status/200`,
  );
  expect(code).toBe("200");
});

it("keeps the pods of one cluster out of reach of the other's", async () => {
  const ip = (await said("east", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}")).trim();
  const { code } = await kubectl("west", [
    "exec",
    "deploy/client",
    "--",
    "curl",
    "-s",
    "-m",
    "2",
    `http://${ip}:8080/`,
  ]);
  expect(code).not.toBe(0);
});

it("scales, and removes everything of the pods that go", async () => {
  const podNames = () => namespacesOf(summary.id, "east").filter((name) => name.includes("-pod-"));
  await said("east", "scale", "deployment/web", "--replicas=4");
  await said("east", "rollout", "status", "deployment/web", "--timeout=20s");
  expect(podNames()).toHaveLength(5);
  await said("east", "scale", "deployment/web", "--replicas=0");
  await until("the pods' end", async () => (podNames().length === 1 ? true : undefined));
  const refused = await kubectl("east", ["exec", "deploy/client", "--", "curl", "-sS", "-m", "3", "http://web:8000/"]);
  expect(refused.code).not.toBe(0);
  await said("east", "scale", "deployment/web", "--replicas=1");
});

it("comes back with its objects after its process was killed", async () => {
  const before = await said("east", "get", "deployment", "web", "-o", "jsonpath={.metadata.uid}");
  for (const { pid } of summary.clusters) if (pid !== undefined) process.kill(pid, "SIGKILL");
  await until("the end of the processes", async () =>
    (await status())?.clusters.some(({ isReady }) => isReady) ? undefined : true,
  );
  summary = await sandbox.up();
  expect(summary.clusters.every(({ isReady }) => isReady)).toBe(true);
  expect(await said("east", "get", "deployment", "web", "-o", "jsonpath={.metadata.uid}")).toBe(before);
  await said("east", "rollout", "status", "deployment/web", "--timeout=20s");
  await until("an answer", async () =>
    (
      await kubectl("east", [
        "exec",
        "deploy/client",
        "--",
        "curl",
        "-s",
        "-f",
        "-m",
        "3",
        "http://web:8000/status/200",
      ])
    ).code === 0
      ? true
      : undefined,
  );
});

it("leaves nothing behind", async () => {
  const { id } = summary;
  expect(await sandbox.down()).toBe(true);
  expect(namespacesOf(id)).toEqual([]);
  expect((await run("ip", ["-br", "link"])).stdout).not.toContain(`tmb-${id}`);
  expect(processesWithEnvironment("TOMBOLO_HOME", sandbox.home)).toEqual([]);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(sandbox.folder);
  expect(existsSync(sandbox.home)).toBe(false);
  expect(existsSync(sandbox.kubeconfig)).toBe(false);
  expect(await status()).toBeUndefined();
});
