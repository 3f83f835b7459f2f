/**
 * The cluster's certificate authority as its Secrets say: plugged in (`cacerts`), else self-signed (`istio-ca-secret`,
 * made when it is not there). A Secret that cannot be used leaves the last good authority in place and is reported.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { Secret } from "../../../core/api/kube.ts";
import { caSecret, label } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Problem } from "../../../core/mesh/problem.ts";
import { checkCaSecret, secretTexts } from "../../../io/identity/ca-secret.ts";
import { CertificateAuthority } from "../../../io/identity/ca.ts";
import { mintRoot, selfSignedSecret } from "../../../io/identity/mint.ts";
import { backoffMs } from "../../../io/kube/backoff.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { startInformer } from "../../../io/kube/informer.ts";
import type { Informer } from "../../../io/kube/informer.ts";

const retry = { baseMs: 200, maxMs: 10_000 };

/** The cluster's authority, wherever it comes from. */
export type CaSource = Pick<CaKeeper, "authority" | "rootPem" | "onChange" | "start" | "secretName" | "trouble"> &
  Partial<Pick<CaKeeper, "onTrouble">>;

export class CaKeeper {
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly namespace: string;
  private readonly signal: AbortSignal;
  private readonly pluggedIn: Informer<Secret>;
  private readonly selfSigned: Informer<Secret>;
  private readonly listeners: ((authority: CertificateAuthority) => void)[] = [];
  private readonly troubleListeners: ((problem: Problem | undefined) => void)[] = [];
  private current: CertificateAuthority | undefined;
  private usedVersion = "";
  private problem = "The certificate authority of this cluster is not loaded yet.";
  private updating: Promise<void> = Promise.resolve();

  constructor(host: Host, client: KubeClient, namespace: string, signal: AbortSignal) {
    this.host = host;
    this.client = client;
    this.namespace = namespace;
    this.signal = signal;
    const watch = (name: string) =>
      startInformer(host, client, builtin.secrets, { namespace, fieldSelector: `metadata.name=${name}`, signal });
    this.pluggedIn = watch(caSecret.pluggedIn);
    this.selfSigned = watch(caSecret.selfSigned);
  }

  authority(): CertificateAuthority | { readonly problem: string } {
    return this.current ?? { problem: this.problem };
  }

  /** Why the newest Secret is not in use, if it is not. */
  get trouble(): string | undefined {
    return this.problem === "" ? undefined : this.problem;
  }

  /** The Secret that the authority comes from. */
  get secretName(): string {
    return this.isPluggedIn ? caSecret.pluggedIn : caSecret.selfSigned;
  }

  /** Every root that the cluster trusts, as PEM. */
  get rootPem(): string | undefined {
    return this.current?.material.rootPem;
  }

  /** Called at once when there is an authority, and whenever it is replaced. */
  onChange(heard: (authority: CertificateAuthority) => void): void {
    this.listeners.push(heard);
    if (this.current !== undefined) heard(this.current);
  }

  /** Called whenever the newest Secret cannot be used, and with undefined when one can again. */
  onTrouble(heard: (problem: Problem | undefined) => void): void {
    this.troubleListeners.push(heard);
  }

  /** Resolves with the first usable authority; until then it is tried again and again. */
  async start(): Promise<CertificateAuthority> {
    await Promise.all([this.pluggedIn.synced, this.selfSigned.synced]);
    for (const informer of [this.pluggedIn, this.selfSigned]) informer.onChange(() => this.queueUpdate());
    this.queueUpdate();
    for (let failures = 0; ; failures += 1) {
      await this.updating;
      if (this.current !== undefined) return this.current;
      await this.host.clock.sleep(backoffMs(this.host.random, failures, retry), this.signal);
      this.queueUpdate();
    }
  }

  private queueUpdate(): void {
    this.updating = this.updating.then(async () => {
      try {
        await this.update();
      } catch (error) {
        if (this.signal.aborted) return;
        this.fail(errorText(error));
      }
    });
  }

  private async update(): Promise<void> {
    const key = (name: string) => `${this.namespace}/${name}`;
    const secret =
      this.pluggedIn.objects.get(key(caSecret.pluggedIn)) ??
      (this.isPluggedIn ? undefined : this.selfSigned.objects.get(key(caSecret.selfSigned)));
    if (secret === undefined) {
      // A plugged-in authority that vanishes is not replaced by another trust: what was issued must stay valid.
      if (this.current !== undefined) return this.fail(`Secret ${this.namespace}/${caSecret.pluggedIn} is gone.`);
      return this.makeSelfSigned();
    }
    const version = `${secret.metadata.uid ?? ""}/${secret.metadata.resourceVersion ?? ""}`;
    if (version === this.usedVersion) return this.mended();
    const checked = await checkCaSecret(secret.metadata.name, secretTexts(secret.data ?? {}), this.host.clock.now());
    if (!checked.ok) return this.fail(checked.problem);
    const authority = await CertificateAuthority.load(this.host, checked.material);
    this.current = authority;
    this.usedVersion = version;
    this.mended();
    this.isPluggedIn = secret.metadata.name === caSecret.pluggedIn;
    this.host.log.info("ca.loaded", { secret: secret.metadata.name });
    for (const heard of this.listeners) heard(authority);
  }

  private isPluggedIn = false;

  private fail(problem: string): void {
    if (problem !== this.problem) this.host.log.error("ca.problem", { problem });
    const isNews = problem !== this.problem;
    this.problem = problem;
    if (isNews) for (const heard of this.troubleListeners) heard(this.troubleOf(problem));
  }

  private mended(): void {
    if (this.problem === "") return;
    this.problem = "";
    for (const heard of this.troubleListeners) heard(undefined);
  }

  private troubleOf(message: string): Problem {
    const name = message.includes(`/${caSecret.selfSigned}`) ? caSecret.selfSigned : caSecret.pluggedIn;
    const { current, namespace } = this;
    const meanwhile = current === undefined ? "no certificate is issued" : "the authority that was last good issues";
    const remedy = `Put the Secret right; until then ${meanwhile}.`;
    return { kind: "Secret", namespace, name, reason: "UnusableAuthority", message, remedy, shownAs: "event" };
  }

  private async makeSelfSigned(): Promise<void> {
    const root = await mintRoot(this.host, { name: "Root CA of this cluster" });
    const texts = Object.entries(selfSignedSecret(root));
    const made: Secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: caSecret.selfSigned, namespace: this.namespace, labels: { [label.managedBy]: "tombolo" } },
      type: "istio.io/ca-root",
      data: Object.fromEntries(texts.map(([name, text]) => [name, Buffer.from(text).toString("base64")])),
    };
    try {
      await this.client.create(builtin.secrets, made, { signal: this.signal });
      this.host.log.info("ca.made", { secret: caSecret.selfSigned });
    } catch (error) {
      // Another replica was faster; its authority is the one.
      if (!isReason(error, "AlreadyExists")) throw error;
    }
  }
}
