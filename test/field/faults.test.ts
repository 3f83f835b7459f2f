/**
 * Faults made on purpose, as their user types them: links between clusters, API servers, nodes; that they take hold, that
 * they end by themselves, and that nothing of them stays. Needs root and the built programs.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemHost } from "../../src/io/host/host.ts";
import { run } from "../../src/io/host/processes.ts";
import { OwnSandbox, until } from "./kit/own-sandbox.ts";

const host = systemHost("warn");
const sandbox = new OwnSandbox(["east", "west"], 2);
const addresses = new Map<string, string>();

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
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 3}
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
kind: DaemonSet
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: client, image: nicolaka/netshoot, command: [sh, -c, "while true; do date +%s%N > /tmp/beat; sleep 0.1; done"]}
`;

/** Starts a fault and returns its id. */
async function fault(words: string): Promise<string> {
  const { code, stdout, stderr } = await sandbox.tombolo(`sandbox fault ${words}`);
  if (code !== 0) throw new Error(stderr);
  return stdout.split(":")[0] ?? "";
}

const heal = (id = "") => sandbox.tombolo(`sandbox fault heal ${id}`.trim());
const onNode1 = (cluster: string) =>
  sandbox
    .kubectl(cluster, [
      "get",
      "pod",
      "-l",
      "app=client",
      "--field-selector",
      `spec.nodeName=${cluster}-node1`,
      "-o",
      "name",
    ])
    .then((name) => name.trim());

/** Seconds that a call took, or undefined when it was not answered. */
async function call(from: string, to: string, path = "/status/200", seconds = 2): Promise<number | undefined> {
  const url = `http://${addresses.get(to)}:8000${path}`;
  const format = "%{http_code} %{time_total}";
  const curl = ["curl", "-s", "-o", "/dev/null", "-m", String(seconds), "-w", format, url];
  const { stdout } = await sandbox.tryKubectl(from, ["exec", await onNode1(from), "--", ...curl]);
  const [code, took] = stdout.split(" ");
  return code === "200" ? Number(took) : undefined;
}

beforeAll(async () => {
  await sandbox.up();
  for (const name of ["east", "west"]) {
    await sandbox.kubectl(name, ["apply", "-f", "-"], manifest);
    await sandbox.kubectl(name, ["rollout", "status", "deployment/web", "--timeout=30s"]);
    await sandbox.kubectl(name, ["rollout", "status", "daemonset/client", "--timeout=30s"]);
    const ip = await until("an address", async () => {
      const path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
      return (await sandbox.kubectl(name, ["get", "service", "web", "-o", path])) || undefined;
    });
    addresses.set(name, ip);
  }
  await until("a first answer", async () => call("east", "west"));
}, 90_000);

afterAll(() => sandbox.end(), 60_000);

describe("a link between clusters", () => {
  it("that is cut carries nothing, heals by itself, and is no longer listed", async () => {
    await fault("cut east west --for 6s");
    expect((await sandbox.tombolo("sandbox fault list")).stdout).toContain("no packets east <-> west");
    expect(await call("east", "west", "/status/200", 1)).toBeUndefined();
    expect(await call("west", "east", "/status/200", 1)).toBeUndefined();
    // Within a cluster nothing has changed.
    expect(await call("east", "east")).toBeDefined();
    await until("the end of the fault", async () => call("east", "west"));
    await until("an empty list", async () =>
      (await sandbox.tombolo("sandbox fault list")).stdout === "There are no faults\n" ? true : undefined,
    );
  });

  it("that loses packets one way is slower, and whole again when it is healed", async () => {
    const id = await fault("drop east west --percent 100 --one-way");
    expect(await call("east", "west", "/status/200", 1)).toBeUndefined();
    expect((await heal(id)).stdout).toBe(`Healed: ${id}\n`);
    expect(await call("east", "west")).toBeLessThan(1);
  });

  it("that is limited takes the time that its rate needs, in the one direction", async () => {
    const size = 131_072;
    await fault("limit west east --rate 1mbit --one-way");
    // What west answers passes the limit; what east answers does not.
    expect(await call("east", "west", `/bytes/${size}`, 10)).toBeGreaterThan(0.6);
    expect(await call("west", "east", `/bytes/${size}`, 10)).toBeLessThan(0.6);
    await heal();
    expect(await call("east", "west", `/bytes/${size}`, 10)).toBeLessThan(0.6);
    const netns = `tmb-${sandbox.summary?.id}-west-node1`;
    expect((await run("tc", ["-n", netns, "qdisc", "show", "dev", "eth0"])).stdout).not.toContain("htb");
    expect((await run("ip", ["netns", "exec", netns, "nft", "list", "tables"])).stdout).not.toContain("fault");
  });

  it("is late by what was asked, or the sentence says what the kernel lacks", async () => {
    const { code, stderr } = await sandbox.tombolo("sandbox fault delay east west --by 200ms");
    if (code === 0) expect(await call("east", "west")).toBeGreaterThan(0.4);
    else {
      expect(stderr).toContain("no sch_netem");
      expect((await sandbox.tombolo("sandbox fault list")).stdout).toBe("There are no faults\n");
    }
    await heal();
    expect(await call("east", "west")).toBeLessThan(0.4);
  });
});

