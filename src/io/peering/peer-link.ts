/**
 * One link: dials a peer's control plane, verifies who answers, takes its exports, and watches its lease. It comes back by
 * itself, trying the peer's addresses in turn, and tells the server what it still has, so nothing is wiped on the way.
 */
import type { Peer } from "../../core/mesh/model.ts";
import { decodeLease, decodePeerInfo } from "../../core/proto/codec.ts";
import type { PeerInfoRow } from "../../core/proto/export-row.ts";
import { typeUrl } from "../../core/proto/wire.ts";
import type { Host } from "../host/host.ts";
import type { WorkloadCertificate } from "../identity/certificate.ts";
import { clientChannelOptions, clientCredentials } from "../identity/tls-credentials.ts";
import type { TrustBundles } from "../identity/trust.ts";
import { DeltaClient, type DeltaUpdate } from "../xds/delta-client.ts";
import type { OpenStream } from "../xds/transport.ts";
import { reasonOf, type Failure } from "./failure.ts";
import { PeerRows, type ExportSink } from "./peer-rows.ts";
import type { LinkPhase, LinkState } from "./link-state.ts";
import { controlPlaneIdentity, peerHeader, peeringTypes, peerNodePrefix } from "./wire-names.ts";

const retryMsMin = 250;
const retryMsMax = 10_000;
/** An address that does not answer in this time is given up for the next one. */
const answerMsMax = 10_000;
/** A peer's lease is believed between these bounds. */
const leaseMsMin = 100;
const leaseMsMax = 120_000;

export interface PeerSink extends ExportSink {
  setLinkState(peerKey: string, state: LinkState): void;
  /** The link is gone: its state and all exports that came under this key go with it, at once. */
  removePeer(peerKey: string): void;
}

export interface LinkOptions {
  self(): PeerInfoRow;
  /** The control plane's own certificate, presented to peers. */
  certificate(): WorkloadCertificate | undefined;
  readonly bundles: TrustBundles;
  readonly sink: PeerSink;
  /** Over gRPC when absent. */
  readonly open?: OpenStream | undefined;
}

export class PeerLink {
  readonly #host: Host;
  readonly #key: string;
  readonly #options: LinkOptions;
  readonly #rows: PeerRows;
  readonly #client: DeltaClient;
  readonly #closed = new AbortController();
  #peer: Peer;
  #dial = new AbortController();
  #wake: () => void = () => undefined;
  #attempts = 0;
  #failures = 0;
  #address: string | undefined;
  #failure: Failure | undefined;
  #info: PeerInfoRow | undefined;
  #isLeased = false;
  #isSynced = false;
  #wasLive = false;
  #cancelLease: () => void = () => undefined;
  #state: LinkState | undefined;

  constructor(host: Host, key: string, peer: Peer, options: LinkOptions) {
    this.#host = host;
    this.#key = key;
    this.#peer = peer;
    this.#options = options;
    this.#rows = new PeerRows(host, key, options.sink);
    this.#client = this.#makeClient();
  }

  /** Runs until `close`. */
  start(): void {
    this.#say("connecting", { reason: "Connecting", message: `Cluster ${this.#peer.cluster} is being connected.` });
    void this.#run(this.#closed.signal);
  }

