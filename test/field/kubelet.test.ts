/** The kubelet and the network of one cluster with two nodes, over an API server in memory. Needs root. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { Pod } from "../../src/core/api/pod.ts";
import { builtin } from "../../src/core/api/resources.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { run } from "../../src/io/host/processes.ts";
import { machinePath } from "../../src/apps/sandbox/network/addresses.ts";
import { namespacesOf } from "../../src/apps/sandbox/network/leftovers.ts";
import { isReady, KubeletLab, shell, textOf } from "./kit/kubelets.ts";

const host = systemHost("warn");
const lab = new KubeletLab("kt", "100.90");
const { plan, client, streams, ending, sandboxId, makePod, until, exec, remove, gone } = lab;

beforeAll(() => lab.start());
afterAll(() => lab.end());

it("runs a pod with its own host name, files, environment and token, and answers exec", async () => {
  const env = [
    { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
    { name: "TEXT", value: "at $(IP)" },
  ];
  const volumeMounts = [{ name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" }];
  const volumes = [{ name: "token", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }];
  const containers = [shell("echo started; exec sleep 600", { env, volumeMounts })];
  const pod = await until(await makePod({ volumes, containers }), isReady);
  expect(pod.status?.podIP).toMatch(/^10\.17\.1\./);
  const seen = await exec(pod, [
    "sh",
    "-c",
    'hostname; echo "$TEXT"; cat /etc/resolv.conf; cat /var/run/secrets/kubernetes.io/serviceaccount/token; exit 7',
  ]);
  expect(seen.code).toBe(7);
  expect(seen.stdout).toContain(`${pod.metadata.name}\nat ${pod.status?.podIP}\nsearch default.svc.cluster.local`);
  expect(seen.stdout).toContain("nameserver 10.96.0.10");
  expect(seen.stdout).toContain("a.b.c");
  expect((await exec(pod, ["cat"], "from stdin")).stdout).toBe("from stdin");
  expect((await exec(pod, ["sh", "-c", "tty; exit 3"], undefined, true)).code).toBe(3);
  expect((await exec(pod, ["sh", "-c", "echo x > /file-of-pod; cat /proc/mounts | wc -l; ls /run"])).code).toBe(0);
  expect((await run("ls", ["/file-of-pod"])).code).not.toBe(0);
  const logs = await streams.logs(pod, "main", {
    follow: false,
    previous: false,
    timestamps: false,
    signal: ending.signal,
  });
  expect(await textOf(logs)).toBe("started\n");
  await remove(pod, 5);
  await gone(pod);
  expect(namespacesOf(sandboxId).filter((name) => name.includes("-pod-"))).toEqual([]);
});

it("carries traffic between pods of two nodes, and from the node to a pod's probe", async () => {
  const serve = `exec ${process.execPath} -e 'require("http").createServer((q,s)=>s.end("hi "+q.socket.remoteAddress)).listen(8080)'`;
  const readinessProbe = { httpGet: { path: "/", port: "http" }, periodSeconds: 1 };
  const ports = [{ name: "http", containerPort: 8080 }];
  const made = await makePod({ containers: [shell(serve, { readinessProbe, ports })] }, 1);
  const server = await until(made, isReady);
  const caller = await until(await makePod({ containers: [shell("exec sleep 600")] }), isReady);
  const answer = await exec(caller, ["curl", "-s", "-m", "5", `http://${server.status?.podIP}:8080/`]);
  expect(answer.stdout).toContain(`hi ::ffff:${caller.status?.podIP}`);
  const forward = await streams.portForward(server, 8080);
  forward.end("GET / HTTP/1.0\r\n\r\n");
  expect(await textOf(forward as unknown as Readable)).toContain("hi ::ffff:127.0.0.1");
  await expect(streams.portForward(server, 9)).rejects.toThrow(/refused/);
  await Promise.all([remove(server, 1), remove(caller, 1)]);
  await Promise.all([gone(server), gone(caller)]);
});

it("runs init containers first, restarts what fails, and keeps the log of the run before", async () => {
  const volumes = [{ name: "shared", emptyDir: {} }];
  const volumeMounts = [{ name: "shared", mountPath: "/shared" }];
  const pod = await makePod({
    volumes,
    initContainers: [{ ...shell("echo 0 > /shared/runs", { volumeMounts }), name: "first" }],
    containers: [
      shell(
        "n=$(cat /shared/runs); echo run $n; echo $((n+1)) > /shared/runs; [ $n -gt 0 ] && exec sleep 600; exit 4",
        {
          volumeMounts,
        },
      ),
    ],
  });
  const restarted = await until(pod, (now) => now.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(now));
  const [status] = restarted.status?.containerStatuses ?? [];
  expect(status?.lastState?.terminated).toMatchObject({ exitCode: 4, reason: "Error" });
  const options = { follow: false, timestamps: false, signal: ending.signal };
  expect(await textOf(await streams.logs(restarted, "main", { ...options, previous: true }))).toBe("run 0\n");
  // Ready as soon as the program runs, which is before it has said anything.
  await vi.waitFor(async () => {
    expect(await textOf(await streams.logs(restarted, "main", { ...options, previous: false }))).toBe("run 1\n");
  }, 10_000);
  await remove(pod, 1);
  await gone(pod);
});

it("finishes a pod that is not to restart, and follows its log to the end", async () => {
  const pod = await makePod({
    restartPolicy: "Never",
    containers: [shell("for i in 1 2 3; do echo line $i; sleep 0.1; done")],
  });
  await until(
    pod,
    ({ status }) => status?.containerStatuses?.[0]?.state.running !== undefined || status?.phase === "Succeeded",
  );
  const follow = { follow: true, previous: false, timestamps: false, signal: ending.signal };
  expect(await textOf(await streams.logs(pod, "main", follow))).toBe("line 1\nline 2\nline 3\n");
  await until(pod, ({ status }) => status?.phase === "Succeeded");
  await remove(pod, 0);
  await gone(pod);
});

it("lets a program finish on SIGTERM, and kills one that does not", async () => {
  const polite = await until(
    await makePod({ containers: [shell("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done")] }),
    isReady,
  );
  const stubborn = await until(
    await makePod({ containers: [shell("trap '' TERM; while :; do sleep 0.05; done")] }),
    isReady,
  );
  const follow = { follow: true, previous: false, timestamps: false, signal: ending.signal };
  const log = textOf(await streams.logs(polite, "main", follow));
  await Promise.all([remove(polite, 20), remove(stubborn, 1)]);
  await Promise.all([gone(polite), gone(stubborn)]);
  expect(await log).toBe("bye\n");
});

it("says how to map an image that it does not know", async () => {
  const pod = await makePod({ containers: [shell("true", { image: "example.com/team/app:1" })] });
  const waiting = await until(
    pod,
    ({ status }) => status?.containerStatuses?.[0]?.state.waiting?.reason === "ErrImagePull",
  );
  const message = waiting.status?.containerStatuses?.[0]?.state.waiting?.message;
  expect(message).toContain("tombolo sandbox load example.com/team/app:1 -- ");
  await remove(pod, 0);
  await gone(pod);
});

it("leads Services to pods of any node, to the caller itself, from outside, and refuses those without endpoints", async () => {
  const serve = `exec ${process.execPath} -e 'require("http").createServer((q,s)=>s.end(require("os").hostname()+" "+q.socket.remoteAddress+"\\n")).listen(8080)'`;
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
  const servers = await Promise.all(
    [0, 1].map(async (node) => until(await makePod({ containers: [shell(serve, { readinessProbe })] }, node), isReady)),
  );
  const [near, far] = servers as [Pod, Pod];
  const balancer = `${plan.underlay}.${plan.index}.200`;
  const serviceNamed = (name: string, clusterIP: string, extra: object = {}) =>
    client.create(builtin.services, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "default" },
      spec: { clusterIP, ports: [{ port: 80, nodePort: 30080 }], ...extra },
    });
  await serviceNamed("empty", "10.96.0.8");
  const web = await serviceNamed("web", "10.96.0.7", { type: "LoadBalancer" });
  const status = { loadBalancer: { ingress: [{ ip: balancer }] } };
  await client.update(builtin.services, { ...web, status }, { subresource: "status" });
  await client.create(builtin.endpointSlices, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: servers.map(({ status: own, spec }) => ({ addresses: [own!.podIP!], nodeName: spec.nodeName! })),
    ports: [{ port: 8080, protocol: "TCP" }],
  });
  const seen = async (url: string) => {
    const names = new Set<string>();
    for (let call = 0; call < 24; call += 1) {
      const { stdout } = await exec(near, ["curl", "-s", "-m", "3", url]);
      names.add(stdout.split(" ")[0] ?? "");
    }
    return [...names].toSorted();
  };
  const both = [near.metadata.name, far.metadata.name].toSorted();
  const fromHost = async (url: string) => (await run("curl", ["-s", "-m", "3", url])).stdout;
  const untilMs = Date.now() + 10_000;
  while ((await fromHost(`http://${balancer}/`)) === "" && Date.now() < untilMs) await host.clock.sleep(50);
  expect(await seen("http://10.96.0.7/")).toEqual(both);
  expect(await seen(`http://${balancer}/`)).toEqual(both);
  for (const { address } of plan.nodes) expect(await fromHost(`http://${address}:30080/`)).toContain("pod-");
  const refused = await exec(near, ["curl", "-sS", "-m", "3", "http://10.96.0.8/"]);
  expect(refused.stderr).toMatch(/refused|Couldn't connect|Failed to connect/i);
  expect((await exec(near, ["curl", "-sS", "-m", "3", "http://10.96.99.99/"])).stderr).toMatch(
    /refused|Couldn't connect|Failed to connect/i,
  );
  const own = await run("curl", ["-s", "-m", "3", "http://10.96.0.7/"], {
    inside: { net: `/run/netns/${plan.nodes[0]!.netns}` },
  });
  expect(own.stdout).toContain("pod-");
  await Promise.all(servers.map((pod) => remove(pod, 1)));
  await Promise.all(servers.map(gone));
});

it("runs the CNI plugins that are chained on the node before a pod starts and at its end, with the node's own /run", async () => {
  const node = plan.nodes[0]!.netns;
  const file = machinePath(node, "/etc/cni/net.d/10-sandbox.conflist");
  const program = machinePath(node, "/opt/cni/bin/witness");
  const said = machinePath(node, "/run/tombolo/witness.log");
  const script = (code: number) => `#!/bin/sh
input=$(cat)
printf '%s %s %s %s\n' "$CNI_COMMAND" "$CNI_NETNS" "$CNI_ARGS" "$input" >>/run/tombolo/witness.log
[ "$CNI_COMMAND" = DEL ] && exit 0
[ ${code} = 0 ] && echo '{"cniVersion":"1.0.0"}' || echo '{"code":11,"msg":"not today"}'
exit ${code}
`;
  const before = readFileSync(file, "utf8");
  const list = JSON.parse(before) as { plugins: object[] };
  mkdirSync(dirname(program), { recursive: true });
  writeFileSync(program, script(1), { mode: 0o755 });
  writeFileSync(file, JSON.stringify({ ...list, plugins: [...list.plugins, { type: "witness", color: "red" }] }));
  const here = await makePod({ containers: [shell("exec sleep 600")] });
  const elsewhere = await until(await makePod({ containers: [shell("exec sleep 600")] }, 1), isReady);
  const messages = async () => {
    const { items } = await client.list(builtin.events, { namespace: "default" });
    return items
      .filter((one) => one["involvedObject"] && (one["involvedObject"] as { uid: string }).uid === here.metadata.uid)
      .map(({ message }) => message);
  };
  await vi.waitFor(
    async () => expect((await messages()).join()).toContain("CNI plugin witness failed: not today"),
    10_000,
  );
  writeFileSync(program, script(0), { mode: 0o755 });
  const started = await until(here, isReady);
  await Promise.all([remove(here, 0), remove(elsewhere, 0)]);
  await Promise.all([gone(here), gone(elsewhere)]);
  writeFileSync(file, before);
  const lines = readFileSync(said, "utf8").trim().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["ADD", "ADD", "DEL"]);
  expect(lines[1]).toContain(` /run/netns/tmb-${sandboxId}-kt-pod-`);
  expect(lines[1]).toContain(`K8S_POD_NAME=${here.metadata.name};K8S_POD_UID=${here.metadata.uid}`);
  expect(lines[1]).toContain(`"prevResult":{"cniVersion":"1.0.0","ips":[{"address":"${started.status?.podIP}/32"}]}`);
  expect(lines[1]).toContain('"color":"red"');
});
