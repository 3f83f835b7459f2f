/**
 * Two nodes of one cluster and a node and gateway of another, as namespaces, with real Envoys that are driven in process
 * by the code under test. The test owns the replicas and changes them as a control plane would.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extractEnvoySchema, findEnvoy } from "../../../scripts/extract-envoy-schema.mjs";
import { podRoutes, podRules } from "../../../src/apps/agent/capture/rules.ts";
import { bootstrap, envoyArguments } from "../../../src/core/envoy/bootstrap.ts";
import { podWorkloadUid } from "../../../src/core/envoy/endpoints.ts";
import { isOfPeriod } from "../../../src/core/envoy/names.ts";
import { gatewayResourceSet, nodeResourceSet, type ResourceSet } from "../../../src/core/envoy/resource-set.ts";
import type { KeyPair, LocalPod, SecretSource } from "../../../src/core/envoy/view.ts";
import { spiffeId, type MeshService, type Workload } from "../../../src/core/mesh/model.ts";
import { MeshReplica } from "../../../src/core/mesh/replica.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { CertificateAuthority } from "../../../src/io/identity/ca.ts";
import { makeKeyAndCsr } from "../../../src/io/identity/csr.ts";
import { mintIntermediate, mintRoot, type MintedCa } from "../../../src/io/identity/mint.ts";
import { evictIdle } from "../../../src/apps/agent/envoy/idle-clusters.ts";
import { EnvoyAdmin } from "../../../src/apps/agent/envoy/admin.ts";
import { serveEnvoy, type EnvoyServer } from "../../../src/io/xds/envoy-source.ts";
import { EnvoySchema } from "../../../src/io/xds/schema.ts";
import { App } from "./app.ts";
import { kitFile, sh, Wire } from "./netns.ts";
import { poll as pollOf } from "./program.ts";

const trustDomain = "cluster.local";
const nowhere = { region: "", zone: "", subzone: "" };

/** Unanswered retransmissions after which a peer counts as gone: 12.6 s. */
const retriesMax = 5;

export interface PodSpec {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
  readonly account: string;
}

interface Node {
  readonly name: string;
  readonly cluster: string;
  readonly network: string;
  readonly pods: Map<string, LocalPod>;
  readonly server: EnvoyServer;
}

interface LogLine {
  readonly direction: string;
  readonly identity: string | null;
  readonly source: string;
  readonly upstream: string | null;
  /** Why TLS to the upstream failed. */
  readonly failure: string | null;
  readonly flags: string;
  readonly ms: number;
}

export const identityOfAccount = (account: string): string => spiffeId(trustDomain, "shop", account);

/** What Envoy does takes milliseconds: closer looks than at a sandbox. */
export const poll = <T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  msMax = 10_000,
): Promise<T> => pollOf(what, look, { msMax, everyMs: 20 });

export class Lab {
  readonly wire: Wire;
  readonly folder = mkdtempSync(join(tmpdir(), "tombolo-lab-"));
  readonly host = systemHost("error");
  readonly rejections: string[] = [];
  readonly #schema = EnvoySchema.load(extractEnvoySchema());
  readonly #children: ChildProcess[] = [];
  readonly #servers: EnvoyServer[] = [];
  readonly #nodes = new Map<string, Node>();
  readonly #replicas = new Map<string, MeshReplica>();
  readonly #certificates = new Map<string, KeyPair>();
  readonly #apps = new Map<string, App>();
  readonly #addressesByName = new Map<string, readonly string[]>();
  #root: MintedCa | undefined;
  #authority: CertificateAuthority | undefined;

  constructor(prefix: string) {
    this.wire = new Wire(prefix);
  }

