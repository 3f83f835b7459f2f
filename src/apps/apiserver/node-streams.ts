/** What the API server asks of the node that runs a pod: exec, attach, port-forward and logs. The kubelet implements it. */
import type { Duplex, Readable, Writable } from "node:stream";
import type { Pod } from "../../core/api/pod.ts";

export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** A running command. Streams that were not asked for are absent; with a terminal there is no stderr. */
export interface Session {
  readonly stdin?: Writable | undefined;
  readonly stdout?: Readable | undefined;
  readonly stderr?: Readable | undefined;
  resize(columns: number, rows: number): void;
  /** Resolves when the command has ended and its output is complete. */
  readonly exit: Promise<{ readonly code: number }>;
  kill(): void;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number | undefined;
  readonly limitBytes?: number | undefined;
  readonly sinceTime?: number | undefined;
  readonly signal: AbortSignal;
}

/** Methods reject with `KubeError` (400 BadRequest with kubelet's wording, 404) before anything is streamed. */
export interface NodeStreams {
  exec(pod: Pod, container: string, request: ExecRequest): Promise<Session>;
  attach(pod: Pod, container: string, request: Omit<ExecRequest, "command">): Promise<Session>;
  /** A connection to `port` on the pod's loopback. */
  portForward(pod: Pod, port: number): Promise<Duplex>;
  logs(pod: Pod, container: string, options: LogOptions): Promise<Readable>;
}
