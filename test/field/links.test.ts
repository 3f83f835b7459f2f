/**
 * A link under every combination of what can be up or down: the control link, the data path, the pods behind it. Each cell is
 * real calls. Then a paused control plane, gateways with names, several of them, and unlinking.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LinkFaults } from "./kit/link-faults.ts";
import { poll } from "./kit/program.ts";
import { linked, reportFailures, type Sandbox, useSandbox } from "./kit/sandbox.ts";

const controlPort = 15012;
const dataPort = 15008;
const remoteGateway = "istio-remote-peer-cluster2";

interface GatewayObject {
  readonly spec: { readonly addresses?: readonly { readonly value: string }[] };
  readonly status?: {
    readonly addresses?: readonly { readonly value: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  };
}

let sandbox: Sandbox;
let faults: LinkFaults;

/** `app` is ready while the file is there. */
const server = (name: string, labels: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: links, labels: {${labels}}}
spec:
  containers:
    - name: web
      image: mccutchen/go-httpbin:2.18.3
      args: [-use-real-hostname]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
---
`;
const service = (name: string, distribution: string) => `
apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: links
  labels: {solo.io/service-scope: global}
  annotations: {networking.istio.io/traffic-distribution: ${distribution}}
spec:
  selector: {${name}: "yes"}
  ports: [{name: http, port: 8000, targetPort: 8080}]
