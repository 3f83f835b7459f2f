/**
 * The life of one container: started, probed, restarted with growing pauses, stopped in order. Owns its process, its log and
 * its status; the pod owns the order among containers.
 */
import type { Readable } from "node:stream";
import { errorText } from "../../../core/api/error-text.ts";
import type { Container, ContainerState, ContainerStatus, LifecycleHandler } from "../../../core/api/pod.ts";
import { identityNow, joinPath } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { NamespacePaths } from "../../../io/host/netns.ts";
import type { EventType } from "../controllers/events.ts";
import { ImageProblem } from "../images/catalogue.ts";
import { killMountNamespace } from "./kill.ts";
import { LogFile, removeLog } from "./log-file.ts";
import { Output } from "./output.ts";
import { attempt, httpGet } from "./probe-action.ts";
import type { ProbeTarget } from "./probe-action.ts";
import { Prober } from "./prober.ts";
import { programBehind, startContainer, startExec } from "./runtime.ts";
import type { Exit, Running } from "./runtime.ts";
import { MissingReference } from "./values.ts";

export type ContainerRole = "init" | "sidecar" | "main" | "ephemeral";
export type RestartPolicy = "Always" | "OnFailure" | "Never";

/** A container ready to start. */
export interface Prepared {
  readonly script: string;
  readonly argv: readonly string[];
  /** What stands before every program in the container, so that it runs with the container's rights. */
  readonly rights: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
}

/** What a container needs of its pod. */
export interface ContainerSurroundings {
  readonly namespaces: () => NamespacePaths;
  readonly nodeNetns: string;
  readonly podIp: string;
  readonly logDirectory: string;
  /** Rejects with `MissingReference` or `ImageProblem`. `attempt` makes a fresh root. */
  prepare(container: Container, attempt: number): Promise<Prepared>;
  record(type: EventType, reason: string, message: string): void;
  changed(): void;
}

const crashPause = { firstMs: 10_000, maxMs: 300_000, forgottenAfterMs: 600_000 } as const;
const imagePause = { firstMs: 10_000, maxMs: 300_000 } as const;
const configRetryMs = 2_000;

export class ContainerRunner {
  readonly spec: Container;
  readonly role: ContainerRole;
  running: Running | undefined;
  prepared: Prepared | undefined;
  log: LogFile | undefined;
  output: Output;
  private readonly host: Host;
  private readonly pod: ContainerSurroundings;
  private readonly policy: RestartPolicy;
  private readonly stopping = new AbortController();
  private state: ContainerState = { waiting: { reason: "PodInitializing" } };
  private lastState: ContainerState = {};
  private restartCount: number;
  private containerId: string | undefined;
  private prober: Prober | undefined;
  private exitReason: string | undefined;
  private finished: Promise<void> | undefined;
  lastExit: Exit | undefined;

  constructor(
    host: Host,
    pod: ContainerSurroundings,
    options: { spec: Container; role: ContainerRole; policy: RestartPolicy; before: ContainerStatus | undefined },
  ) {
    this.host = host;
    this.pod = pod;
    this.spec = options.spec;
    this.role = options.role;
    this.policy = options.policy;
    this.output = new Output(options.spec.stdin === true || options.spec.tty === true);
    const { before } = options;
    // It ran under an earlier kubelet, whose end was its end.
    const wasRunning = before?.state.running;
    this.restartCount = (before?.restartCount ?? 0) + (wasRunning === undefined ? 0 : 1);
    if (wasRunning !== undefined) {
      const at = { startedAt: wasRunning.startedAt, finishedAt: this.nowText() };
      this.lastState = { terminated: { exitCode: 255, reason: "Unknown", ...at } };
    } else if (before?.lastState !== undefined) this.lastState = before.lastState;
    if (options.role !== "init" && options.role !== "sidecar")
      this.state = { waiting: { reason: "ContainerCreating" } };
  }

  private nowText(): string {
    return isoSeconds(this.host.clock.now());
  }