describe("an API server", () => {
  const asked = async (): Promise<boolean> =>
    (await sandbox.tryKubectl("east", ["get", "nodes", "--request-timeout=1s"])).code === 0;

  it("that is paused answers nobody, also not on watches, and goes on by itself", async () => {
    await fault("pause-api east --for 4s");
    expect(await asked()).toBe(false);
    expect((await sandbox.tryKubectl("west", ["get", "nodes"])).code).toBe(0);
    // Pods go on without it.
    expect(await call("west", "east")).toBeDefined();
    await until("an answer", async () => ((await asked()) ? true : undefined));
  });

  it("that is slow answers late until it is healed", async () => {
    const timed = async (): Promise<number> => {
      const startMs = host.clock.now();
      await sandbox.kubectl("east", ["get", "--raw", "/version"]);
      return host.clock.now() - startMs;
    };
    await fault("slow-api east --by 1500ms");
    expect(await timed()).toBeGreaterThanOrEqual(1_500);
    await heal();
    expect(await timed()).toBeLessThan(1_500);
  });
});

describe("a node", () => {
  it("that is frozen stands still and goes on later with the same processes", async () => {
    const pod = await onNode1("east");
    const status = () => sandbox.kubectl("east", ["get", pod, "-o", "jsonpath={.status.containerStatuses}"]);
    const before = await status();
    await fault("pause-node east/node1 --for 4s");
    const refused = await sandbox.tryKubectl("east", ["exec", pod, "--", "true"]);
    expect(refused.stderr).toContain("node east-node1 is frozen");
    const date = await until("an answer", async () => sandbox.kubectl("east", ["exec", pod, "--", "cat", "/tmp/beat"]));
    expect(Number(date)).toBeGreaterThan(0);
    expect(await status()).toBe(before);
  });

  it("that loses its power is NotReady, its endpoints leave, its pods are made anew elsewhere, daemons stay", async () => {
    const [node] = ["west-node2"];
    const on = (app: string, column: string) =>
      sandbox.kubectl("west", ["get", "pods", "-l", `app=${app}`, "-o", `jsonpath={range .items[*]}{${column}} {end}`]);
    expect((await on("web", ".spec.nodeName")).split(" ")).toContain(node);
    const daemons = await on("client", ".metadata.uid");
    expect((await sandbox.tombolo("sandbox node stop west/node2")).stdout).toContain("is off");
    const conditions = () =>
      sandbox.kubectl("west", ["get", "node", node ?? "", "-o", "jsonpath={.status.conditions[*].status}"]);
    await until(
      "NotReady",
      async () => ((await conditions()) === "Unknown Unknown Unknown Unknown" ? true : undefined),
      60_000,
    );
    const ready = "jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.nodeName} {end}";
    const endpoints = () =>
      sandbox.kubectl("west", ["get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", ready]);
    await until("the endpoint's end", async () => ((await endpoints()).includes(node ?? "") ? undefined : true));
    await until("two pods elsewhere", async () =>
      (await endpoints()) === "west-node1 west-node1 " ? true : undefined,
    );
    expect(await on("client", ".metadata.uid")).toBe(daemons);

    expect((await sandbox.tombolo("sandbox node start west/node2")).stdout).toContain("is on");
    await until("Ready", async () => ((await conditions()) === "False False False True" ? true : undefined));
    // The pods that were to go are gone now, and the daemon runs again.
    await until("the end of the old pods", async () =>
      (await on("web", ".metadata.name")).trim().split(" ").length === 2 ? true : undefined,
    );
    await sandbox.kubectl("west", ["rollout", "status", "daemonset/client", "--timeout=30s"]);
    expect(await on("client", ".metadata.uid")).toBe(daemons);
  }, 120_000);
});

it("says what it does not know", async () => {
  for (const [words, sentence] of [
    ["fault cut east north", 'no cluster "north"'],
    ["fault cut east", "Name the two clusters"],
    ["fault pause-node east/node7", 'no node "east-node7"'],
    ["fault cut east west --for 2h", "--for 2h: give a time up to 600 s"],
    ["fault heal f99", 'no fault "f99"'],
    ["node stop nowhere", '"nowhere" names no node'],
  ] as const) {
    const { code, stderr } = await sandbox.tombolo(`sandbox ${words}`);
    expect([code > 0, stderr]).toEqual([true, expect.stringContaining(sentence)]);
  }
});

it("leaves no fault behind when the sandbox goes, also one that was in force", async () => {
  await fault("pause-api east --for 60s");
  await fault("pause-node west/node1 --for 60s");
  expect(await sandbox.down()).toBe(true);
  expect((await run("nft", ["list", "tables"])).stdout).not.toContain(`tmb_${sandbox.summary?.id}`);
});