---
`;
const namespace = `
apiVersion: v1
kind: Namespace
metadata: {name: links, labels: {istio.io/dataplane-mode: ambient}}
---
`;
const client = `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: links}
spec:
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
---
`;

/** Who answered each of `count` calls, one after the other, each on a connection of its own; "" for nobody. */
async function call(host: string, count: number, seconds = 5): Promise<readonly string[]> {
  const one = `curl -s -m ${seconds} ${host}.links.mesh.internal:8000/hostname | tr -d '{}": \\n'; echo`;
  const script = `for i in $(seq ${count}); do ${one}; done`;
  const { stdout } = await sandbox.exec("cluster1", "links client", ["sh", "-c", script], 60_000);
  return stdout
    .split("\n")
    .slice(0, count)
    .map((line) => line.replace(/^hostname/, ""));
}

const setReady = (isReady: boolean) =>
  sandbox.exec("cluster2", "links far", isReady ? ["touch", "/tmp/ready"] : ["rm", "-f", "/tmp/ready"]);

const gatewayOf = (cluster: string, name: string) =>
  sandbox.json<GatewayObject>(cluster, `-n istio-gateways get gateway ${name}`);

async function reasonOf(type: string): Promise<string | undefined> {
  const { status } = await gatewayOf("cluster1", remoteGateway);
  const found = status?.conditions?.find((one) => one.type === `gloo.solo.io/${type}`);
  return found && `${found.status} ${found.reason}`;
}

const addressesOf = async (name: string): Promise<readonly string[]> =>
  ((await gatewayOf("cluster2", name)).status?.addresses ?? []).map(({ value }) => value);

beforeAll(async () => {
  sandbox = await useSandbox(linked);
  faults = new LinkFaults(sandbox);
  await sandbox.apply(
    "cluster2",
    namespace + service("far", "Any") + service("both", "Any") + server("far", 'far: "yes", both: "yes"'),
  );
  await sandbox.apply("cluster1", namespace + service("both", "Any") + server("near", 'both: "yes"') + client);
  const started = (cluster: string, pod: string) =>
    poll(`${pod} to run`, async () => (await sandbox.exec(cluster, `links ${pod}`, ["true"])).code === 0, {
      msMax: 60_000,
    });
  await Promise.all([started("cluster1", "near"), started("cluster1", "client"), started("cluster2", "far")]);
  await sandbox.exec("cluster1", "links near", ["touch", "/tmp/ready"]);
  await setReady(true);
  await poll("both clusters to answer", async () => new Set(await call("both", 8)).size === 2, { msMax: 60_000 });
}, 240_000);

reportFailures(() => sandbox);

afterAll(async () => {
  for (const port of [controlPort, dataPort]) faults?.heal("cluster2", port);
  for (const cluster of sandbox?.clusters ?? []) {
    await sandbox.kubectl(cluster, "delete namespace links --ignore-not-found --wait=false");
  }
}, 60_000);

describe("a link with", () => {
  interface Cell {
    readonly control: "up" | "down";
    readonly data: "up" | "down";
    readonly pods: "ready" | "not ready";
    /** Who answers a service that only the peer has, and who one that both have, without a preference. */
    readonly far: "far" | "nobody";
    readonly both: "far,near" | "near";
  }
  /** One thing changes from row to row. */
  const cells: readonly Cell[] = [
    { control: "up", data: "up", pods: "ready", far: "far", both: "far,near" },
    { control: "up", data: "up", pods: "not ready", far: "nobody", both: "near" },
    { control: "up", data: "down", pods: "not ready", far: "nobody", both: "near" },
    { control: "up", data: "down", pods: "ready", far: "nobody", both: "near" },
    { control: "down", data: "down", pods: "ready", far: "nobody", both: "near" },
    { control: "down", data: "up", pods: "ready", far: "far", both: "far,near" },
    { control: "down", data: "up", pods: "not ready", far: "nobody", both: "near" },
    { control: "down", data: "down", pods: "not ready", far: "nobody", both: "near" },
  ];
  const set = (port: number, state: "up" | "down", addresses: readonly string[]) =>
    state === "up" ? faults.heal("cluster2", port) : faults.cut("cluster2", port, addresses);

  it.each(cells)(
    "the control link $control, the data path $data and pods $pods: $far answers, or $both where both could",
    async ({ control, data, pods, far, both }) => {
      const addresses = await addressesOf("istio-eastwest");
      set(controlPort, control, addresses);
      set(dataPort, data, addresses);
      await setReady(pods === "ready");
      const shown = control === "up" ? "True Synced" : "False Stale";
      await poll(`the link to be shown as ${shown}`, async () => (await reasonOf("PeeringSucceeded")) === shown, {
        msMax: 40_000,
      });
      const answered = far === "far" ? "far" : "";
      await poll(`the answer of ${far}`, async () => (await call("far", 1, 2))[0] === answered, { msMax: 30_000 });
      expect(await call("far", 2, 2)).toEqual([answered, answered]);
      // Where the peer cannot answer, no call to a service that both have is lost. One that was dead is tried again in time.
      await poll(
        `answers of ${both}`,
        async () => {
          const names = await call("both", 12);
          expect(names).not.toContain("");
          return [...new Set(names)].toSorted().join() === both;
        },
        { msMax: 45_000 },
      );
    },
    120_000,
  );

  it("all of it up again is what it was", async () => {
    for (const port of [controlPort, dataPort]) faults.heal("cluster2", port);
    await setReady(true);
    await poll("the peer to answer", async () => (await call("far", 1))[0] === "far", { msMax: 40_000 });
    await poll("the link to be live", async () => (await reasonOf("PeerConnected")) === "True Connected", {
      msMax: 40_000,
    });
    await poll("both clusters to answer", async () => new Set(await call("both", 8)).size === 2, { msMax: 40_000 });
  }, 120_000);
});

describe("a dead gateway", () => {
  it("is left within two seconds, and costs no call where another can answer", async () => {
    faults.cut("cluster2", dataPort, await addressesOf("istio-eastwest"));
    const began = Date.now();
    const first = await call("both", 10);
    expect(first.every((name) => name === "near" || name === "far")).toBe(true);
    // The first calls find out; what begins two seconds after the failure does not wait for the dead any more.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 2_000 - (Date.now() - began))));
    const timed =
      "for i in $(seq 10); do curl -s -m 5 -o /dev/null -w '%{http_code} %{time_total}\\n' both.links.mesh.internal:8000/hostname; done";
    const { stdout } = await sandbox.exec("cluster1", "links client", ["sh", "-c", timed], 60_000);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" "));
    faults.heal("cluster2", dataPort);
    expect(rows.map(([code]) => code)).toEqual(Array.from({ length: 10 }, () => "200"));
    expect(rows.filter(([, seconds]) => Number(seconds) > 1).length, stdout).toBeLessThanOrEqual(1);
  }, 60_000);
});

/** Processes of the control planes' pods. */
async function controlPlanes(cluster: string): Promise<readonly number[]> {
  interface Pods {
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  }
  const { items } = await sandbox.json<Pods>(cluster, "-n istio-system get pods -l app=tombolod");
  const names = new Set(items.map(({ metadata }) => metadata.name));
  const environment = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => names.has(/(?:^|\0)POD_NAME=([^\0]*)/.exec(environment(pid))?.[1] ?? ""))
    .map(Number);
}

describe("a paused control plane", () => {
  it("changes nothing for traffic, on either side", async () => {
    const pids = (await Promise.all(sandbox.clusters.map(controlPlanes))).flat();
    expect(pids.length).toBeGreaterThanOrEqual(2);
    await poll("both clusters to answer", async () => new Set(await call("both", 8)).size === 2, { msMax: 45_000 });
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      expect(await call("far", 10)).toEqual(Array.from({ length: 10 }, () => "far"));
      expect([...new Set(await call("both", 12))].toSorted()).toEqual(["far", "near"]);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    await poll("the link to be live", async () => (await reasonOf("PeerConnected")) === "True Connected", {
      msMax: 60_000,
    });
  }, 120_000);
});

describe("a peer's gateways", () => {
  const second = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: istio-eastwest-2
  namespace: istio-gateways
  labels: {istio.io/expose-istiod: "15012", topology.istio.io/network: cluster2}
spec:
  gatewayClassName: istio-eastwest
  listeners:
    - {name: cross-network, port: 15008, protocol: HBONE, tls: {mode: Passthrough}}
    - {name: xds-tls, port: 15012, protocol: TLS, tls: {mode: Passthrough}}
`;
  const named = (address: string) => `
apiVersion: v1
kind: Service
metadata: {name: peer, namespace: links}
spec: {clusterIP: None, ports: [{name: data, port: 15008}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peer-1, namespace: links, labels: {kubernetes.io/service-name: peer}}
addressType: IPv4
ports: [{name: data, port: 15008, protocol: TCP}]
endpoints: [{addresses: [${address}], conditions: {ready: true}}]
---
`;
  const setAddresses = (type: string, values: readonly string[]) => {
    const addresses = values.map((value) => ({ type, value }));
    const patch = JSON.stringify({ spec: { addresses } });
    return sandbox.kubectl("cluster1", [
      "-n",
      "istio-gateways",
      "patch",
      "gateway",
      remoteGateway,
      "--type=merge",
      "-p",
      patch,
    ]);
  };
  const isAnswered = async () => (await call("far", 4)).every((name) => name === "far");
  const live = () =>
    poll("the link to be live", async () => (await reasonOf("PeerConnected")) === "True Connected", { msMax: 60_000 });

  it("may be several, of which the dead ones do not matter", async () => {
    const [first = ""] = await addressesOf("istio-eastwest");
    await sandbox.apply("cluster2", second);
    await sandbox.kubectl(
      "cluster2",
      "-n istio-gateways wait --for=condition=Programmed gateway/istio-eastwest-2 --timeout=60s",
      {
        msMax: 70_000,
      },
    );
    await poll("an address", async () => (await addressesOf("istio-eastwest-2")).length === 1);
    const [other = ""] = await addressesOf("istio-eastwest-2");
    expect(other).not.toBe(first);
    // As the CLI writes them.
    await sandbox.tombolo("multicluster link --from cluster1 --to cluster2");
    const { spec } = await gatewayOf("cluster1", remoteGateway);
    expect((spec.addresses ?? []).map(({ value }) => value).toSorted()).toEqual([first, other].toSorted());
    await poll("an answer", isAnswered);
    for (const dead of [first, other]) {
      for (const port of [dataPort, controlPort]) faults.cut("cluster2", port, [dead]);
      await poll(`answers without ${dead}`, isAnswered, { msMax: 15_000 });
      await live();
    }
    for (const port of [dataPort, controlPort]) faults.heal("cluster2", port);
  }, 180_000);

  it("may have a name, and are followed when the name moves", async () => {
    const [first = ""] = await addressesOf("istio-eastwest");
    const [other = ""] = await addressesOf("istio-eastwest-2");
    await sandbox.apply("cluster1", named(first));
    await setAddresses("Hostname", ["peer.links.svc.cluster.local"]);
    await poll("answers through the name", isAnswered, { msMax: 30_000 });
    await live();
    await sandbox.apply("cluster1", named(other));
    // The name's time to live is over within 30 s; then nothing goes to the first address any more.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await poll(
      "answers through the new address",
      async () => {
        for (const port of [dataPort, controlPort]) faults.cut("cluster2", port, [first]);
        return isAnswered();
      },
      { msMax: 45_000 },
    );
    await live();
    for (const port of [dataPort, controlPort]) faults.heal("cluster2", port);
  }, 180_000);

  it("that change their address are followed at once", async () => {
    const [first = ""] = await addressesOf("istio-eastwest");
    const [other = ""] = await addressesOf("istio-eastwest-2");
    for (const address of [first, other, first]) {
      await setAddresses("IPAddress", [address]);
      await poll(`answers through ${address}`, isAnswered, { msMax: 10_000 });
    }
    await live();
    await sandbox.kubectl("cluster2", "-n istio-gateways delete gateway istio-eastwest-2");
    expect(await call("far", 4)).toEqual(["far", "far", "far", "far"]);
  }, 60_000);
});