  status(): ContainerStatus {
    const isRunning = this.state.running !== undefined;
    const isStarted = isRunning && (this.prober?.isStarted ?? true);
    const isReady =
      this.role === "init" ? this.state.terminated?.exitCode === 0 : isStarted && (this.prober?.isReady ?? true);
    return {
      name: this.spec.name,
      ready: this.role !== "ephemeral" && isReady,
      ...(this.role === "ephemeral" ? {} : { started: isStarted }),
      restartCount: this.restartCount,
      image: this.spec.image,
      imageID: this.containerId === undefined ? "" : `sandbox://${this.spec.image}`,
      ...(this.containerId === undefined ? {} : { containerID: this.containerId }),
      state: this.state,
      lastState: this.lastState,
    };
  }

  get isStarted(): boolean {
    return this.state.running !== undefined && (this.prober?.isStarted ?? true);
  }

  logPath(previous: boolean): string {
    return joinPath(this.pod.logDirectory, this.spec.name, `${this.restartCount - (previous ? 1 : 0)}.log`);
  }

  /** Runs until the container is over for good: ended as its policy allows, or stopped. */
  run(): Promise<void> {
    this.finished ??= this.loop().catch((error: unknown) => {
      if (!this.stopping.signal.aborted) throw error;
    });
    return this.finished;
  }

  private async loop(): Promise<void> {
    const { signal } = this.stopping;
    let pauseMs = 0;
    while (!signal.aborted) {
      const prepared = await this.prepareUntilPossible();
      const startedMs = this.host.clock.now();
      const exit = await this.runOnce(prepared);
      if (signal.aborted || !this.mustRestart(exit)) return;
      if (this.host.clock.now() - startedMs > crashPause.forgottenAfterMs) pauseMs = 0;
      if (pauseMs > 0) await this.waitBeforeRestart(pauseMs);
      pauseMs = pauseMs === 0 ? crashPause.firstMs : Math.min(pauseMs * 2, crashPause.maxMs);
      this.restartCount += 1;
      removeLog(joinPath(this.pod.logDirectory, this.spec.name, `${this.restartCount - 2}.log`));
    }
  }

  private mustRestart({ code }: Exit): boolean {
    if (this.role === "ephemeral") return false;
    if (this.role === "sidecar") return true;
    if (this.role === "init") return code !== 0 && this.policy !== "Never";
    return this.policy === "Always" || (this.policy === "OnFailure" && code !== 0);
  }

  private async waitBeforeRestart(pauseMs: number): Promise<void> {
    const { name } = this.spec;
    const message = `back-off ${pauseMs / 1000}s restarting failed container=${name}`;
    this.setState({ waiting: { reason: "CrashLoopBackOff", message } });
    this.pod.record("Warning", "BackOff", `Back-off restarting failed container ${name}`);
    await this.host.clock.sleep(pauseMs, this.stopping.signal);
  }

  private async prepareUntilPossible(): Promise<Prepared> {
    let imagePauseMs: number = imagePause.firstMs;
    for (;;) {
      try {
        return await this.pod.prepare(this.spec, this.restartCount);
      } catch (error) {
        if (error instanceof ImageProblem) {
          this.setState({ waiting: { reason: "ErrImagePull", message: error.message } });
          this.pod.record("Warning", "Failed", `Failed to pull image "${this.spec.image}": ${error.message}`);
          this.pod.record("Warning", "Failed", "Error: ErrImagePull");
          await this.host.clock.sleep(configRetryMs, this.stopping.signal);
          const message = `Back-off pulling image "${this.spec.image}": ${error.message}`;
          this.setState({ waiting: { reason: "ImagePullBackOff", message } });
          this.pod.record("Normal", "BackOff", `Back-off pulling image "${this.spec.image}"`);
          await this.host.clock.sleep(imagePauseMs, this.stopping.signal);
          imagePauseMs = Math.min(imagePauseMs * 2, imagePause.maxMs);
          continue;
        }
        const message = errorText(error);
        const reason = error instanceof MissingReference ? "CreateContainerConfigError" : "CreateContainerError";
        this.setState({ waiting: { reason, message } });
        this.pod.record("Warning", "Failed", `Error: ${message}`);
        await this.host.clock.sleep(configRetryMs, this.stopping.signal);
      }
    }
  }

