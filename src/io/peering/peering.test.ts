/** Whole links between control planes in one process, over real TLS on loopback. */
import { connect, createServer, type Server, type Socket } from "node:net";
import grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import type { Export, Peer } from "../../core/mesh/model.ts";
import type { PeerInfoRow } from "../../core/proto/export-row.ts";
import { exportName } from "../../core/proto/wire.ts";
import { systemHost, type Host } from "../host/host.ts";
import { CertificateAuthority } from "../identity/ca.ts";
import { checkCaSecret } from "../identity/ca-secret.ts";
import type { WorkloadCertificate } from "../identity/certificate.ts";
import { makeKeyAndCsr } from "../identity/csr.ts";
import { mintIntermediate, mintRoot, pluggedInSecret, type MintedCa } from "../identity/mint.ts";
import { serverCredentials } from "../identity/tls-credentials.ts";
import { TrustBundles } from "../identity/trust.ts";
import { DeltaServer } from "../xds/delta-server.ts";
import { ExportServer } from "./export-server.ts";
import { PeerLinks } from "./peer-links.ts";
import type { LinkState } from "./link-state.ts";
import { peeringTypes } from "./wire-names.ts";

const silent = () => undefined;
const host: Host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error: silent } };
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** Polls until `ready`, at most five seconds. */
async function until(what: string, ready: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !ready();) {
    if (Date.now() > end) throw new Error(`Not within five seconds: ${what}`);
    await host.clock.sleep(5);
  }
}

async function certificateFor(root: MintedCa, cluster: string, identity: string): Promise<WorkloadCertificate> {
  const secret = pluggedInSecret(root, await mintIntermediate(host, root, { name: cluster }));
  const checked = await checkCaSecret("cacerts", secret, host.clock.now());
  if (!checked.ok) throw new Error(checked.problem);
  const ca = await CertificateAuthority.load(host, checked.material);
  const { csrPem, keyPem } = await makeKeyAndCsr(identity);
  const signed = await ca.sign({ csrPem, identity });
  if (!signed.ok) throw new Error(signed.problem);
  const chainPem = signed.chainPems.join("");
  return { identity, chainPem, keyPem, rootPem: signed.rootPem, notBeforeMs: 0, notAfterMs: signed.notAfterMs };
}

interface World {
  readonly info: PeerInfoRow;
  readonly exports: ExportServer;
  readonly links: PeerLinks;
  readonly port: number;
  readonly rows: Map<string, Export>;
  readonly states: Map<string, LinkState>;
  /** Every call of the sink, in order. */
  readonly calls: string[];
  stopLease(): void;
}

interface Options {
  readonly root: MintedCa;
  readonly network?: string;
  readonly segment?: string;
  readonly identity?: string;
  readonly isReady?: boolean;
}

const trustDomain = "cluster.local";
const tombolod = `spiffe://${trustDomain}/ns/istio-system/sa/tombolod`;

async function controlPlane(cluster: string, options: Options): Promise<World> {
  const info = {
    cluster,
    network: options.network ?? cluster,
    segment: options.segment ?? "default",
    trustDomain,
    version: "test",
  };
  const certificate = await certificateFor(options.root, cluster, options.identity ?? tombolod);
  const bundles = new TrustBundles();
  bundles.set(trustDomain, options.root.certPem);
  let exports: ExportServer | undefined;
  const delta = new DeltaServer(host, {
    pushOrder: [...peeringTypes],
    open: (peer) => {
      if (!exports || !ExportServer.isPeer(peer)) throw new Error("Not a peer.");
      return exports.open(peer);
    },
  });
  exports = new ExportServer(host, { self: info, bundles, server: delta, renewMs: 50, leaseMs: 400 });
  if (options.isReady !== false) exports.setReady();
  const server = new grpc.Server();
  delta.addTo(server);
  const source = { current: () => certificate, onChange: () => silent };
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", serverCredentials(source, bundles, trustDomain), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const lease = new AbortController();
  void exports.run(lease.signal);
  const rows = new Map<string, Export>();
  const states = new Map<string, LinkState>();
  const calls: string[] = [];
  const peersByRow = new Map<string, string>();
  const sink = {
    setExport: (peer: string, row: Export) => {
      peersByRow.set(exportName(row), peer);
      calls.push(`set ${peer} ${exportName(row)}`);
      rows.set(exportName(row), row);
    },
    removeExport: (peer: string, name: string) => {
      calls.push(`remove ${peer} ${name}`);
      rows.delete(name);
    },
    setLinkState: (peer: string, state: LinkState) => {
      calls.push(`state ${peer} ${state.phase}`);
      states.set(peer, state);
    },
    removePeer: (peer: string) => {
      calls.push(`gone ${peer}`);
      states.delete(peer);
      for (const name of rows.keys()) if (peersByRow.get(name) === peer) rows.delete(name);
    },
  };
  const links = new PeerLinks(host, { self: () => info, certificate: () => certificate, bundles, sink });
  cleanups.push(() => {
    links.close();
    lease.abort();
    server.forceShutdown();
  });
  return { info, exports, links, port, rows, states, calls, stopLease: () => lease.abort() };
}

