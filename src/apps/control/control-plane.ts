/**
 * One replica of the control plane, wired: inputs → mesh → model stream for agents, and writers while it leads. Every
 * replica serves; one writes. Nothing is written or served before every input was listed and committed once, and peers
 * had their time to answer.
 */
import { setMaxListeners } from "node:events";
import type grpc from "@grpc/grpc-js";
import { errorText } from "../../core/api/error-text.ts";
import { controlPlaneName, port } from "../../core/api/names.ts";
import { wireMesh } from "../../core/mesh/mesh.ts";
import type { Mesh } from "../../core/mesh/mesh.ts";
import type { Problem } from "../../core/mesh/problem.ts";
import type { Host } from "../../io/host/host.ts";
import { addCaService } from "../../io/identity/ca-service.ts";
import type { Caller } from "../../io/identity/ca-service.ts";
import { serverCredentials } from "../../io/identity/tls-credentials.ts";
import type { KubeClient } from "../../io/kube/client.ts";
import { startElection } from "../../io/kube/leader.ts";
import type { Leadership } from "../../io/kube/leader.ts";
import { noticeRefusals } from "../../io/kube/refusals.ts";
import type { Refusal } from "../../io/kube/refusals.ts";
import type { OpenStream } from "../../io/xds/transport.ts";
import { CommitLoop } from "./commit-loop.ts";
import { ControlMetrics } from "./health/control-metrics.ts";
import { serveDebug, serveHealth, serveMetrics } from "./health/pages.ts";
import type { PageServer } from "./health/health-server.ts";
import { allSynced, feedMesh, startInputs } from "./inputs.ts";
import type { Inputs } from "./inputs.ts";
import { ModelServer } from "./model/model-server.ts";
import { ModelSource, followModel } from "./model/model-source.ts";
import { GrpcPort } from "./model/stream-port.ts";
import type { StreamPort } from "./model/stream-port.ts";
import type { ControlSettings, Self } from "./settings.ts";
import { CaKeeper } from "./trust/ca-keeper.ts";
import type { CaSource } from "./trust/ca-keeper.ts";
import { Callers } from "./trust/callers.ts";
import { Peering } from "./peering/peering.ts";
import { recallExports } from "./peering/remembered-exports.ts";
import { PeerTrust } from "./trust/peer-trust.ts";
import { trustFacts } from "./trust/trust-facts.ts";
import { keepOwnCertificate } from "./trust/own-certificate.ts";
import type { OwnCertificate } from "./trust/own-certificate.ts";
import { tellByEvent } from "./writers/events.ts";
import { MeshWriters } from "./writers/mesh-writers.ts";

export interface Listeners {
  /** Of the model, CA and peering port. */
  readonly address: string;
  readonly controlPlane: number;
  readonly metrics: number;
  readonly readiness: number;
  /** JSON of the collections, on the loopback address only. */
  readonly debug: number;
}

const defaultListeners: Listeners = {
  address: "::",
  controlPlane: port.controlPlane,
  metrics: port.controlPlaneMetrics,
  readiness: port.controlPlaneReadiness,
  debug: port.controlPlaneDebug,
};

/** What a replica meets beside its Kubernetes API, for simulations: no sockets, no pages, no keys of its own. */
export interface Outside {
  readonly port: StreamPort;
  /** Streams to peers. */
  readonly open: OpenStream;
  readonly ca: CaSource;
  readonly certificate: OwnCertificate;
}

export interface ControlPlaneOptions {
  readonly settings: ControlSettings;
  readonly self: Self;
  readonly listeners?: Partial<Listeners>;
  /** Of this program, for peers to read. */
  readonly version?: string;
  /** Of the lease; tests shorten it. */
  readonly leaseMs?: number;
  /** Streams of agents live on for so long after this replica was told to stop, while another takes over. */
  readonly streamGraceMs?: number;
  /** Instead of the real world. */
  readonly outside?: Outside;
}

const streamGraceMsDefault = 3_000;

/** Key of the report on the cluster's authority. */
const authorityReport = "reported/authority";

export interface ControlPlane {
  readonly mesh: Mesh;
  readonly ports: Omit<Listeners, "address">;
  readonly isLeader: boolean;
  /** Waits until what is wanted now was written, when this replica leads. For tests. */
  written(): Promise<void>;
  /** In order: not ready, no new connections, lease released, streams ended, everything closed. */
  stop(): Promise<void>;
}

