/**
 * Starts, kills and restarts the API server of `serve.ts`, always on the same port and the same data. Owns a folder in
 * the system's temporary directory and at most one process.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { makeCertificates } from "../../../src/apps/sandbox/certificates.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { writeAdminKubeconfig } from "../../field/kit/admin-kubeconfig.ts";
import type { ServeConfig } from "./serve.ts";

const startMsMax = 30_000;
const repository = join(import.meta.dirname, "../../..");

export class ServerProcess {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly adminToken: string;
  url = "";
  readonly ca: string;
  readonly #program: string;
  #config: ServeConfig;
  #child: ChildProcess | undefined;

  private constructor(folder: string, program: string, config: ServeConfig) {
    this.folder = folder;
    this.#program = program;
    this.#config = config;
    this.ca = config.ca;
    this.adminToken = config.adminToken;
    this.kubeconfig = join(folder, "kubeconfig");
  }

  static async start(): Promise<ServerProcess> {
    const folder = mkdtempSync(join(tmpdir(), "tombolo-conformance-"));
    // Inside the repository, so that it finds the packages that cannot be bundled.
    const program = join(repository, ".cache", "conformance", `${basename(folder)}.mjs`);
    await build({
      absWorkingDir: repository,
      entryPoints: ["test/conformance/kit/serve.ts"],
      outfile: program,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      mainFields: ["module", "main"],
      sourcemap: "inline",
      external: ["koffi", "@lydell/node-pty"],
      banner: {
        js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
      },
      logLevel: "warning",
    });
    const { certPem, keyPem, caPem } = await makeCertificates(systemHost("warn"), "conformance", "127.0.0.1");
    const server = new ServerProcess(folder, program, {
      dataDir: join(folder, "data"),
      port: 0,
      cert: certPem,
      key: keyPem,
      ca: caPem,
      adminToken: "a-token-of-the-conformance-run",
    });
    await server.restart();
    writeAdminKubeconfig(server.kubeconfig, server.url, server.ca, server.adminToken);
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resident memory, in bytes. */
  rss(): number {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return Number(found?.[1] ?? 0) * 1024;
  }

  /** The most that it ever had, in bytes. */
  peakRss(): number {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return Number(found?.[1] ?? 0) * 1024;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** As a crash leaves it: no goodbye, nothing flushed. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const over = once(child, "exit");
    child.kill("SIGKILL");
    await over;
  }

  /** Starts it again where it was; milliseconds until it answered. */
  async restart(): Promise<number> {
    const began = performance.now();
    const file = join(this.folder, "serve.json");
    writeFileSync(file, JSON.stringify(this.#config), { mode: 0o600 });
    const child = spawn(process.execPath, ["--enable-source-maps", this.#program, file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    let said = "";
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(new Error(`The API server did not start: it said ${JSON.stringify(said)}.`));
      const timer = setTimeout(fail, startMsMax);
      child.once("exit", fail);
      child.stdout.on("data", (text: Buffer) => {
        said += text.toString();
        if (!said.includes("\n")) return;
        clearTimeout(timer);
        child.off("exit", fail);
        resolve();
      });
    });
    this.url = said.trim();
    this.#config = { ...this.#config, port: Number(new URL(this.url).port) };
    return performance.now() - began;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.#program, { force: true });
  }
}