const peerOf = (world: World, ...ports: number[]): Peer => ({
  cluster: world.info.cluster,
  network: world.info.network,
  trustDomain,
  gatewayServiceAccount: "istio-eastwest",
  region: "",
  dataPlane: [{ host: "192.0.2.1", port: 15008 }],
  controlPlane: (ports.length > 0 ? ports : [world.port]).map((port) => ({ host: "127.0.0.1", port })),
});

function exported(world: World, name: string, change: Partial<Export> = {}): Export {
  const { cluster, network, segment } = world.info;
  const locality = { region: "r", zone: "z", subzone: "" };
  return {
    cluster,
    network,
    trustDomain,
    segment,
    segmentDomain: "mesh.internal",
    namespace: "shop",
    name,
    scope: "global",
    takeover: false,
    ports: [{ name: "http", port: 80, protocol: "http" }],
    identities: [],
    aliases: [],
    ready: [{ locality, pods: 1 }],
    endpoints: [{ name: "p", address: "10.0.0.1", identity: "", locality, ports: [] }],
    generation: 0,
    ...change,
  };
}

/** A TCP relay whose connections can be cut or frozen, as a network would. */
async function relayTo(port: number): Promise<{ port: number; cut(): void; freeze(): void; heal(): void }> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  const server: Server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => void (isFrozen || to.write(bytes)));
      from.on("close", () => to.destroy());
      from.on("error", silent);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  cleanups.push(() => {
    cut();
    server.close();
  });
  return { port: address.port, cut, freeze: () => void (isFrozen = true), heal: () => void (isFrozen = false) };
}

const root = await mintRoot(host, { name: "shared root" });
const key = "istio-gateways/istio-remote-peer";
const phaseOf = (world: World, peer = key) => world.states.get(peer)?.phase;

async function linked(options: Partial<Options> = {}): Promise<{ a: World; b: World }> {
  const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root, ...options })];
  b.exports.setExport(exported(b, "one"));
  a.links.setPeer(key, peerOf(b));
  await until("live", () => phaseOf(a) === "live");
  return { a, b };
}

describe("a link", () => {
  it("brings exports, their changes and their end, in one direction", async () => {
    const { a, b } = await linked();
    a.exports.setExport(exported(a, "private to b"));
    expect([...a.rows.keys()]).toEqual(["b/shop/one"]);
    const first = a.rows.get("b/shop/one");
    b.exports.setExport(exported(b, "one", { ready: [] }));
    b.exports.setExport(exported(b, "two"));
    await until("change", () => a.rows.get("b/shop/one")?.ready.length === 0 && a.rows.size === 2);
    expect(a.rows.get("b/shop/one")!.generation).toBeGreaterThan(first!.generation);
    b.exports.removeExport("b/shop/one");
    await until("removal", () => a.rows.size === 1);
    expect(b.rows.size).toBe(0);
    expect(a.states.get(key)).toMatchObject({ phase: "live", reason: "Connected", message: "Cluster b is connected." });
  });

  it("that is removed takes its rows at once", async () => {
    const { a } = await linked();
    a.links.removePeer(key);
    expect(a.rows.size).toBe(0);
    expect(a.states.size).toBe(0);
    expect(a.calls.at(-1)).toBe(`gone ${key}`);
  });

  it("shows segment exports to its segment only, and endpoints to its network only", async () => {
    const { a, b } = await linked({ segment: "blue" });
    const flat = await controlPlane("c", { root, network: "b", segment: "blue" });
    b.exports.setExport(exported(b, "blue only", { scope: "segment" }));
    b.exports.setExport(exported(b, "last"));
    flat.links.setPeer(key, peerOf(b));
    await until("flat", () => flat.rows.size === 3);
    await until("last", () => a.rows.has("b/shop/last"));
    expect([...a.rows.keys()].toSorted()).toEqual(["b/shop/last", "b/shop/one"]);
    expect(a.rows.get("b/shop/one")!.endpoints).toEqual([]);
    expect(flat.rows.get("b/shop/one")!.endpoints).toHaveLength(1);
  });
});