export async function startControlPlane(
  host: Host,
  client: KubeClient,
  options: ControlPlaneOptions,
): Promise<ControlPlane> {
  const replica = new Replica(host, client, options);
  await replica.start();
  return replica;
}

class Replica implements ControlPlane {
  readonly mesh: Mesh;
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly options: ControlPlaneOptions;
  private readonly listeners: Listeners;
  private readonly stopping = new AbortController();
  private readonly metrics = new ControlMetrics();
  private readonly commits: CommitLoop;
  private readonly inputs: Inputs;
  private readonly ca: CaSource;
  private readonly certificate: OwnCertificate;
  private readonly trust: PeerTrust;
  private readonly peering: Peering;
  private readonly server: ModelServer;
  private readonly writers: MeshWriters;
  private readonly pages: PageServer[] = [];
  private leadership: Leadership | undefined;
  private isReady = false;
  /** Peers are known, as far as they can be: an agent that is told of fewer rows would let good endpoints go. */
  private isSettled = false;
  private controlPlanePort = 0;

  constructor(host: Host, given: KubeClient, options: ControlPlaneOptions) {
    const { settings, self } = options;
    const heard = (key: string, refusal: Refusal, isRefused: boolean) => this.tellOfRefusal(key, refusal, isRefused);
    const client = noticeRefusals(host, given, { role: controlPlaneName, changed: heard });
    const { signal } = this.stopping;
    // Every informer, writer and link listens to it.
    setMaxListeners(0, signal);
    this.host = host;
    this.client = client;
    this.options = options;
    this.listeners = { ...defaultListeners, ...options.listeners };
    this.mesh = wireMesh(settings.mesh);
    this.commits = new CommitLoop(host.clock, () => this.commit());
    const schedule = () => this.commits.schedule();
    this.inputs = startInputs(host, client, signal);
    feedMesh(this.inputs, this.mesh.sources, schedule);
    this.ca = options.outside?.ca ?? new CaKeeper(host, client, self.namespace, signal);
    this.certificate = options.outside?.certificate ?? keepOwnCertificate(host, this.ca, settings.mesh, self.namespace);
    const trust = new PeerTrust(host, settings.mesh);
    this.trust = trust;
    this.ca.onTrouble?.((problem) => this.tellOfAuthority(problem));
    this.ca.onChange(({ material }) => trust.setRoots(material.rootPem));
    const { mesh, inputs, ca, certificate, metrics } = this;
    const changed = (type: string, names: Iterable<string>) => this.server.delta.changed(type, names);
    this.peering = new Peering(host, {
      mesh,
      settings: settings.mesh,
      trust,
      certificate,
      server: { changed },
      version: options.version ?? "0.1.0",
      schedule,
      open: options.outside?.open,
    });
    const callers = new Callers(host, client, inputs.pods, settings.mesh.trustDomain);
    this.server = new ModelServer(host, {
      port: options.outside?.port ?? this.grpcPort(callers, trust),
      source: new ModelSource(mesh),
      callers,
      peers: this.peering.streams,
      isOpen: () => this.isSettled,
      rejected: ({ typeUrl }) => metrics.rejected(typeUrl),
    });
    followModel(mesh.graph, mesh, (type, names) => {
      metrics.told(type, names.length);
      changed(type, names);
    });
    const failed = (writer: string) => metrics.failed(writer);
    this.writers = new MeshWriters({ host, client, inputs, mesh, settings, self, ca, peering: this.peering, failed });
    metrics.measure({
      mesh,
      writers: this.writers.all,
      agents: () => this.server.delta.streamCount,
      isLeader: () => this.isLeader,
      isReady: () => this.isReady,
    });
  }

  get isLeader(): boolean {
    return this.leadership?.isLeader === true;
  }

  get ports(): Omit<Listeners, "address"> {
    const [readiness = 0, metrics = 0, debug = 0] = this.pages.map((page) => page.port);
    return { controlPlane: this.controlPlanePort, readiness, metrics, debug };
  }

