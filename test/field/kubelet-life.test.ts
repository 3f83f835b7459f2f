/**
 * The life of containers under a kubelet: with which rights they run, in which order they start and stop, what hooks and
 * probes do to them, and that nobody but their own policy ends them for good. Needs root.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Container } from "../../src/core/api/pod.ts";
import { sendSignal } from "../../src/io/host/processes.ts";
import { processesWithEnvironment } from "../../src/apps/sandbox/network/leftovers.ts";
import { isReady, KubeletLab, shell } from "./kit/kubelets.ts";

const lab = new KubeletLab("kl", "100.91");
const { makePod, until, exec, remove, gone, logs } = lab;

beforeAll(() => lab.start());
afterAll(() => lab.end());

const wait = "exec sleep 600";
const volumes = [{ name: "shared", emptyDir: {} }];
const volumeMounts = [{ name: "shared", mountPath: "/shared" }];

describe("rights", () => {
  const facts = "id -u; id -g; id -G; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | awk '{print $2}'";

  it("of a container that says nothing are those that runtimes leave to root", async () => {
    const pod = await until(await makePod({ containers: [shell(wait)] }), isReady);
    const { stdout } = await exec(pod, ["sh", "-c", facts]);
    expect(stdout.split("\n").slice(0, -1)).toEqual(["0", "0", "0", "00000000a80425fb", "00000000a80425fb", "0"]);
    expect((await exec(pod, ["ip", "link", "add", "x", "type", "veth"])).stderr).toContain("not permitted");
    await remove(pod, 0);
  });

  it("are those of the security context, in the program, in exec and on the files of volumes", async () => {
    const securityContext = {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    };
    const script = `${facts}; touch /here /run/here; touch /shared/mine && stat -c %u:%g /shared/mine; ${wait}`;
    const pod = await until(
      await makePod({
        volumes,
        securityContext: { runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, runAsNonRoot: true },
        containers: [shell(script, { volumeMounts, securityContext })],
      }),
      isReady,
    );
    const none = "0000000000000000";
    const who = ["1234", "2345", "2345 3456", none, none, "1"];
    expect((await exec(pod, ["sh", "-c", facts])).stdout.split("\n").slice(0, -1)).toEqual(who);
    expect((await exec(pod, ["id", "-u"], "", true)).stdout.trim()).toBe("1234");
    const log = (await logs(pod)).trim().split("\n");
    expect(log.filter((line) => !line.startsWith("touch"))).toEqual([...who, "1234:3456"]);
    expect(log.filter((line) => line.includes("Read-only file system"))).toHaveLength(2);
    await remove(pod, 0);
  });

  it("are refused to a container that must not be root and names no user", async () => {
    const pod = await makePod({ containers: [shell(wait, { securityContext: { runAsNonRoot: true } })] });
    const refused = await until(
      pod,
      ({ status }) =>
        status?.containerStatuses?.[0]?.state.waiting !== undefined &&
        status.containerStatuses[0].state.waiting.reason === "CreateContainerConfigError",
    );
    expect(refused.status?.containerStatuses?.[0]?.state.waiting?.message).toContain("will run as root");
    await remove(pod, 0);
    await gone(pod);
  });
});

describe("order", () => {
  const say = (name: string) => `echo ${name} >> /shared/order`;
  const onTerm = (name: string) =>
    `trap '${say(name)}; exit 0' TERM; ${say(`${name}-up`)}; while :; do sleep 0.05; done`;
  const sidecar = (name: string): Container => ({
    ...shell(onTerm(name), { volumeMounts, restartPolicy: "Always" }),
    name,
    startupProbe: { exec: { command: ["grep", "-q", `${name}-up`, "/shared/order"] }, periodSeconds: 1 },
  });

  it("is init containers and sidecars one by one, then containers; sidecars end last, the last one first", async () => {
    const hostPath = `${lab.directory}/order`;
    const pod = await makePod({
      volumes: [{ name: "shared", hostPath: { path: hostPath, type: "DirectoryOrCreate" } }],
      initContainers: [{ ...shell(say("first"), { volumeMounts }), name: "first" }, sidecar("one"), sidecar("two")],
      containers: [shell(onTerm("main"), { volumeMounts })],
    });
    await until(pod, isReady);
    await exec(pod, ["sh", "-c", "until grep -q main-up /shared/order; do sleep 0.05; done"]);
    // What they write last is read after their end, from the machine.
    await remove(pod, 20);
    await gone(pod);

    expect(readFileSync(`${hostPath}/order`, "utf8").trim().split("\n")).toEqual([
      "first",
      "one-up",
      "two-up",
      "main-up",
      "main",
      "two",
      "one",
    ]);
  });

  it("is postStart beside the program, preStop before SIGTERM, and SIGKILL when the grace period is over", async () => {
    const hostPath = `${lab.directory}/hooks`;
    const lifecycle = {
      postStart: { exec: { command: ["sh", "-c", say("postStart")] } },
      preStop: { exec: { command: ["sh", "-c", `${say("preStop")}; sleep 0.3`] } },
    };
    const script = `trap '${say("TERM")}' TERM; until grep -q postStart /shared/order; do sleep 0.05; done; while :; do sleep 0.05; done`;
    const pod = await makePod({
      volumes: [{ name: "shared", hostPath: { path: hostPath, type: "DirectoryOrCreate" } }],
      containers: [shell(script, { volumeMounts, lifecycle })],
    });
    await until(pod, isReady);
    await exec(pod, ["sh", "-c", "until grep -q postStart /shared/order; do sleep 0.05; done"]);
    const begun = Date.now();
    await remove(pod, 2);
    await gone(pod);
    expect(Date.now() - begun).toBeGreaterThan(1_800);

    expect(readFileSync(`${hostPath}/order`, "utf8").trim().split("\n")).toEqual(["postStart", "preStop", "TERM"]);
  });
});

describe("restarts", () => {
  const restarts = (pod: { status?: { containerStatuses?: readonly { restartCount: number }[] } }): number =>
    pod.status?.containerStatuses?.[0]?.restartCount ?? 0;

  it("follow a failed liveness probe, and pauses grow after the first", async () => {
    const livenessProbe = {
      exec: { command: ["test", "-e", "/shared/fine"] },
      periodSeconds: 1,
      failureThreshold: 1,
    };
    const pod = await makePod({ volumes, containers: [shell(wait, { volumeMounts, livenessProbe })] });
    // Once at once, then after a pause that has a name.
    const paused = await until(pod, ({ status }) => {
      const waiting = status?.containerStatuses?.[0]?.state.waiting;
      return waiting?.reason === "CrashLoopBackOff" && restarts({ status: status ?? {} }) === 1;
    });
    expect(paused.status?.containerStatuses?.[0]?.state.waiting?.message).toMatch(/^back-off 10s restarting/);
    await remove(pod, 0);
    await gone(pod);
  });

  it("come after the pod's own namespaces were killed, with the same address", async () => {
    const pod = await until(await makePod({ containers: [shell(wait)] }), isReady);
    const [holder = 0] = processesWithEnvironment("TOMBOLO_POD_UID", pod.metadata.uid ?? "");
    expect(sendSignal(holder, "SIGKILL")).toBe(true);
    const again = await until(pod, (now) => restarts(now) === 1 && isReady(now));
    expect(again.status?.podIP).toBe(pod.status?.podIP);
    expect((await exec(pod, ["hostname"])).stdout).toBe(`${pod.metadata.name}\n`);
    await remove(pod, 0);
    await gone(pod);
  });
});

it("a shell on a terminal ends with its own exit code, and Ctrl-C reaches what runs in it", async () => {
  const pod = await until(await makePod({ containers: [shell(wait)] }), isReady);
  expect((await exec(pod, ["sh"], "exit 4\n", true)).code).toBe(4);
  const session = await lab.streams.exec(pod, "main", {
    command: ["sh", "-c", "echo begun; exec sleep 300"],
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
  });
  session.stdout?.once("data", () => session.stdin?.write("\u0003"));
  expect((await session.exit).code).toBe(130);
  await remove(pod, 0);
});
