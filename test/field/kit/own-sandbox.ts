/**
 * A bare sandbox that belongs to one test file: for tests that crash it, fault it, or take it down. The others share one
 * (`sandbox.ts`). State directory and kubeconfig are in a folder of its own, named by this process's environment.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { down, up } from "../../../src/apps/sandbox/sandbox.ts";
import type { SandboxSummary } from "../../../src/apps/sandbox/sandbox.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { run } from "../../../src/io/host/processes.ts";
import type { RunResult } from "../../../src/io/host/processes.ts";
import { repository } from "./sandbox-life.ts";

const host = systemHost("warn");
const names = ["TOMBOLO_HOME", "KUBECONFIG"] as const;

export class OwnSandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "tombolo-own-"));
  readonly home = join(this.folder, "home");
  readonly kubeconfig = join(this.folder, "kubeconfig");
  readonly ending = new AbortController();
  summary: SandboxSummary | undefined;
  private readonly clusters: readonly string[];
  private readonly nodes: number;
  private readonly saved = names.map((name) => [name, process.env[name]] as const);

  constructor(clusters: readonly string[], nodes: number) {
    this.clusters = clusters;
    this.nodes = nodes;
    process.env["TOMBOLO_HOME"] = this.home;
    process.env["KUBECONFIG"] = this.kubeconfig;
  }

  async up(): Promise<SandboxSummary> {
    const { clusters, nodes } = this;
    this.summary = await up(host, { clusters, nodes, signal: this.ending.signal, progress: () => undefined });
    return this.summary;
  }

  down(): Promise<boolean> {
    return down(host, { signal: this.ending.signal, progress: () => undefined });
  }

  /** In afterAll: whatever the tests left is taken down. */
  async end(): Promise<void> {
    await this.down();
    for (const [name, value] of this.saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  tryKubectl(context: string, args: readonly string[], input?: string): Promise<RunResult> {
    return run("kubectl", ["--context", context, "--cache-dir", join(this.folder, "cache"), ...args], { input });
  }

  async kubectl(context: string, args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.tryKubectl(context, args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  }

  tombolo(words: string): Promise<RunResult> {
    return run(join(repository, "bin", "tombolo"), words.split(" "));
  }
}

export async function until<T>(what: string, ask: () => Promise<T | undefined>, msMax = 20_000): Promise<T> {
  const untilMs = host.clock.now() + msMax;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (host.clock.now() > untilMs) throw new Error(`waited in vain for ${what}`);
    await host.clock.sleep(100);
  }
}
