/**
 * A sandbox for field tests, with a state directory and a kubeconfig of its own. Files that ask for the same flags share
 * one; another set of flags takes the first down. Vitest's global setup owns the folder and takes the last one down.
 */
import { join } from "node:path";
import { afterEach } from "vitest";
import { type Output, run, type RunOptions } from "./program.ts";
import { bringUp, environmentOf, repository } from "./sandbox-life.ts";

/** Set by global-setup.ts for all test files of a run. */
const folderVariable = "TOMBOLO_FIELD_FOLDER";

const folderOfRun = (): string => {
  const folder = process.env[folderVariable];
  if (folder === undefined)
    throw new Error(`${folderVariable} is not set: run these tests in vitest's project "field".`);
  return folder;
};

/** What a person with a terminal beside the clusters can do. */
export class Sandbox {
  readonly env: NodeJS.ProcessEnv;
  readonly clusters: readonly string[];
  readonly home: string;

  constructor(folder: string, clusters: readonly string[]) {
    this.env = environmentOf(folder);
    this.home = join(folder, "home");
    this.clusters = clusters;
  }

  /** As typed, without looking at the exit code. */
  tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run(command, args, { env: this.env, cwd: repository, ...options });
  }

  async #run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await this.tryRun(command, args, options);
    if (code !== 0) throw new Error(`${[command, ...args].join(" ")} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** Words are split at spaces; pass a list where one has a space in it. */
  kubectl(cluster: string, words: string | readonly string[], options: RunOptions = {}): Promise<string> {
    const args = typeof words === "string" ? words.split(/\s+/) : words;
    return this.#run("kubectl", ["--context", cluster, ...args], options);
  }

  tombolo(words: string, options: RunOptions = {}): Promise<string> {
    return this.#run("tombolo", words.split(/\s+/), options);
  }

  apply(cluster: string, yaml: string): Promise<string> {
    return this.kubectl(cluster, "apply -f -", { input: yaml });
  }

  async json<T>(cluster: string, words: string): Promise<T> {
    // The caller names the shape of what it asked for.
    return JSON.parse(await this.kubectl(cluster, `${words} -o json`)) as T;
  }

  async exec(cluster: string, target: string, command: readonly string[], msMax = 30_000): Promise<Output> {
    const [namespace = "", pod = ""] = target.split(" ");
    const args = ["--context", cluster, "-n", namespace, "exec", pod, "--", ...command];
    return this.tryRun("kubectl", args, { msMax });
  }

  async rolledOut(cluster: string, namespace: string, deployment: string): Promise<void> {
    await this.kubectl(cluster, `-n ${namespace} rollout status deployment/${deployment} --timeout=60s`, {
      msMax: 90_000,
    });
  }

  /** Everything that helps to see why a test failed, bounded in size. */
  async report(): Promise<string> {
    const parts: string[] = [];
    const look = async (cluster: string, words: string) => {
      const args = ["--context", cluster, ...words.split(" ")];
      const { stdout, stderr } = await this.tryRun("kubectl", args, { msMax: 15_000 });
      const lines = (stdout + stderr).trimEnd().split("\n");
      const cut = lines.length > reportLinesMax ? [`(${lines.length - reportLinesMax} lines before these)`] : [];
      parts.push(`--- ${cluster}: kubectl ${words}`, ...cut, ...lines.slice(-reportLinesMax));
    };
    for (const cluster of this.clusters) {
      await look(cluster, "get pods -A -o wide");
      await look(cluster, "get services,endpointslices -A");
      await look(cluster, "get gateways.gateway.networking.k8s.io,serviceentries,workloadentries -A -o wide");
      await look(cluster, "get events -A --sort-by=.lastTimestamp");
      await look(cluster, "-n istio-system logs deploy/tombolod --tail=60");
      await look(cluster, "-n istio-system logs -l app=tombolo-agent --tail=60 --prefix");
    }
    return parts.join("\n");
  }
}

const reportLinesMax = 80;

export interface Wish {
  /** Of `tombolo sandbox up`. */
  readonly flags: readonly string[];
  readonly clusters: readonly string[];
}

/** Two linked clusters of two nodes, so that there is another node to talk to. Tests remove the namespaces they make. */
export const linked: Wish = { flags: ["--nodes", "2"], clusters: ["cluster1", "cluster2"] };

/** Called in beforeAll. After the first failed test of the file, what the clusters look like is printed. */
export async function useSandbox(wish: Wish): Promise<Sandbox> {
  const folder = folderOfRun();
  const sandbox = new Sandbox(folder, wish.clusters);
  const failure = await bringUp(folder, wish.flags);
  if (failure !== undefined) throw new Error(`${failure}\n${await sandbox.report()}`);
  return sandbox;
}

export function reportFailures(sandbox: () => Sandbox | undefined): void {
  let hasReported = false;
  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail" || hasReported) return;
    hasReported = true;
    const found = sandbox();
    if (found !== undefined) console.log(await found.report());
  }, 120_000);
}