  private async runOnce(prepared: Prepared): Promise<Exit> {
    const startedAt = this.nowText();
    this.containerId = `tombolo://${Buffer.from(this.host.random.bytes(32)).toString("hex")}`;
    this.log = new LogFile(this.host, this.logPath(false));
    if (this.restartCount > 0) this.output = new Output(this.spec.stdin === true || this.spec.tty === true);
    let running: Running;
    try {
      const { script, env } = prepared;
      const argv = [...prepared.rights, ...prepared.argv];
      const { stdin = false, tty = false } = this.spec;
      running = await startContainer({ namespaces: this.pod.namespaces(), script, argv, env, stdin, tty });
    } catch (error) {
      const message = errorText(error);
      this.pod.record("Warning", "Failed", `Error: ${message}`);
      this.log.close();
      this.finish({ code: 128, signal: undefined }, startedAt, { reason: "StartError", message });
      return { code: 128, signal: undefined };
    }
    this.prepared = prepared;
    this.running = running;
    this.listen(running, this.log, this.output);
    const mounts = mountNamespaceOf(running, this.spec.tty === true);
    this.exitReason = undefined;
    this.pod.record("Normal", "Created", `Created container: ${this.spec.name}`);
    this.pod.record("Normal", "Started", `Started container ${this.spec.name}`);
    this.startProbes();
    this.setState({ running: { startedAt } });
    if (this.stopping.signal.aborted) running.signal("SIGKILL");
    void this.runHook("postStart", this.spec.lifecycle?.postStart);
    const exit = await running.exit;
    this.prober?.stop();
    // Children that the program left behind would otherwise outlive the container.
    killMountNamespace(mounts);
    // Pipes drain before the log ends; a few milliseconds are plenty for what the kernel holds.
    await Promise.race([drained(running), this.host.clock.sleep(200)]);
    this.running = undefined;
    this.log.close();
    this.output.end();
    this.finish(exit, startedAt, undefined);
    return exit;
  }

  private listen(running: Running, log: LogFile, output: Output): void {
    for (const name of ["stdout", "stderr"] as const) {
      running[name]?.on("data", (chunk: Buffer) => {
        log.write(name, chunk);
        output.write(name, chunk);
      });
      // It may have been paused until somebody listens; a listener alone does not undo that.
      running[name]?.resume();
    }
  }

  private finish(exit: Exit, startedAt: string, why: { reason: string; message: string } | undefined): void {
    this.lastExit = exit;
    const terminated = {
      exitCode: exit.code,
      reason: why?.reason ?? this.exitReason ?? (exit.code === 0 ? "Completed" : "Error"),
      ...(why === undefined ? {} : { message: why.message }),
      startedAt,
      finishedAt: this.nowText(),
      ...(this.containerId === undefined ? {} : { containerID: this.containerId }),
    };
    this.setState({ terminated });
  }

  private setState(state: ContainerState): void {
    if (this.state.terminated !== undefined) this.lastState = this.state;
    this.state = state;
    this.pod.changed();
  }

  private startProbes(): void {
    if (this.role === "init" || this.role === "ephemeral") return;
    this.prober = new Prober(this.host, this.probeTarget(), this.spec, {
      changed: () => this.pod.changed(),
      record: (type, reason, message) => this.pod.record(type, reason, message),
      fail: (message) => {
        this.pod.record("Normal", "Killing", `Container ${this.spec.name} ${message}, will be restarted`);
        void this.endProcess(this.running, this.livenessGraceMs());
      },
    });
  }

  private livenessGraceMs(): number {
    return 30_000;
  }

  probeTarget(): ProbeTarget {
    const { nodeNetns, podIp } = this.pod;
    return { nodeNetns, podIp, container: this.spec, exec: (command, timeoutMs) => this.execToEnd(command, timeoutMs) };
  }

