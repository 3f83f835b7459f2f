/**
 * A sandbox that dies in every way a machine lets it: processes killed, `up` interrupted, everything gone as after a reboot.
 * Up again, all objects are there; after `down` the machine is as it was, and what belongs to others was never touched.
 * Needs root and the built programs.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { namespacesOf, processesIn, processesWithEnvironment } from "../../src/apps/sandbox/network/leftovers.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { ended, environment, run, sendSignal, start } from "../../src/io/host/processes.ts";
import { repository } from "./kit/sandbox-life.ts";
import { OwnSandbox, until } from "./kit/own-sandbox.ts";

const host = systemHost("warn");
const sandbox = new OwnSandbox(["east", "west"], 2);
/** Somebody else's, with names as like ours as they can be. */
const other = `tmb-${host.random.bytes(3).reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "")}`;
const otherMount = join(sandbox.folder, "other");
const kubeconfigBefore = `# mine
apiVersion: v1
kind: Config
current-context: mine
contexts:
  - name: mine # stays
    context: {cluster: mine, user: mine}
clusters:
  - {name: mine, cluster: {server: "https://example.invalid"}}
users:
  - {name: mine, user: {token: x}}
`;

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: nicolaka/netshoot, command: [sh, -c, "while true; do sleep 1; done"], tty: true}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {key: value}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
`;

const ids = () => sandbox.summary?.id ?? "";

/** Everything on the machine that carries the sandbox's id or lies in its folder. */
async function traces(): Promise<Record<string, readonly string[]>> {
  const id = ids();
  const lines = async (command: string, ...args: string[]) => (await run(command, args)).stdout.split("\n");
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return {
    links: (await lines("ip", "-o", "link")).filter((line) => line.includes(`tmb-${id}`)),
    namespaces: namespacesOf(id),
    tables: (await lines("nft", "list", "tables")).filter((line) => line.includes(id)),
    routes: (await lines("ip", "route", "show", "table", "all")).filter((line) => line.includes(`tmb-${id}`)),
    mounts: mounts.filter((line) => line.includes(`${sandbox.home}/`) || line.includes(`tmb-${id}`)),
    runs: (await lines("ls", "/run/tombolo")).filter((line) => line.includes(id)),
    processes: [...processesWithEnvironment("TOMBOLO_HOME", sandbox.home), ...processesIn(namespacesOf(id))].map(
      String,
    ),
  };
}

const nothing = { links: [], namespaces: [], tables: [], routes: [], mounts: [], runs: [], processes: [] };

function killClusters(): void {
  for (const { pid } of sandbox.summary?.clusters ?? []) if (pid !== undefined) sendSignal(pid, "SIGKILL");
}

const rolledOut = (cluster: string) =>
  sandbox.kubectl(cluster, ["rollout", "status", "deployment/web", "--timeout=40s"]);

/** The objects are those of before, and pods run and answer. */
async function expectWhole(uid: string): Promise<void> {
  expect(await sandbox.kubectl("east", ["get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}"])).toBe(uid);
  await rolledOut("east");
  await until("an exec", async () => {
    const { code } = await sandbox.tryKubectl("east", ["exec", "deploy/web", "--", "true"]);
    return code === 0 ? true : undefined;
  });
  // One namespace per pod that runs, none of pods that are gone.
  const pods = await sandbox.kubectl("east", ["get", "pods", "-A", "-o", "name"]);
  await until("namespaces of these pods alone", async () =>
    namespacesOf(ids(), "east").filter((name) => name.includes("-pod-")).length === pods.trim().split("\n").length
      ? true
      : undefined,
  );
}

let uid = "";
let decoy: ReturnType<typeof start> | undefined;

beforeAll(async () => {
  writeFileSync(sandbox.kubeconfig, kubeconfigBefore);
  mkdirSync(otherMount);
  await run("ip", ["netns", "add", `${other}-east-node1`]);
  await run("ip", ["link", "add", `${other}`.slice(0, 13), "type", "bridge"]);
  await run("nft", ["add", "table", "ip", `${other.replace("-", "_")}_fault_1`]);
  await run("mount", ["-t", "tmpfs", "other", otherMount]);
  decoy = start("sleep", ["600"], {
    env: { PATH: environment()["PATH"] ?? "" },
    stdio: "ignore",
    inside: { net: `/run/netns/${other}-east-node1` },
  });
  await sandbox.up();
  for (const name of ["east", "west"]) await sandbox.kubectl(name, ["apply", "-f", "-"], manifest);
  await rolledOut("east");
  uid = await sandbox.kubectl("east", ["get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}"]);
}, 90_000);

afterAll(async () => {
  await sandbox.down();
  decoy?.kill("SIGKILL");
  await run("umount", [otherMount]);
  await run("nft", ["delete", "table", "ip", `${other.replace("-", "_")}_fault_1`]);
  await run("ip", ["link", "del", `${other}`.slice(0, 13)]);
  await run("ip", ["netns", "del", `${other}-east-node1`]);
  await sandbox.end();
}, 60_000);

it("a pod outlives its processes, also the one that holds its namespaces", async () => {
  const name = await sandbox.kubectl("east", [
    "get",
    "pods",
    "-l",
    "app=web",
    "-o",
    "jsonpath={.items[0].metadata.name}",
  ]);
  const of = (path: string) => sandbox.kubectl("east", ["get", "pod", name, "-o", `jsonpath={${path}}`]);
  const netns = namespacesOf(ids(), "east").find((one) => one.includes("-pod-"));
  const podUid = await of(".metadata.uid");
  const holder = processesWithEnvironment("TOMBOLO_POD_UID", podUid)[0] ?? 0;
  expect([netns === undefined, holder > 1]).toEqual([false, true]);
  process.kill(holder, "SIGKILL");
  await until("a restart", async () =>
    (await of(".status.containerStatuses[0].restartCount")) === "1" ? true : undefined,
  );
  await until("an exec", async () => {
    const { code, stdout } = await sandbox.tryKubectl("east", ["exec", name, "--", "hostname"]);
    return code === 0 && stdout === `${name}\n` ? true : undefined;
  });
  expect(await of(".metadata.uid")).toBe(podUid);
}, 60_000);

it("comes back after kill -9 of the clusters' processes, with pods that ran all the while ended first", async () => {
  const before = new Set(processesIn(namespacesOf(ids())));
  killClusters();
  await sandbox.up();
  await expectWhole(uid);
  expect(processesIn(namespacesOf(ids())).filter((pid) => before.has(pid))).toEqual([]);
}, 60_000);

it("comes back after a reboot, which leaves nothing but the state directory", async () => {
  const id = ids();
  killClusters();
  for (let round = 0; round < 5; round += 1) {
    for (const pid of processesIn(namespacesOf(id))) sendSignal(pid, "SIGKILL");
    await host.clock.sleep(50);
  }
  for (const name of namespacesOf(id)) await run("ip", ["netns", "del", name]);
  await run("ip", ["link", "del", `tmb-${id}`]);
  await run("sh", ["-c", `rm -rf /run/tombolo/tmb-${id}-*`]);
  for (const line of (await traces())["mounts"] ?? []) await run("umount", ["-l", line.split(" ")[4] ?? ""]);
  expect(await traces()).toEqual(nothing);
  // The pid that an interrupted command left in the lock belongs to somebody else by now.
  writeFileSync(join(sandbox.home, "lock"), `${process.pid} 1\n`);
  await sandbox.up();
  await expectWhole(uid);
}, 60_000);

it("comes up after an `up` that was interrupted at any moment", async () => {
  killClusters();
  for (const [signal, afterMs] of [
    ["SIGINT", 150],
    ["SIGINT", 500],
    ["SIGKILL", 300],
  ] as const) {
    const up = start(join(repository, "bin", "tombolo"), ["sandbox", "up", "--bare"], {
      env: environment(),
      stdio: "ignore",
    });
    const over = ended(up);
    await host.clock.sleep(afterMs);
    up.kill(signal);
    await over;
  }
  await sandbox.up();
  await expectWhole(uid);
}, 60_000);

it("leaves the machine as it was, and what belongs to others untouched", async () => {
  expect(await traces()).not.toEqual(nothing);
  expect(await sandbox.down()).toBe(true);
  expect(await traces()).toEqual(nothing);
  expect(readFileSync(sandbox.kubeconfig, "utf8")).toBe(kubeconfigBefore);
  expect((await run("ip", ["netns", "list"])).stdout).toContain(`${other}-east-node1`);
  expect((await run("ip", ["link", "show", `${other}`.slice(0, 13)])).code).toBe(0);
  expect((await run("nft", ["list", "tables"])).stdout).toContain(`${other.replace("-", "_")}_fault_1`);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toContain(otherMount);
  expect(decoy?.exitCode).toBeNull();
  expect(decoy?.signalCode).toBeNull();
});