describe("a link that is cut", () => {
  it("resumes without sending or dropping what both sides still have", async () => {
    const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root })];
    const relay = await relayTo(b.port);
    for (const name of ["one", "two", "three"]) b.exports.setExport(exported(b, name));
    a.links.setPeer(key, peerOf(b, relay.port));
    await until("three rows", () => phaseOf(a) === "live" && a.rows.size === 3);
    a.calls.length = 0;
    relay.cut();
    b.exports.setExport(exported(b, "two", { ready: [] }));
    b.exports.removeExport("b/shop/three");
    await until("resumed", () => a.rows.size === 2 && a.rows.get("b/shop/two")?.ready.length === 0);
    expect(a.calls.filter((call) => /^(set|remove|gone) /.test(call))).toEqual([
      `set ${key} b/shop/two`,
      `remove ${key} b/shop/three`,
    ]);
  });

  it("turns stale on silence, keeps its rows, and is live again when the peer speaks", async () => {
    const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root })];
    const relay = await relayTo(b.port);
    b.exports.setExport(exported(b, "one"));
    a.links.setPeer(key, peerOf(b, relay.port));
    await until("live", () => phaseOf(a) === "live");
    relay.freeze();
    await until("stale", () => phaseOf(a) === "stale");
    expect(a.states.get(key)!.message).toMatch(/Cluster b .*its services are kept as they were/);
    expect([...a.rows.keys()]).toEqual(["b/shop/one"]);
    relay.cut();
    relay.heal();
    await until("live again", () => phaseOf(a) === "live");
    expect(a.calls.filter((call) => call.startsWith("remove") || call.startsWith("gone"))).toEqual([]);
  });

  it("turns stale when a peer is connected but no longer renews its lease", async () => {
    const { a, b } = await linked();
    b.stopLease();
    await until("stale", () => phaseOf(a) === "stale");
    expect(a.rows.size).toBe(1);
  });

  it("tries the next address, and takes changed addresses without a restart", async () => {
    const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root })];
    const dead = await relayTo(1);
    const relay = await relayTo(b.port);
    a.links.setPeer(key, peerOf(b, dead.port));
    await until("told", () => a.states.get(key)?.reason === "Unreachable");
    expect(a.states.get(key)!.message).toMatch(/Cluster b cannot be reached at 127\.0\.0\.1:\d+: .*15012/);
    a.links.setPeer(key, peerOf(b, dead.port, relay.port));
    await until("live by the second", () => phaseOf(a) === "live");
    a.links.setPeer(key, peerOf(b, b.port));
    await until("moved", () => a.states.get(key)?.address === `ipv4:127.0.0.1:${b.port}`);
    expect(phaseOf(a)).toBe("live");
  });
});

describe("a peer that is not who it should be", () => {
  it("is refused under another root, on both sides", async () => {
    const other = await mintRoot(host, { name: "other root" });
    const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root: other })];
    b.exports.setExport(exported(b, "one"));
    a.exports.setExport(exported(a, "one"));
    a.links.setPeer(key, peerOf(b));
    b.links.setPeer(key, peerOf(a));
    for (const world of [a, b]) {
      await until("refused", () => world.states.get(key)?.reason === "TlsRefused");
      expect(world.states.get(key)!.message).toContain("same root in Secret istio-system/cacerts");
      expect(world.rows.size).toBe(0);
    }
  });

  it("is refused when a workload answers, or dials", async () => {
    const impostor = `spiffe://${trustDomain}/ns/shop/sa/alice`;
    const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root, identity: impostor })];
    a.exports.setExport(exported(a, "one"));
    a.links.setPeer(key, peerOf(b));
    b.links.setPeer(key, peerOf(a));
    await until("wrong identity", () => a.states.get(key)?.reason === "WrongIdentity");
    expect(a.states.get(key)!.message).toContain("sa/alice instead of");
    await until("told by the peer", () => b.states.get(key)?.reason === "RefusedByPeer");
    expect(b.states.get(key)!.message).toContain("is not a control plane");
    expect(b.rows.size).toBe(0);
  });

  it("is refused with our own name, another name, another network, or twice", async () => {
    const { a, b } = await linked();
    const cases: [Partial<Peer>, string][] = [
      [{ cluster: "a" }, "SameClusterName"],
      [{ cluster: "z" }, "WrongCluster"],
      [{ cluster: "y", trustDomain: "nowhere.example" }, "NoBundle"],
      [{ cluster: "x", controlPlane: [] }, "NoAddress"],
      [{}, "DuplicatePeer"],
    ];
    for (const [change, reason] of cases) {
      a.links.setPeer("other", { ...peerOf(b), ...change });
      await until(reason, () => a.states.get("other")?.reason === reason);
      expect(a.states.get("other")!.message).toMatch(/\.$/);
      a.links.removePeer("other");
    }
    expect(phaseOf(a)).toBe("live");
    a.links.setPeer(key, { ...peerOf(b), network: "elsewhere" });
    await until("network", () => a.states.get(key)?.reason === "WrongNetwork");
    expect(a.rows.size).toBe(1);
    a.links.setPeer(key, peerOf(b));
    await until("put right", () => phaseOf(a) === "live");
    const twin = await controlPlane("a", { root });
    twin.links.setPeer(key, { ...peerOf(a), cluster: "other" });
    await until("twin", () => twin.states.get(key)?.reason === "SameClusterName");
  });
});

it("a control plane that is still starting turns peers away rather than showing them an empty cluster", async () => {
  const [a, b] = [await controlPlane("a", { root }), await controlPlane("b", { root, isReady: false })];
  a.links.setPeer(key, peerOf(b));
  await until("told", () => /still starting/.test(a.states.get(key)?.message ?? ""));
  b.exports.setExport(exported(b, "one"));
  b.exports.setReady();
  await until("live", () => phaseOf(a) === "live" && a.rows.size === 1);
});