  exec(argv: readonly string[], options: { stdin: boolean; tty: boolean }): Running | undefined {
    const { running, prepared } = this;
    if (running === undefined || prepared === undefined) return undefined;
    const containerPid = innerPid(running, this.spec.tty === true);
    const { env, workingDir } = prepared;
    const command = [...prepared.rights, ...argv];
    return startExec({ namespaces: this.pod.namespaces(), containerPid, workingDir, argv: command, env, ...options });
  }

  private async execToEnd(command: readonly string[], timeoutMs: number): Promise<{ code: number; output: string }> {
    const process = this.exec(command, { stdin: false, tty: false });
    if (process === undefined) return { code: 1, output: "the container is not running" };
    const chunks: Buffer[] = [];
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on("data", (chunk: Buffer) => void (chunks.length < 64 && chunks.push(chunk)));
    }
    const cancel = this.host.clock.after(timeoutMs, () => process.signal("SIGKILL"));
    const { code } = await process.exit;
    cancel();
    return { code, output: Buffer.concat(chunks).toString("utf8").slice(0, 1024) };
  }

  private async runHook(name: string, hook: LifecycleHandler | undefined): Promise<void> {
    if (hook === undefined) return;
    if (hook.sleep !== undefined) {
      await this.host.clock.sleep(hook.sleep.seconds * 1000);
      return;
    }
    const target = this.probeTarget();
    const hookMsMax = 600_000;
    const result =
      hook.httpGet === undefined
        ? await attempt(this.host, target, hook.exec === undefined ? {} : { exec: hook.exec }, hookMsMax)
        : await httpGet(this.host, target, hook.httpGet, hookMsMax).catch((error: unknown) => ({
            isSuccess: false,
            message: errorText(error),
          }));
    if (result.isSuccess) return;
    const reason = name === "preStop" ? "FailedPreStopHook" : "FailedPostStartHook";
    this.pod.record("Warning", reason, `${name} hook of container ${this.spec.name} failed: ${result.message}`);
    if (name === "postStart") void this.endProcess(this.running, 0);
  }

  /** preStop, SIGTERM, at most `graceMs` in all, SIGKILL. The container does not start again. */
  async stop(graceMs: number): Promise<void> {
    const { running } = this;
    this.stopping.abort(new Error("The container is being stopped."));
    this.prober?.stop();
    if (running !== undefined) {
      this.pod.record("Normal", "Killing", `Stopping container ${this.spec.name}`);
      await this.endProcess(running, graceMs);
    }
    await this.finished;
  }

  private async endProcess(running: Running | undefined, graceMs: number): Promise<void> {
    if (running === undefined) return;
    const untilMs = this.host.clock.now() + graceMs;
    const { preStop } = this.spec.lifecycle ?? {};
    const leftMs = () => Math.max(0, untilMs - this.host.clock.now());
    if (preStop !== undefined && graceMs > 0) {
      await Promise.race([this.runHook("preStop", preStop), running.exit, this.host.clock.sleep(leftMs())]);
    }
    running.signal("SIGTERM");
    // As kubelets do, two seconds are left when preStop has used the whole time.
    const waitMs = graceMs === 0 ? 0 : Math.max(2_000, leftMs());
    const over = new AbortController();
    const isOver = await Promise.race([
      running.exit.then(() => true),
      this.host.clock.sleep(waitMs, over.signal).then(
        () => false,
        () => true,
      ),
    ]);
    over.abort(new Error("The container has ended."));
    if (!isOver) {
      running.signal("SIGKILL");
      killMountNamespace(mountNamespaceOf(running, this.spec.tty === true));
    }
    await running.exit;
  }
}

const drained = (running: Running): Promise<unknown> =>
  Promise.all([running.stdout, running.stderr].map(async (stream) => stream === undefined || closed(stream)));

const closed = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) resolve();
    else stream.once("close", () => resolve());
  });

const innerPid = (running: Running, tty: boolean): number => (tty ? programBehind(running.pid) : running.pid);

const mountNamespaceOf = (running: Running, tty: boolean): string | undefined =>
  identityNow(`/proc/${innerPid(running, tty)}/ns/mnt`);