  async trust(): Promise<void> {
    this.#root = await mintRoot(this.host, { name: "root" });
    const intermediate = await mintIntermediate(this.host, this.#root, { name: "intermediate" });
    this.#authority = await CertificateAuthority.load(this.host, {
      ...intermediate,
      chainPems: [],
      rootPem: this.#root.certPem,
    });
  }

  replica(cluster: string): MeshReplica {
    const replica = this.#replicas.get(cluster) ?? new MeshReplica();
    this.#replicas.set(cluster, replica);
    return replica;
  }

  /**
   * A node's Envoy, running before it has pods. With `periodFormat`, names of clusters on demand last as long as it says,
   * instead of half a day.
   */
  async node(name: string, cluster: string, network: string, periodFormat?: string): Promise<void> {
    const pods = new Map<string, LocalPod>();
    const replica = this.replica(cluster);
    const addressesByName = this.#addressesByName;
    const where = { node: name, cluster, network, locality: nowhere };
    const view = { ...where, trustDomain, podsByUid: pods, replica, addressesByName };
    const resources = nodeResourceSet(() => view, this.#secrets(), {
      accessLogPath: this.#logPath(name),
      periodFormat,
    });
    const server = await this.#envoy(name, replica, resources);
    this.#nodes.set(name, { name, cluster, network, pods, server });
  }

  async gateway(name: string, cluster: string, network: string): Promise<void> {
    const replica = this.replica(cluster);
    const view = { cluster, network, replica, controlPlane: { host: "127.0.0.1", port: 9 } };
    await this.#envoy(
      name,
      replica,
      gatewayResourceSet(() => view, { accessLogPath: this.#logPath(name) }),
    );
  }

  /** Captures the pod as an agent does and starts its app. */
  async pod({ name, node: nodeName, ip, account }: PodSpec, services: Workload["services"]): Promise<void> {
    const node = this.#node(nodeName);
    const identity = identityOfAccount(account);
    await this.#certify(identity);
    sh("ip", ["netns", "exec", this.wire.ns(name), "sysctl", "-qw", `net.ipv4.tcp_retries2=${retriesMax}`]);
    this.wire.nft(name, podRules({ dnsAddress: undefined, isDraining: false }));
    sh("ip", ["-n", this.wire.ns(name), "-batch", "-"], podRoutes());
    node.pods.set(`uid-${name}`, {
      uid: `uid-${name}`,
      namespace: "shop",
      name,
      serviceAccount: account,
      identity,
      ip,
      netnsPath: this.wire.netnsPath(name),
      isDraining: false,
    });
    node.server.source.refresh();
    this.replica(node.cluster).setWorkload(podWorkload(node, { name, node: nodeName, ip, account }, services));
    const app = new App(this.wire, name);
    this.#children.push(app.child);
    this.#apps.set(name, app);
    await app.ready;
    await poll(`the listeners of pod ${name}`, async () =>
      /:15001 [^]*:15006 |:15006 [^]*:15001 /.test(await this.wire.exec(name, "ss", ["-ltnH"])),
    );
  }

  /** What a DNS name leads to from now on, for all nodes. */
  resolve(name: string, addresses: readonly string[]): void {
    this.#addressesByName.set(name, addresses);
    for (const { server } of this.#nodes.values()) server.source.refresh();
  }

  /** On-demand clusters of the node's Envoy go when they have been idle for so long. */
  async evictIdle(name: string, idleMs: number, signal: AbortSignal): Promise<void> {
    const admin = new EnvoyAdmin(join(this.folder, `${name}.admin`));
    const { source } = this.#node(name).server;
    await evictIdle(this.host, { source, admin, signal, idleMs, lookMs: 1_000, periodAt: secondOf });
  }

  /** All of past seconds, used or not. */
  evictNow(name: string): void {
    const { source } = this.#node(name).server;
    const current = [0, 1].map((ago) => secondOf(this.host.clock.now() - ago * 1_000));
    source.evict(source.demandedClusters().filter((one) => !current.some((second) => isOfPeriod(one, second))));
  }

  drain(name: string, isDraining: boolean): void {
    for (const node of this.#nodes.values()) {
      const pod = node.pods.get(`uid-${name}`);
      if (pod) node.pods.set(pod.uid, { ...pod, isDraining });
      if (pod) node.server.source.refresh();
    }
  }

  app(name: string): App {
    const app = this.#apps.get(name);
    if (!app) throw new Error(`No app runs in ${name}.`);
    return app;
  }

  /** Runs a task of client.mjs in a pod. */
  async client<T extends object>(pod: string, task: Readonly<Record<string, string | number>>): Promise<T> {
    const output = await this.wire.exec(pod, process.execPath, [kitFile("client.mjs"), JSON.stringify(task)]);
    const last = output.trim().split("\n").at(-1) ?? "";
    // Each task of client.mjs prints the object that its caller names.
    return JSON.parse(last) as T;
  }

  /** What the node's Envoy says of its clusters. */
  clusters(name: string): string {
    return sh("curl", ["-s", "--unix-socket", join(this.folder, `${name}.admin`), "http://envoy/clusters"]);
  }

  /** Endpoints that the node's Envoy passes over because connecting to them failed. */
  ejected(name: string): readonly string[] {
    return this.clusters(name)
      .split("\n")
      .filter((line) => line.includes("/failed_outlier_check"));
  }

  /** What the node's Envoy answers on its admin interface. */
  admin(name: string, path: string): Promise<string> {
    return new EnvoyAdmin(join(this.folder, `${name}.admin`)).get(path);
  }

  /** Lines that the node's or gateway's Envoy logged about connections that ended. */
  log(name: string): readonly LogLine[] {
    try {
      const lines = readFileSync(this.#logPath(name), "utf8").trim().split("\n");
      // Written by accessLog() of core/envoy/parts.ts with these fields.
      return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as LogLine);
    } catch {
      return [];
    }
  }

  close(): void {
    if (process.env["LAB_VERBOSE"]) {
      console.error(this.rejections);
      for (const name of ["n1", "n2", "n3", "gw"]) {
        for (const line of this.log(name)) if (line.flags !== "-") console.error(name, JSON.stringify(line));
      }
    }
    for (const child of this.#children) child.kill("SIGKILL");
    for (const server of this.#servers) server.close();
    this.wire.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #node(name: string): Node {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`There is no node ${name}.`);
    return node;
  }

  #secrets(): SecretSource {
    return {
      certificateOf: (identity) => this.#certificates.get(identity),
      bundlesByTrustDomain: () => new Map([[trustDomain, this.#root?.certPem ?? ""]]),
    };
  }

  async #certify(identity: string): Promise<void> {
    const { keyPem, csrPem } = await makeKeyAndCsr(identity);
    const signed = await this.#authority?.sign({ csrPem, identity });
    if (!signed?.ok) throw new Error(`No certificate for ${identity}: ${signed?.problem ?? "trust() was not called"}`);
    this.#certificates.set(identity, { certificateChain: signed.chainPems.join(""), privateKey: keyPem });
  }

  async #envoy(name: string, replica: MeshReplica, resources: ResourceSet): Promise<EnvoyServer> {
    const socketPath = join(this.folder, `${name}.sock`);
    const server = await serveEnvoy(this.host, this.#schema, {
      socketPath,
      resources,
      rejected: ({ node, names, message }) => this.rejections.push(`${node} ${names.join(",")}: ${message}`),
    });
    replica.onChange((change) => server.source.replicaChanged(change));
    this.#servers.push(server);
    const configPath = join(this.folder, `${name}.json`);
    const admin = join(this.folder, `${name}.admin`);
    writeFileSync(
      configPath,
      JSON.stringify(bootstrap({ nodeId: name, cluster: name, xdsSocketPath: socketPath, admin })),
    );
    const args = envoyArguments({ configPath, concurrency: 1, logLevel: "warning" });
    const child = spawn(
      "ip",
      ["netns", "exec", this.wire.ns(name), findEnvoy(), ...args, "--file-flush-interval-msec", "50"],
      {
        stdio: ["ignore", "ignore", process.env["LAB_VERBOSE"] ? "inherit" : "ignore"],
      },
    );
    this.#children.push(child);
    await poll(`Envoy ${name} to connect`, () => server.streams.streamCount > 0);
    // Live: the listeners of its first configuration are up, as a gateway's must be before anyone calls through it.
    await poll(`Envoy ${name} to be ready`, () => new EnvoyAdmin(admin).isReady());
    return server;
  }

  #logPath(name: string): string {
    return join(this.folder, `${name}.access`);
  }
}

/** What Envoy makes of `%H%M%S`. */
const secondOf = (ms: number): string => new Date(ms).toISOString().slice(11, 19).replaceAll(":", "");

const workloadDefaults = {
  namespace: "shop",
  trustDomain,
  tunnel: "native",
  hostNetwork: false,
  locality: nowhere,
  isHealthy: true,
  capacity: 1,
  policies: [],
  canonicalName: "echo",
  canonicalRevision: "latest",
  workloadName: "echo",
  workloadType: "deployment",
} as const;

export function podWorkload(
  at: { readonly cluster: string; readonly network: string },
  { name, node, ip, account }: PodSpec,
  services: Workload["services"],
): Workload {
  return {
    ...workloadDefaults,
    uid: podWorkloadUid(at.cluster, { namespace: "shop", name }),
    name,
    cluster: at.cluster,
    network: at.network,
    node,
    addresses: [ip],
    serviceAccount: account,
    services,
  };
}

export interface RemoteSpec {
  readonly cluster: string;
  readonly network: string;
  readonly gateways: readonly { readonly host: string; readonly port: number }[];
  readonly hostname: string;
  readonly identities: readonly string[];
}

export const remoteWorkload = (spec: RemoteSpec, services: Workload["services"]): Workload => ({
  ...workloadDefaults,
  uid: `${spec.cluster}/Remote/default/shop/echo`,
  name: "echo",
  cluster: spec.cluster,
  network: spec.network,
  node: "",
  addresses: [],
  serviceAccount: "",
  services,
  remote: { gateways: spec.gateways, hostname: spec.hostname, identities: spec.identities },
});

export const service = (
  name: string,
  at: { readonly network: string; readonly address: string },
  more: Partial<MeshService> = {},
): MeshService => ({
  name,
  namespace: "shop",
  hostname: `${name}.shop.svc.cluster.local`,
  aliases: [],
  addresses: [at],
  ports: [80, 81, 82, 83, 84, 85].map((port) => ({ name: `p${port}`, port, protocol: "tcp" })),
  subjectAltNames: [],
  trafficDistribution: "PreferSameNode",
  publishNotReady: false,
  isHeadless: false,
  ...more,
});

/** 80 answers, 81 speaks first, 82 takes an upload, 83 half-closes, 84 is a download, 85 a paused upload; see app.mjs. */
export const appPorts = [80, 81, 82, 83, 84, 85].map((port) => ({ servicePort: port, targetPort: 8000 + port }));
