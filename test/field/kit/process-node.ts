/** A node for tests of the API server alone: commands are programs of this machine, ports are ports of this machine. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { spawn as spawnTerminal } from "@lydell/node-pty";
import type { ExecRequest, LogOptions, NodeStreams, Session } from "../../../src/apps/apiserver/node-streams.ts";

const runPlain = ({ command, stdin, stdout, stderr }: ExecRequest): Session => {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: "pipe" });
  const exit = once(child, "close").then(([code]: unknown[]) => ({ code: typeof code === "number" ? code : 137 }));
  if (!stdin) child.stdin.end();
  return {
    stdin: stdin ? child.stdin : undefined,
    stdout: stdout ? child.stdout : undefined,
    stderr: stderr ? child.stderr : undefined,
    resize: () => undefined,
    exit,
    kill: () => void child.kill("SIGKILL"),
  };
};

const runInTerminal = ({ command }: Pick<ExecRequest, "command">): Session => {
  const [program = "", ...args] = command;
  const terminal = spawnTerminal(program, args, { cols: 80, rows: 24 });
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  stdin.on("data", (chunk: Buffer) => terminal.write(chunk.toString()));
  terminal.onData((text) => stdout.write(text));
  const exit = new Promise<{ code: number }>((resolve) => {
    terminal.onExit(({ exitCode }) => {
      stdout.end();
      resolve({ code: exitCode });
    });
  });
  let isOver = false;
  void exit.then(() => (isOver = true));
  return {
    stdin,
    stdout,
    exit,
    resize: (columns, rows) => (isOver ? undefined : terminal.resize(columns, rows)),
    kill: () => (isOver ? undefined : terminal.kill()),
  };
};

/** Lines of a log that tests add to; followers see them at once. */
export class GrowingLog {
  readonly #lines: string[] = [];
  readonly #followers = new Set<(line: string) => void>();

  get followers(): number {
    return this.#followers.size;
  }

  add(line: string): void {
    this.#lines.push(line);
    for (const heard of this.#followers) heard(line);
  }

  read({ follow, tailLines, signal }: LogOptions): Readable {
    const shown =
      tailLines === undefined ? this.#lines : this.#lines.slice(Math.max(0, this.#lines.length - tailLines));
    const text = new PassThrough();
    text.write(shown.map((line) => `${line}\n`).join(""));
    if (!follow) return text.end();
    const heard = (line: string) => text.write(`${line}\n`);
    this.#followers.add(heard);
    signal.addEventListener("abort", () => {
      this.#followers.delete(heard);
      text.end();
    });
    return text;
  }
}

/** What `attach` connects to, and what the logs say. */
export interface ProcessNode extends NodeStreams {
  readonly log: GrowingLog;
  attached: readonly string[];
}

export const processNode = (): ProcessNode => {
  const log = new GrowingLog();
  const start = (request: ExecRequest): Promise<Session> =>
    Promise.resolve(request.tty ? runInTerminal(request) : runPlain(request));
  const node: ProcessNode = {
    log,
    attached: ["cat"],
    exec: (_pod, _container, request) => start(request),
    attach: (_pod, _container, request) => start({ ...request, command: node.attached }),
    portForward: async (_pod, port) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      await once(socket, "connect");
      return socket;
    },
    logs: (_pod, _container, options) => Promise.resolve(log.read(options)),
  };
  return node;
};
