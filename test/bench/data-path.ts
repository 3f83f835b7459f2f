/**
 * The data path through a real sandbox: wrk and iperf3 in a client pod against servers outside the mesh (raw), in the mesh
 * on the same node, on another node, and in the other cluster. Rounds go over all paths, so that raw and meshed figures
 * come from the same minutes of the machine.
 */
import type { Kube } from "./kube.ts";

const near = "cluster1";
const far = "cluster2";
const httpPort = 8080;
const tcpPort = 5201;
const rounds = 2;
const seconds = 2;
export const connectionCounts = [1, 16, 64] as const;
const newConnectionClients = 16;

export interface LoadFigure {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface PathResult {
  readonly name: string;
  /** Kept connections: by number of connections. */
  readonly kept: Readonly<Record<number, LoadFigure>>;
  readonly fresh: LoadFigure;
  readonly gigabits: number;
}

interface Path {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
}

const envoyConfig = (who: string) => ({
  static_resources: {
    listeners: [
      {
        address: { socket_address: { address: "0.0.0.0", port_value: httpPort } },
        filter_chains: [{ filters: [{ name: "http", typed_config: httpConnectionManager(who) }] }],
      },
    ],
  },
});

const httpConnectionManager = (who: string) => ({
  "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  stat_prefix: "http",
  route_config: {
    virtual_hosts: [
      {
        name: "all",
        domains: ["*"],
        routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: who } } }],
      },
    ],
  },
  http_filters: [
    {
      name: "router",
      typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    },
  ],
});

const podOf = (namespace: string, name: string, node: string, spec: object) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { app: name } },
  spec: { nodeName: node, terminationGracePeriodSeconds: 0, ...spec },
});

const clientPod = (namespace: string, node: string) =>
  podOf(namespace, "client", node, {
    containers: [{ name: "client", image: "debian", command: ["sleep", "3600"] }],
  });

/** An Envoy with one worker that answers by itself, and an iperf3 server. */
function serverPod(namespace: string, name: string, node: string): readonly object[] {
  const config = { "envoy.json": JSON.stringify(envoyConfig(name)) };
  const args = ["-c", "/etc/bench/envoy.json", "--concurrency", "1", "--disable-hot-restart", "-l", "error"];
  const mounts = [{ name: "config", mountPath: "/etc/bench" }];
  const containers = [
    { name: "http", image: "envoyproxy/envoy", args, volumeMounts: mounts, readinessProbe: tcpProbe(httpPort) },
    { name: "tcp", image: "debian", command: ["iperf3", "-s", "-p", String(tcpPort)] },
  ];
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: config },
    podOf(namespace, name, node, { containers, volumes: [{ name: "config", configMap: { name } }] }),
  ];
}

const tcpProbe = (port: number) => ({ tcpSocket: { port }, periodSeconds: 1 });

const namespaceOf = (name: string, isMeshed: boolean) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: isMeshed ? { "istio.io/dataplane-mode": "ambient" } : {} },
});

export const serviceOf = (namespace: string, name: string, app: string, labels: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace, labels },
  spec: {
    selector: { app },
    ports: [
      { name: "tcp-http", port: httpPort, targetPort: httpPort },
      { name: "tcp", port: tcpPort, targetPort: tcpPort },
    ],
  },
});