describe("linking and unlinking", () => {
  const kept = async (cluster: string) => {
    const entries = await sandbox.kubectl(cluster, "-n istio-system get workloadentry,configmap -o name");
    return entries.split("\n").filter((name) => /autogen\.|tombolo-peer-/.test(name));
  };

  it("again changes nothing", async () => {
    interface Metadata {
      readonly metadata: { readonly generation: number; readonly uid: string };
    }
    const look = () => sandbox.json<Metadata>("cluster1", `-n istio-gateways get gateway ${remoteGateway}`);
    await sandbox.tombolo("multicluster link --contexts=cluster1,cluster2");
    const before = await look();
    await sandbox.tombolo("multicluster link --contexts=cluster1,cluster2");
    const after = await look();
    expect(after.metadata.generation).toBe(before.metadata.generation);
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(await call("far", 2)).toEqual(["far", "far"]);
  });

  it("takes everything of the peer away on both sides within seconds, and brings it back", async () => {
    await poll("what is remembered", async () =>
      (await kept("cluster1")).some((name) => name.includes("tombolo-peer-")),
    );
    await sandbox.tombolo("multicluster unlink --contexts=cluster1,cluster2");
    for (const cluster of sandbox.clusters) {
      await poll(`nothing of the peer in ${cluster}`, async () => (await kept(cluster)).length === 0, {
        msMax: 10_000,
      });
    }
    expect(await call("far", 1)).toEqual([""]);
    expect([...new Set(await call("both", 4))]).toEqual(["near"]);
    await sandbox.tombolo("multicluster link --contexts=cluster1,cluster2");
    await poll("the peer to answer", async () => (await call("far", 1))[0] === "far", { msMax: 30_000 });
  }, 90_000);
});
