/**
 * Runs containers as processes of this machine: a pause process per pod that holds its namespaces, and every container as a
 * direct child of this program inside them. Owns no state; callers keep what it returns.
 */
import type { ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { Readable, Writable } from "node:stream";
import { readNow } from "../../../io/host/files.ts";
import type { NamespacePaths } from "../../../io/host/netns.ts";
import { withNamespaces } from "../../../io/host/netns.ts";
import { ended, sendSignal, signalNumber, start } from "../../../io/host/processes.ts";

export interface Exit {
  readonly code: number;
  readonly signal: string | undefined;
}

/** What all containers of a pod share. */
export interface PodNamespaces {
  readonly paths: NamespacePaths;
  /** Someone else has ended the pause process: nothing can be started in here any more. */
  isOver(): boolean;
  /** Ends the pause process, and with it everything in the pod's pid namespace. */
  end(): Promise<void>;
}

export interface Running {
  /** As the machine counts; root, mounts and environment of the container are reached through it. */
  readonly pid: number;
  readonly stdin?: Writable | undefined;
  readonly stdout?: Readable | undefined;
  readonly stderr?: Readable | undefined;
  readonly exit: Promise<Exit>;
  resize(columns: number, rows: number): void;
  signal(signal: NodeJS.Signals): void;
}

// PID 1 of a pod: names the host, says so, then only waits, so that orphans are buried.
const pauseScript =
  'echo "$1" > /proc/sys/kernel/hostname; echo ready; exec >&- 2>&-; while :; do sleep 2147483647 & wait; done';

export async function startPause(options: {
  readonly netns: string;
  readonly hostname: string;
  readonly hostPid: boolean;
  readonly env: Readonly<Record<string, string>>;
}): Promise<PodNamespaces> {
  const flags = options.hostPid ? ["--uts", "--ipc"] : ["--uts", "--ipc", "--pid", "--fork", "--kill-child"];
  const child = start("unshare", [...flags, "sh", "-c", pauseScript, "pause", options.hostname], {
    inside: { net: options.netns },
    env: options.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let isOver = false;
  const exit = ended(child).finally(() => (isOver = true));
  const errors: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => void errors.push(chunk.toString("utf8")));
  const isReady = await new Promise<boolean>((resolve) => {
    child.stdout?.once("data", () => resolve(true));
    void exit.then(() => resolve(false));
  });
  const { pid } = child;
  if (!isReady || pid === undefined) throw new Error(`Cannot make the pod's namespaces: ${errors.join("").trim()}`);
  const ofChild = (kind: string) => `/proc/${pid}/ns/${kind}`;
  return {
    paths: {
      net: options.netns,
      uts: ofChild("uts"),
      ipc: ofChild("ipc"),
      ...(options.hostPid ? {} : { pid: ofChild("pid_for_children") }),
    },
    isOver: () => isOver,
    end: async () => {
      // The whole group: without a pid namespace of its own, its sleeping child would outlive it.
      sendSignal(-pid, "SIGKILL");
      await exit;
    },
  };
}

export interface ContainerStart {
  readonly namespaces: NamespacePaths;
  /** Ends by running its arguments, see `root.ts`. */
  readonly script: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** Resolves once the program itself runs; rejects with what went wrong before. */
export async function startContainer(options: ContainerStart): Promise<Running> {
  if (options.tty) return startTerminal(options);
  const child = start(
    "unshare",
    ["--mount", "--propagation", "slave", "sh", "-c", options.script, "container", ...options.argv],
    {
      inside: options.namespaces,
      env: options.env,
      stdio: [options.stdin ? "pipe" : "ignore", "pipe", "pipe", "pipe"],
      detached: true,
    },
  );
  const running = runningOf(child);
  const errors: string[] = [];
  const hearError = (chunk: Buffer) => void errors.push(chunk.toString("utf8"));
  // Paused afterwards, so that nothing is lost before the caller listens.
  running.stderr?.on("data", hearError);
  const isReady = await new Promise<boolean>((resolve) => {
    const [, , , ready] = child.stdio;
    // Its end, not the end of the process: that of a short container may be heard before its word.
    ready?.once("data", () => resolve(true));
    ready?.once("close", () => resolve(false));
  });
  running.stderr?.pause();
  running.stderr?.off("data", hearError);
  if (!isReady) throw new Error(`cannot prepare the root of the container: ${errors.join("").trim().slice(0, 1000)}`);
  if (errors.length > 0) running.stderr?.unshift(Buffer.from(errors.join(""), "utf8"));
  return running;
}

function runningOf(child: ChildProcess): Running {
  const pid = child.pid ?? -1;
  child.stdin?.on("error", () => undefined);
  return {
    pid,
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    stderr: child.stderr ?? undefined,
    // Of the process, not of its streams: a grandchild that keeps the pipe open must not keep a container alive.
    exit: new Promise((resolve) => {
      child.once("error", () => resolve({ code: 128, signal: undefined }));
      child.once("exit", (code, signal) =>
        resolve({ code: code ?? 128 + signalNumber(signal ?? "SIGKILL"), signal: signal ?? undefined }),
      );
    }),
    resize: () => undefined,
    signal: (signal) => void (pid > 0 && sendSignal(pid, signal)),
  };
}

export interface ExecStart {
  readonly namespaces: NamespacePaths;
  /** Of the container's main process. */
  readonly containerPid: number;
  readonly workingDir: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly tty: boolean;
}

/**
 * With a terminal: a session inside the pod's own pid namespace takes the terminal over. Shells give it back at their end to
 * the process group they got it from, which must be one that they can see.
 */
const ownSession = ["setsid", "--ctty", "--wait"] as const;

const execScript = 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"';

/** Another program in a running container. */
export function startExec(options: ExecStart): Running {
  const enter = [`--mount=/proc/${options.containerPid}/ns/mnt`];
  const rest = [
    "--",
    ...(options.tty ? ownSession : []),
    "sh",
    "-c",
    execScript,
    "exec",
    options.workingDir,
    ...options.argv,
  ];
  if (options.tty) return openTerminal("nsenter", enter, rest, options);
  return runningOf(
    start("nsenter", [...enter, ...rest], {
      inside: options.namespaces,
      env: options.env,
      stdio: [options.stdin ? "pipe" : "ignore", "pipe", "pipe"],
      detached: true,
    }),
  );
}

/** With a terminal the process we know is `nsenter`, and the program is its child. */
export function programBehind(nsenterPid: number): number {
  const child = Number(readNow(`/proc/${nsenterPid}/task/${nsenterPid}/children`)?.trim().split(" ")[0]);
  return child > 0 ? child : nsenterPid;
}

function startTerminal(options: ContainerStart): Promise<Running> {
  const script = options.script.replaceAll("\necho ok >&3\nexec 3>&-", "");
  // The pid namespace is joined by nsenter, the mounts are unshared inside.
  const unshared = ["unshare", "--mount", "--propagation", "slave"];
  const rest = ["--", ...ownSession, ...unshared, "sh", "-c", script, "container", ...options.argv];
  return Promise.resolve(openTerminal("nsenter", [], rest, options));
}

interface Pty {
  readonly pid: number;
  onData(heard: (data: Buffer) => void): unknown;
  onExit(heard: (exit: { exitCode: number; signal?: number }) => void): unknown;
  write(data: Buffer): void;
  resize(columns: number, rows: number): void;
  kill(signal?: string): void;
  pause(): void;
  resume(): void;
}

/** node-pty starts a thread, which the kernel forbids inside a foreign pid namespace: nsenter enters that one. */
function openTerminal(
  command: string,
  enter: readonly string[],
  rest: readonly string[],
  options: { readonly namespaces: NamespacePaths; readonly env: Readonly<Record<string, string>> },
): Running {
  const { pid: pidNamespace, ...others } = options.namespaces;
  const pidFlags = pidNamespace === undefined ? [] : [`--pid=${pidNamespace}`];
  // node-pty's own types want a string encoding; with none, data comes as buffers.
  const nodePty = createRequire(import.meta.url)("@lydell/node-pty") as {
    spawn(file: string, args: readonly string[], options: Record<string, unknown>): Pty;
  };
  const env = { TERM: "xterm", ...options.env };
  const pty = withNamespaces(others, () =>
    nodePty.spawn(command, [...enter, ...pidFlags, ...rest], { cols: 80, rows: 24, cwd: "/", env, encoding: null }),
  );
  return terminalOf(pty);
}

function terminalOf(pty: Pty): Running {
  const stdout = new Readable({ read: () => pty.resume() });
  pty.onData((data) => {
    if (!stdout.push(data)) pty.pause();
  });
  const exit = new Promise<Exit>((resolve) => {
    pty.onExit(({ exitCode, signal }) => {
      stdout.push(null);
      const isKilled = signal !== undefined && signal > 0;
      resolve({ code: isKilled ? 128 + signal : exitCode, signal: isKilled ? String(signal) : undefined });
    });
  });
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      pty.write(chunk);
      done();
    },
    // The end of input on a terminal is a character.
    final: (done) => {
      pty.write(Buffer.from([4]));
      done();
    },
  });
  return {
    pid: pty.pid,
    stdin,
    stdout,
    exit,
    resize: (columns, rows) => pty.resize(Math.max(1, columns), Math.max(1, rows)),
    // The group of the program, which leads a session of its own; `nsenter` ends with it.
    signal: (signal) => void sendSignal(-programBehind(pty.pid), signal),
  };
}