  /** Takes a changed Peer row; dials again only if what it depends on changed. */
  update(peer: Peer): void {
    const previous = this.#peer;
    this.#peer = peer;
    const identity = (row: Peer) => `${row.trustDomain} ${row.network}`;
    const isAddressGone = !peer.controlPlane.some((address) => targetOf(address) === this.#address);
    if (isAddressGone || identity(peer) !== identity(previous)) this.redial();
  }

  /** Ends the connection and makes a new one at once: addresses, trust or our own names changed. */
  redial(): void {
    this.#failures = 0;
    this.#dial.abort(new Error("The link is dialled again."));
    this.#wake();
  }

  /** Ends the link and takes its rows out of use at once. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new Error("The link was removed."));
    this.#dial.abort(new Error("The link was removed."));
    this.#wake();
    this.#cancelLease();
    this.#rows.close();
    this.#options.sink.removePeer(this.#key);
  }

  #makeClient(): DeltaClient {
    return new DeltaClient(this.#host, {
      target: () => this.#address,
      credentials: () =>
        clientCredentials({
          rootPem: this.#options.bundles.rootPem(this.#peer.trustDomain) ?? "",
          identities: [controlPlaneIdentity(this.#peer.trustDomain)],
          ...certificateOf(this.#options.certificate()),
        }),
      metadata: () => {
        const { cluster, network, segment } = this.#options.self();
        return { [peerHeader.cluster]: cluster, [peerHeader.network]: network, [peerHeader.segment]: segment };
      },
      channelOptions: clientChannelOptions,
      open: this.#options.open,
      node: { id: `${peerNodePrefix}${this.#options.self().cluster}`, cluster: this.#options.self().cluster },
      subscriptions: peeringTypes.map((type) => ({ typeUrl: type })),
      received: (update) => this.#receive(update),
      connection: ({ isConnected, cause }) => {
        if (isConnected || this.#dial.signal.aborted) return;
        this.#failure ??= reasonOf(cause ?? "", this.#peer, this.#address ?? "");
        // Waiting is this class's business: it knows more than one address.
        this.#dial.abort(new Error("The attempt has ended."));
      },
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hadLease = await this.#attempt();
      if (signal.aborted) return;
      this.#failures = hadLease ? 0 : this.#failures + 1;
      this.#settleFailure();
      const whole = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures, 10));
      const waitMs = Math.floor(whole / 2) + this.#host.random.below(Math.ceil(whole / 2));
      await this.#sleep(waitMs);
    }
  }

  /** One connection to one address, for as long as it lasts; whether the peer was heard on it. */
  async #attempt(): Promise<boolean> {
    this.#failure = undefined;
    this.#dial = new AbortController();
    this.#isLeased = false;
    this.#address = this.#nextAddress();
    this.#failure = this.#obstacle();
    if (this.#failure) return false;
    const cancelTimer = this.#host.clock.after(answerMsMax, () => {
      if (this.#isLeased) return;
      this.#end({ reason: "Unreachable", message: unreachable(this.#peer, this.#address, "it does not answer") });
    });
    await this.#client.run(this.#dial.signal);
    cancelTimer();
    return this.#isLeased;
  }

  #nextAddress(): string | undefined {
    const { controlPlane } = this.#peer;
    const address = controlPlane[this.#attempts % Math.max(1, controlPlane.length)];
    this.#attempts += 1;
    return address && targetOf(address);
  }

  /** What makes dialling pointless for now. */
  #obstacle(): Failure | undefined {
    const { cluster, trustDomain } = this.#peer;
    if (cluster === this.#options.self().cluster) {
      const message = `The peer has our own cluster name, ${cluster}; give one of the clusters another name.`;
      return { reason: "SameClusterName", message };
    }
    if (this.#address === undefined) {
      const message = `Cluster ${cluster} has no control-plane address; add spec.addresses to the remote Gateway.`;
      return { reason: "NoAddress", message };
    }
    if (this.#options.bundles.rootPem(trustDomain) === undefined) {
      const message =
        `No root of trust is known for trust domain ${trustDomain} of cluster ${cluster}; ` +
        "use the same root in both clusters, or correct the trust-domain annotation of the remote Gateway.";
      return { reason: "NoBundle", message };
    }
    if (this.#options.certificate()) return undefined;
    return { reason: "NoCertificate", message: "This control plane has no certificate yet to show to its peers." };
  }

  #receive(update: DeltaUpdate): void {
    if (this.#dial.signal.aborted) return;
    if (update.typeUrl === typeUrl.peerInfo) this.#takeInfo(update);
    else if (update.typeUrl === typeUrl.lease) this.#takeLease(update);
    else if (update.typeUrl === typeUrl.export) this.#takeExports(update);
  }

