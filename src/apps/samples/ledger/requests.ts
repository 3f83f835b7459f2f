/** One request of each kind: over a kept connection or a new one, HTTP or raw TCP. */
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";

export interface Answered {
  /** Who answered. */
  readonly by: string;
  readonly isReused: boolean;
}

/** A try that failed; `isRetriable` when a kept connection had ended before any byte of an answer. */
export class TryError extends Error {
  readonly isRetriable: boolean;
  constructor(message: string, isRetriable: boolean) {
    super(message);
    this.isRetriable = isRetriable;
  }
}

export const requestMsMax = 5_000;
const keptConnections = 4;

const codeOf = (error: unknown): string =>
  error instanceof Error ? ("code" in error && typeof error.code === "string" ? error.code : error.message) : String(error);

export class HttpTarget {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: keptConnections, maxFreeSockets: keptConnections });
  readonly #hasServed = new WeakSet<Socket>();
  readonly #host: string;
  readonly #port: number;
  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  send(number: number, isKept: boolean): Promise<Answered> {
    return new Promise((resolve, reject) => {
      let hasAnswer = false;
      const sent = request({
        host: this.#host,
        port: this.#port,
        path: `/hostname?n=${number}`,
        agent: isKept ? this.#agent : false,
        headers: isKept ? {} : { connection: "close" },
        signal: AbortSignal.timeout(requestMsMax),
      });
      // The agent's own `reusedSocket` leaves out sockets that go straight from one request to the next.
      let isReused = false;
      sent.on("socket", (socket) => {
        isReused = this.#hasServed.has(socket);
        this.#hasServed.add(socket);
      });
      const fail = (error: unknown) => reject(new TryError(codeOf(error), isReused && !hasAnswer));
      sent.on("error", fail);
      sent.on("response", (response) => {
        hasAnswer = true;
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => (body += text));
        response.on("error", fail);
        response.on("end", () => {
          if (response.statusCode !== 200) return fail(new Error(`status ${response.statusCode}`));
          resolve({ by: /"hostname": *"([^"]*)"/.exec(body)?.[1] ?? "", isReused });
        });
      });
      sent.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A connection to the TCP sample after its greeting, in echo mode. */
class EchoConnection {
  readonly socket: Socket;
  by = "";
  #read = "";
  #heard: (() => void) | undefined;
  failure: string | undefined;

  constructor(host: string, port: number) {
    this.socket = connect({ host, port, noDelay: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text) => {
      this.#read += String(text);
      this.#heard?.();
    });
    const fail = (cause: string) => {
      this.failure ??= cause;
      this.#heard?.();
    };
    this.socket.on("error", (error) => fail(codeOf(error)));
    this.socket.on("end", () => fail("the server ended the connection"));
    this.socket.on("close", () => fail("the connection was closed"));
  }

  async open(signal: AbortSignal): Promise<void> {
    this.by = (await this.line(signal)).split(" ")[1] ?? "";
    this.socket.write("echo\n");
  }

  async echo(text: string, signal: AbortSignal): Promise<void> {
    this.socket.write(`${text}\n`);
    const back = await this.line(signal);
    if (back !== text) throw new Error(`sent "${text}", got back "${back}"`);
  }

  line(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const end = this.#read.indexOf("\n");
        if (end !== -1) {
          const line = this.#read.slice(0, end);
          this.#read = this.#read.slice(end + 1);
          this.#heard = undefined;
          resolve(line);
        } else if (this.failure !== undefined) reject(new Error(this.failure));
      };
      this.#heard = look;
      signal.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
      look();
    });
  }
}

export class TcpTarget {
  readonly #host: string;
  readonly #port: number;
  readonly #free: EchoConnection[] = [];
  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async send(number: number, isKept: boolean): Promise<Answered> {
    const signal = AbortSignal.timeout(requestMsMax);
    let kept = isKept ? this.#free.shift() : undefined;
    // A connection that ended while it lay idle was never part of a request.
    while (kept !== undefined && kept.failure !== undefined) kept = this.#free.shift();
    const connection = kept ?? new EchoConnection(this.#host, this.#port);
    try {
      if (kept === undefined) await connection.open(signal);
      await connection.echo(`request ${number}`, signal);
    } catch (error) {
      connection.socket.destroy();
      throw new TryError(codeOf(error), kept !== undefined);
    }
    if (isKept && this.#free.length < keptConnections) this.#free.push(connection);
    else connection.socket.end();
    return { by: connection.by, isReused: kept !== undefined };
  }

  close(): void {
    for (const { socket } of this.#free.splice(0)) socket.destroy();
  }
}
