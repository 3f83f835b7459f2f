/** Exec, attach, port-forward and logs of the pods of one cluster's nodes, as the API server asks for them. */
import type { Readable } from "node:stream";
import type { Pod } from "../../../core/api/pod.ts";
import type { Host } from "../../../io/host/host.ts";
import { fileExists, joinPath } from "../../../io/host/files.ts";
import { dialInside } from "../../../io/host/netns.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { ExecRequest, LogOptions, NodeStreams, Session } from "../../apiserver/node-streams.ts";
import { netnsPath } from "../network/addresses.ts";
import type { ContainerRunner } from "./container.ts";
import { readLog } from "./log-file.ts";
import type { PodWorker } from "./pod.ts";
import type { Running } from "./runtime.ts";

const dialMs = 10_000;
const silentMsMax = 500;
const pollMs = 10;

const badRequest = (message: string): KubeError => new KubeError(400, "BadRequest", message);
const notFound = (message: string): KubeError => new KubeError(404, "NotFound", message);

export class PodStreams implements NodeStreams {
  private readonly host: Host;
  private readonly find: (pod: Pod) => PodWorker | undefined;

  /** `find` may throw the reason why the pod's node gives no answer. */
  constructor(host: Host, find: (pod: Pod) => PodWorker | undefined) {
    this.host = host;
    this.find = find;
  }

  private worker(pod: Pod): PodWorker {
    const worker = this.find(pod);
    if (worker === undefined) throw notFound(`pod ${pod.metadata.name} does not run on a node of this cluster`);
    return worker;
  }

  private runner(pod: Pod, container: string): ContainerRunner {
    const runner = this.worker(pod).runner(container);
    if (runner !== undefined) return runner;
    throw badRequest(`container ${container} is not valid for pod ${pod.metadata.name}`);
  }

  async exec(pod: Pod, container: string, request: ExecRequest): Promise<Session> {
    const runner = this.runner(pod, container);
    const running = runner.exec(request.command, { stdin: request.stdin, tty: request.tty });
    if (running === undefined) throw badRequest(`container not found ("${container}")`);
    return this.sessionOf(running, request);
  }

  private sessionOf(running: Running, request: ExecRequest): Session {
    const { stdin, stdout, stderr } = running;
    if (!request.stdout) stdout?.resume();
    if (!request.stderr) stderr?.resume();
    const complete = async () => {
      const { code } = await running.exit;
      await Promise.all([this.outputOf(stdout), this.outputOf(stderr)]);
      return { code };
    };
    return {
      stdin: request.stdin ? stdin : undefined,
      stdout: request.stdout ? stdout : undefined,
      stderr: request.stderr && !request.tty ? stderr : undefined,
      resize: (columns, rows) => running.resize(columns, rows),
      exit: complete(),
      kill: () => running.signal("SIGKILL"),
    };
  }

  /** Until all is read; a process left behind that holds the pipe open, silent, is not waited for. */
  private async outputOf(stream: Readable | undefined): Promise<void> {
    for (let silentMs = 0; silentMs < silentMsMax; silentMs += pollMs) {
      if (stream === undefined || stream.readableEnded || stream.destroyed) return;
      if (stream.readableLength > 0) silentMs = 0;
      await this.host.clock.sleep(pollMs);
    }
    stream?.destroy();
  }

  async attach(pod: Pod, container: string, request: Omit<ExecRequest, "command">): Promise<Session> {
    const runner = this.runner(pod, container);
    const { running } = runner;
    const last = runner.lastExit;
    if (running === undefined && last === undefined) throw badRequest(`container ${container} is not running`);
    const { stdout, stderr } = runner.output.attach();
    const exit = running?.exit ?? Promise.resolve(last ?? { code: 0 });
    return {
      stdin: request.stdin ? running?.stdin : undefined,
      stdout: request.stdout ? stdout : undefined,
      stderr: request.stderr && !request.tty ? stderr : undefined,
      resize: (columns, rows) => running?.resize(columns, rows),
      // Output is complete once the container has drained its pipes.
      exit: exit.then(async ({ code }) => {
        if (request.stdout && !stdout.readableEnded) await this.endOf(stdout);
        return { code };
      }),
      kill: () => {
        stdout.destroy();
        stderr.destroy();
      },
    };
  }

  private async endOf(stream: NodeJS.EventEmitter): Promise<void> {
    const drainMsMax = 1_000;
    await Promise.race([
      new Promise<void>((resolve) => {
        stream.once("end", () => resolve());
        stream.once("close", () => resolve());
      }),
      this.host.clock.sleep(drainMsMax),
    ]);
  }

  async portForward(pod: Pod, port: number) {
    const worker = this.worker(pod);
    if (worker.sandbox.networkName === "") throw badRequest(`pod ${pod.metadata.name} has no network yet`);
    return dialInside(netnsPath(worker.sandbox.networkName), "127.0.0.1", port, dialMs);
  }

  async logs(pod: Pod, container: string, options: LogOptions) {
    const worker = this.worker(pod);
    const runner = worker.runner(container);
    const name = `container "${container}" in pod "${pod.metadata.name}"`;
    if (runner === undefined) return this.oldLogs(worker, pod, container, options);
    const path = runner.logPath(options.previous);
    if (options.previous && !fileExists(path)) {
      throw badRequest(`previous terminated ${name} not found`);
    }
    const live = options.previous || runner.running === undefined ? undefined : runner.log;
    if (fileExists(path)) return readLog(path, live, options);
    const waiting = runner.status().state.waiting;
    // Between two runs the last one's log is what there is to see.
    const before = runner.logPath(true);
    if (fileExists(before)) return readLog(before, undefined, options);
    throw badRequest(`${name} is waiting to start: ${waiting?.message ?? waiting?.reason ?? "ContainerCreating"}`);
  }

  /** Of a pod that was over before this kubelet started. */
  private oldLogs(worker: PodWorker, pod: Pod, container: string, options: LogOptions) {
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    const status = statuses.find(({ name }) => name === container);
    const path = joinPath(worker.sandbox.logDirectory, container, `${status?.restartCount ?? 0}.log`);
    if (fileExists(path)) return readLog(path, undefined, options);
    throw badRequest(`container ${container} is not valid for pod ${pod.metadata.name}`);
  }
}