export async function deploy(kube: Kube): Promise<void> {
  const twoNodes = (namespace: string) => [
    clientPod(namespace, `${near}-node1`),
    ...serverPod(namespace, "same", `${near}-node1`),
    ...serverPod(namespace, "other", `${near}-node2`),
  ];
  await kube.apply(near, [
    namespaceOf("bench-raw", false),
    ...twoNodes("bench-raw"),
    namespaceOf("bench", true),
    ...twoNodes("bench"),
    serviceOf("bench", "same", "same"),
    serviceOf("bench", "other", "other"),
  ]);
  await kube.apply(far, [
    namespaceOf("bench", true),
    ...serverPod("bench", "cross", `${far}-node1`),
    serviceOf("bench", "cross", "cross", { "solo.io/service-scope": "global" }),
  ]);
  for (const [cluster, namespace] of [
    [near, "bench-raw"],
    [near, "bench"],
    [far, "bench"],
  ] as const) {
    await kube.kubectl(cluster, ["-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]);
  }
}

async function pathsOf(kube: Kube): Promise<readonly Path[]> {
  const address = (name: string) =>
    kube.kubectl(near, ["-n", "bench-raw", "get", "pod", name, "-o", "jsonpath={.status.podIP}"]);
  return [
    { name: "raw, same node", namespace: "bench-raw", host: await address("same") },
    { name: "mesh, same node", namespace: "bench", host: "same.bench.svc.cluster.local" },
    { name: "raw, other node", namespace: "bench-raw", host: await address("other") },
    { name: "mesh, other node", namespace: "bench", host: "other.bench.svc.cluster.local" },
    { name: "mesh, other cluster", namespace: "bench", host: "cross.bench.mesh.internal" },
  ];
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 };

/** What wrk prints with --latency. */
export function parseWrk(text: string): LoadFigure {
  const latency = (share: string): number => {
    const [, value = "", unit = ""] = new RegExp(String.raw`^\s+${share}%\s+([\d.]+)(us|ms|s)$`, "m").exec(text) ?? [];
    return Number(value === "" ? Number.NaN : value) * (unitMs[unit] ?? Number.NaN);
  };
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(text)?.[1]);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const errors = sockets.reduce((sum, count) => sum + Number(count), refused);
  return { perSecond, p50Ms: latency("50"), p99Ms: latency("99"), errors };
}

class Bench {
  readonly #kube: Kube;
  constructor(kube: Kube) {
    this.#kube = kube;
  }

  async wrk({ namespace, host }: Path, connections: number, isFresh: boolean): Promise<LoadFigure> {
    const header = isFresh ? ["-H", "Connection: close"] : [];
    const options = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...header];
    return parseWrk(
      await this.#kube.exec(near, "client", ["wrk", ...options, `http://${host}:${httpPort}/`], namespace),
    );
  }

  async iperf({ namespace, host }: Path): Promise<number> {
    const command = ["iperf3", "-c", host, "-p", String(tcpPort), "-t", String(seconds), "-J"];
    const text = await this.#kube.exec(near, "client", command, namespace);
    // Written by iperf3 -J.
    const told = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
    return told.end.sum_received.bits_per_second / 1e9;
  }

  /** The first connection of a path fetches configuration and certificates; that is another bench. */
  async warm(path: Path): Promise<void> {
    const untilMs = Date.now() + 30_000;
    for (;;) {
      const command = ["curl", "-s", "-o", "/dev/null", "-m", "5", `http://${path.host}:${httpPort}/`];
      const works = await this.#kube.exec(near, "client", command, path.namespace).then(
        () => true,
        () => false,
      );
      if (works) return;
      if (Date.now() > untilMs) throw new Error(`The path "${path.name}" does not work: ${command.join(" ")}`);
    }
  }
}

const best = (figures: readonly LoadFigure[]): LoadFigure => {
  const [first, ...others] = figures;
  if (first === undefined) throw new Error("Nothing was measured.");
  const winner = others.reduce((a, b) => (b.perSecond > a.perSecond ? b : a), first);
  return { ...winner, errors: figures.reduce((sum, one) => sum + one.errors, 0) };
};

/** Of the rounds the best counts: what disturbs a shared machine only ever slows things down. */
export async function measureDataPath(kube: Kube, said: (text: string) => void): Promise<readonly PathResult[]> {
  const bench = new Bench(kube);
  const paths = await pathsOf(kube);
  for (const path of paths) await bench.warm(path);
  const kept = new Map<string, LoadFigure[]>();
  const note = (key: string, figure: LoadFigure) => kept.set(key, [...(kept.get(key) ?? []), figure]);
  const gigabits = new Map<string, number>();
  for (let round = 1; round <= rounds; round += 1) {
    said(`round ${round} of ${rounds}`);
    for (const connections of connectionCounts) {
      for (const path of paths) note(`${path.name} ${connections}`, await bench.wrk(path, connections, false));
    }
    for (const path of paths) note(`${path.name} new`, await bench.wrk(path, newConnectionClients, true));
    for (const path of paths) {
      gigabits.set(path.name, Math.max(gigabits.get(path.name) ?? 0, await bench.iperf(path)));
    }
  }
  const figure = (key: string) => best(kept.get(key) ?? []);
  return paths.map(({ name }) => ({
    name,
    kept: Object.fromEntries(connectionCounts.map((count) => [count, figure(`${name} ${count}`)])),
    fresh: figure(`${name} new`),
    gigabits: gigabits.get(name) ?? 0,
  }));
}
