/** What the agent asks of its own Envoy's admin interface, which listens on a unix socket that only root reaches. */
import { request } from "node:http";

const answerBytesMax = 64 * 1024 * 1024;
const answerMsMax = 5_000;

export class EnvoyAdmin {
  readonly #socketPath: string;
  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The body of a GET; rejects when Envoy does not answer with 200 in time. */
  get(path: string, signal?: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const limits =
        signal === undefined
          ? AbortSignal.timeout(answerMsMax)
          : AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]);
      const sent = request(
        { socketPath: this.#socketPath, path, signal: limits, headers: { host: "envoy" } },
        (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on("data", (chunk: Buffer) => {
            size += chunk.length;
            if (size > answerBytesMax) response.destroy(new Error(`Envoy's answer to ${path} is too large.`));
            else chunks.push(chunk);
          });
          response.on("error", reject);
          response.on("end", () => {
            const body = Buffer.concat(chunks).toString("utf8");
            if (response.statusCode === 200) resolve(body);
            else reject(new Error(`Envoy answered ${path} with ${response.statusCode}: ${body.slice(0, 200)}`));
          });
        },
      );
      sent.on("error", reject);
      sent.end();
    });
  }

  /** Names of the listeners that are up and listening; a warming one is not among them. */
  async activeListeners(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    const text = await this.get("/listeners", signal).catch((error: unknown) => {
      if (signal?.aborted === true) throw error;
      return "";
    });
    // One "name::address" per line; our names hold no "::".
    return new Set(
      text.split("\n").flatMap((line) => (line.includes("::") ? [line.slice(0, line.indexOf("::"))] : [])),
    );
  }

  /** Envoy is initialized: every static and first dynamic resource is there. */
  async isReady(): Promise<boolean> {
    return this.get("/ready").then(
      (body) => body.startsWith("LIVE"),
      () => false,
    );
  }
}