  #takeInfo(update: DeltaUpdate): void {
    const [resource] = update.upserts;
    if (!resource) return;
    const info = decodePeerInfo(resource.bytes);
    if (!info.ok) throw new Error(info.problem);
    const failure = this.#mismatch(info.value);
    if (failure) {
      this.#end(failure);
      throw new Error(failure.message);
    }
    this.#info = info.value;
  }

  #mismatch(info: PeerInfoRow): Failure | undefined {
    const { cluster, network } = this.#peer;
    if (info.cluster === this.#options.self().cluster) {
      const message = `The address of peer ${cluster} leads to a control plane of our own name, ${info.cluster}.`;
      return { reason: "SameClusterName", message };
    }
    if (info.cluster !== cluster) {
      const message =
        `The control plane at ${this.#address} is cluster ${info.cluster}, not ${cluster}; ` +
        "correct the address or the topology.istio.io/cluster label of the remote Gateway.";
      return { reason: "WrongCluster", message };
    }
    if (network === "" || info.network === network) return undefined;
    const message =
      `Cluster ${cluster} says that it is on network ${info.network}, not ${network}; ` +
      "correct the topology.istio.io/network label of the remote Gateway.";
    return { reason: "WrongNetwork", message };
  }

  #takeLease(update: DeltaUpdate): void {
    const [resource] = update.upserts;
    // Both are answered on each new stream; after a short cut the lease may be the one that we know already.
    if (!resource) return;
    const lease = decodeLease(resource.bytes);
    if (!lease.ok) throw new Error(lease.problem);
    if (!this.#info || lease.value.cluster !== this.#info.cluster) return;
    // What the peer said before a cut is not said again, but our Peer row may have changed meanwhile.
    const failure = this.#mismatch(this.#info);
    if (failure) return this.#end(failure);
    this.#isLeased = true;
    this.#cancelLease();
    const ms = Math.min(Math.max(lease.value.durationMs, leaseMsMin), leaseMsMax);
    this.#cancelLease = this.#host.clock.after(ms, () => this.#loseLease(ms));
    this.#sayLive();
  }

  #takeExports(update: DeltaUpdate): void {
    if (!this.#info) throw new Error("Exports came before the peer had said who it is.");
    this.#rows.take(update, this.#info.cluster);
    this.#isSynced = true;
    this.#sayLive();
  }

  #sayLive(): void {
    if (!this.#isLeased || !this.#isSynced) return;
    this.#wasLive = true;
    this.#failures = 0;
    this.#say("live", { reason: "Connected", message: `Cluster ${this.#peer.cluster} is connected.` });
  }

  #loseLease(ms: number): void {
    const { cluster } = this.#peer;
    const cause = this.#failure ? ` ${this.#failure.message}` : "";
    const message = `Cluster ${cluster} has not been heard for ${ms} ms; its services are kept as they were.${cause}`;
    this.#say("stale", { reason: "LeaseLost", message });
    // A stream that is open but silent is of no use; one that is only now being opened may be.
    if (this.#isLeased) this.#end({ reason: "LeaseLost", message });
  }

  #end(failure: Failure): void {
    this.#failure ??= failure;
    this.#dial.abort(new Error(failure.message));
  }

  /** A peer that was live stays so until its lease runs out, then is stale; what is wrong is said at once. */
  #settleFailure(): void {
    const failure = this.#failure;
    if (!failure) return;
    this.#host.log.info("link.lost", { peer: this.#key, reason: failure.reason, cause: failure.message });
    const isLeaseRunning = this.#state?.phase === "live";
    if (isRefusal(failure)) this.#say("refused", failure);
    else if (!isLeaseRunning) this.#say(this.#wasLive ? "stale" : "refused", failure);
  }

  #say(phase: LinkPhase, { reason, message }: Failure): void {
    if (this.#closed.signal.aborted) return;
    const previous = this.#state;
    const isSame = previous?.phase === phase && previous.reason === reason && previous.message === message;
    if (isSame && previous.address === this.#address && previous.info === this.#info) return;
    const sinceMs = previous?.phase === phase ? previous.sinceMs : this.#host.clock.now();
    this.#state = {
      cluster: this.#peer.cluster,
      phase,
      reason,
      message,
      sinceMs,
      ...(this.#info && { info: this.#info }),
      ...(this.#address !== undefined && { address: this.#address }),
    };
    this.#options.sink.setLinkState(this.#key, this.#state);
  }

  /** Like the clock's sleep, but a redial ends it. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#wake = () => undefined;
        resolve();
      };
      const cancel = this.#host.clock.after(ms, done);
      this.#wake = done;
    });
  }
}

const isRefusal = ({ reason }: Failure): boolean =>
  reason === "WrongCluster" || reason === "WrongNetwork" || reason === "SameClusterName" || reason === "WrongIdentity";

const certificateOf = (certificate: WorkloadCertificate | undefined) => (certificate ? { certificate } : {});

const unreachable = (peer: Peer, address: string | undefined, cause: string): string =>
  `Cluster ${peer.cluster} cannot be reached at ${address ?? "any address"}: ${cause}.`;

/** As grpc names targets; a DNS name is resolved anew for each connection. */
function targetOf({ host, port }: Peer["controlPlane"][number]): string {
  if (host.includes(":")) return `ipv6:[${host}]:${port}`;
  return /^[0-9.]+$/.test(host) ? `ipv4:${host}:${port}` : `dns:///${host}:${port}`;
}
