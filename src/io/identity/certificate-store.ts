/**
 * The certificates of one node: asked for while someone wants the identity, renewed at half of their life, kept while
 * valid however long the CA is away. Owns its timers; `close` ends them.
 */
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";
import type { WorkloadCertificate } from "./certificate.ts";

/** A node has at most a few hundred pods; more identities than this are a mistake somewhere. */
const identitiesMax = 4096;
const requestsMax = 16;
const retryMsMin = 1000;
const retryMsMax = 150_000;
/** Renewal is spread over this part of the life before its half, so that a node's certificates do not renew as one. */
const jitterParts = 20;
const lookAgainMs = 600_000;

export type CertificateRequest = (identity: string, signal: AbortSignal) => Promise<WorkloadCertificate>;
/** Called with each new certificate of an identity. */
export type CertificateListener = (certificate: WorkloadCertificate) => void;

interface Entry {
  readonly identity: string;
  wanted: number;
  certificate?: WorkloadCertificate;
  /** Why the last request failed. */
  problem?: string;
  failures: number;
  cancelTimer: () => void;
  readonly abort: AbortController;
}

export class CertificateStore {
  readonly #host: Host;
  readonly #request: CertificateRequest;
  readonly #entries = new Map<string, Entry>();
  readonly #due: Entry[] = [];
  readonly #listeners = new Set<CertificateListener>();
  #inFlight = 0;

  constructor(host: Host, request: CertificateRequest) {
    this.#host = host;
    this.#request = request;
  }

  /** Keeps a certificate for the identity until the returned function has been called as often as `want`. */
  want(identity: string): () => void {
    let entry = this.#entries.get(identity);
    if (!entry) {
      if (this.#entries.size >= identitiesMax) {
        throw new Error(`The node already has ${identitiesMax} identities; ${identity} gets no certificate.`);
      }
      entry = { identity, wanted: 0, failures: 0, cancelTimer: () => undefined, abort: new AbortController() };
      this.#entries.set(identity, entry);
      this.#enqueue(entry);
    }
    const wanted = entry;
    wanted.wanted += 1;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      wanted.wanted -= 1;
      if (wanted.wanted === 0) this.#drop(wanted);
    };
  }

  /** The certificate, while it is valid. */
  get(identity: string): WorkloadCertificate | undefined {
    const certificate = this.#entries.get(identity)?.certificate;
    return certificate && certificate.notAfterMs > this.#host.clock.now() ? certificate : undefined;
  }

  /** Why there is no newer certificate, if the last request failed. */
  problem(identity: string): string | undefined {
    return this.#entries.get(identity)?.problem;
  }

  identities(): string[] {
    return [...this.#entries.keys()].toSorted();
  }

  onChange(listener: CertificateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for all certificates again, as after a change of the authority; each within `spreadMs` from now. */
  renewAll(spreadMs = 0): void {
    for (const entry of this.#entries.values()) {
      if (spreadMs === 0) this.#enqueue(entry);
      else this.#later(entry, this.#host.random.below(spreadMs));
    }
  }

  /** Asks now for what could not be had: the control plane is back, and the wait after many failures is long. */
  retryFailed(): void {
    for (const entry of this.#entries.values()) if (entry.problem !== undefined) this.#enqueue(entry);
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#drop(entry);
    this.#listeners.clear();
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.identity);
    entry.cancelTimer();
    entry.abort.abort(new Error(`Nobody wants a certificate for ${entry.identity} any more.`));
  }

  #enqueue(entry: Entry): void {
    entry.cancelTimer();
    if (!this.#due.includes(entry)) this.#due.push(entry);
    this.#pump();
  }

  #pump(): void {
    while (this.#inFlight < requestsMax) {
      const entry = this.#due.shift();
      if (!entry) return;
      if (entry.abort.signal.aborted) continue;
      this.#inFlight += 1;
      void this.#renew(entry).finally(() => {
        this.#inFlight -= 1;
        this.#pump();
      });
    }
  }

  /** Never rejects: a failure is kept as the entry's problem and tried again. */
  async #renew(entry: Entry): Promise<void> {
    const { signal } = entry.abort;
    try {
      const certificate = await this.#request(entry.identity, signal);
      if (signal.aborted) return;
      entry.certificate = certificate;
      entry.failures = 0;
      delete entry.problem;
      this.#later(entry, this.#renewInMs(certificate));
      this.#tell(certificate);
    } catch (error) {
      if (signal.aborted) return;
      entry.problem = errorText(error);
      const whole = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(entry.failures, 20));
      const waitMs = Math.floor(whole / 2) + this.#host.random.below(Math.ceil(whole / 2) + 1);
      entry.failures += 1;
      this.#host.log.warn("certificate.failed", { identity: entry.identity, cause: entry.problem, retryMs: waitMs });
      this.#later(entry, waitMs);
    }
  }

  #renewInMs(certificate: WorkloadCertificate): number {
    const now = this.#host.clock.now();
    const half = Math.max(retryMsMin, Math.floor((certificate.notAfterMs - now) / 2));
    return half - this.#host.random.below(Math.floor(half / jitterParts) + 1);
  }

  #later(entry: Entry, ms: number): void {
    entry.cancelTimer();
    if (ms <= lookAgainMs) {
      entry.cancelTimer = this.#host.clock.after(ms, () => this.#enqueue(entry));
      return;
    }
    // A machine that slept, or a clock that was set, would make one long wait end too late.
    const dueMs = this.#host.clock.now() + ms;
    entry.cancelTimer = this.#host.clock.after(lookAgainMs, () =>
      this.#later(entry, Math.max(0, dueMs - this.#host.clock.now())),
    );
  }

  #tell(certificate: WorkloadCertificate): void {
    this.#host.log.info("certificate.renewed", { identity: certificate.identity });
    for (const listener of this.#listeners) {
      try {
        listener(certificate);
      } catch (error) {
        this.#host.log.error("certificate.listener", { cause: String(error) });
      }
    }
  }
}