  async start(): Promise<void> {
    const { mesh, host, client, options } = this;
    const { signal } = this.stopping;
    if (options.outside === undefined) await this.servePages();
    // The model is there before the authority is, so that the page of problems says why the start takes so long.
    await Promise.all([
      allSynced(this.inputs).then(() => this.commits.start()),
      this.ca.start(),
      this.certificate.first,
    ]);
    this.peering.restore(await recallExports(host, client, options.self.namespace, signal));
    this.commit();
    this.peering.start(signal);
    this.controlPlanePort = await this.server.listen();
    // From here on peers are served, so that control planes that start together find each other.
    this.isReady = true;
    host.log.info("control.ready", { cluster: options.settings.mesh.cluster, port: this.controlPlanePort });
    await this.peering.settle(signal);
    this.commit();
    this.isSettled = true;
    const election = {
      namespace: options.self.namespace,
      name: controlPlaneName,
      identity: `${options.self.podName}_${host.random.uuid()}`,
      signal,
      ...(options.leaseMs !== undefined && { leaseMs: options.leaseMs }),
    };
    this.leadership = startElection(host, client, election, (term) => this.writers.lead(term));
    host.log.info("control.settled", { peers: mesh.peers.rows.size });
  }

  private async servePages(): Promise<void> {
    const { listeners, metrics, mesh } = this;
    this.pages.push(await serveHealth(listeners.readiness, () => this.isReady));
    this.pages.push(await serveMetrics(listeners.metrics, metrics));
    this.pages.push(await serveDebug(listeners.debug, mesh, () => this.trustFacts()));
  }

  private grpcPort(callers: Callers, { bundles }: PeerTrust): StreamPort {
    const { host, ca, certificate, listeners, options } = this;
    const credentials = serverCredentials(certificate, bundles, options.settings.mesh.trustDomain);
    const service = {
      authority: () => ca.authority(),
      authenticate: (metadata: grpc.Metadata) => callers.authenticate(metadata),
      mayImpersonate: (caller: Caller, identity: string) => callers.mayImpersonate(caller, identity),
    };
    const addServices = (server: grpc.Server) => addCaService(server, host, service);
    return new GrpcPort({ address: listeners.address, port: listeners.controlPlane, credentials, addServices });
  }

  async written(): Promise<void> {
    for (const writer of this.writers.all) await writer.idle();
  }

  async stop(): Promise<void> {
    this.isReady = false;
    // What closes now must not look to agents as if it were gone from the mesh.
    this.commits.stop();
    this.stopping.abort(new Error("the control plane stops"));
    await Promise.all([this.leadership?.ended, this.server.stop(this.options.streamGraceMs ?? streamGraceMsDefault)]);
    this.certificate.close();
    for (const page of this.pages) page.close();
  }

  private trustFacts() {
    const { ca, trust, certificate, host, options } = this;
    const authority = ca.authority();
    return trustFacts({
      trustDomain: options.settings.mesh.trustDomain,
      secret: ca.secretName,
      material: "problem" in authority ? undefined : authority.material,
      problem: ca.trouble,
      serving: certificate.current(),
      bundles: trust.bundles,
      nowMs: host.clock.now(),
    });
  }

  private tellOfAuthority(problem: Problem | undefined): void {
    const { reports } = this.mesh.sources;
    if (problem === undefined) reports.delete(authorityReport);
    else reports.set(authorityReport, problem);
    this.commits.schedule();
    // Nobody leads before there is an authority; afterwards the leader's writer tells.
    if (problem === undefined || this.isReady) return;
    const telling = { instance: this.options.self.podName, signal: this.stopping.signal };
    tellByEvent(this.host, this.client, problem, telling).catch((error: unknown) => {
      this.host.log.warn("ca.event", { cause: errorText(error) });
    });
  }

  /** A missing right is nobody's object, so the role that lacks it carries the Event. */
  private tellOfRefusal(key: string, { message, remedy }: Refusal, isRefused: boolean): void {
    const { reports } = this.mesh.sources;
    const about = { kind: "ClusterRole", namespace: "", name: controlPlaneName, reason: "MissingPermission" } as const;
    if (isRefused) reports.set(`reported/permission/${key}`, { ...about, message, remedy, shownAs: "event" });
    else reports.delete(`reported/permission/${key}`);
    this.commits.schedule();
  }

  private commit(): void {
    const before = this.host.clock.elapsed();
    this.mesh.graph.commit();
    this.metrics.committed((this.host.clock.elapsed() - before) / 1000);
  }
}
