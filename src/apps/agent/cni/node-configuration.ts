/**
 * Puts the CNI plugin on the node and into the node's network configuration, and keeps it there, since networks rewrite
 * their configuration when they are upgraded. Takes both away when the mesh leaves the node.
 */
import { configurationName } from "../../../core/api/cni.ts";
import { errorText } from "../../../core/api/error-text.ts";
import { joinPath, listNow, makeDirectory, readNow, removePath } from "../../../io/host/files.ts";
import { watchDirectory, writeAtomically } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { chained, unchained } from "./chain.ts";
import { pluginName, pluginScript } from "./plugin.ts";

/** Where the node's folders are in the agent's container. */
export interface CniFolders {
  readonly configuration: string;
  readonly programs: string;
}

const lookMs = 5_000;

export class NodeConfiguration {
  readonly #host: Host;
  readonly #folders: CniFolders;
  #problem: string | undefined = "The CNI plugin is not chained yet.";
  #task: Promise<void> = Promise.resolve();

  constructor(host: Host, folders: CniFolders) {
    this.#host = host;
    this.#folders = folders;
  }

  /** Why new pods of this node may start uncaptured; undefined when all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves when the plugin stands for the first time, or cannot; looks again until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    await makeDirectory(this.#folders.configuration);
    const close = watchDirectory(this.#folders.configuration, () => void this.#look(signal));
    signal.addEventListener("abort", close, { once: true });
    await this.#look(signal);
    void this.#lookOften(signal);
  }

  /** For when the mesh leaves the node. The configuration first: it must not name a program that is gone. */
  async remove(): Promise<void> {
    await this.#task;
    for (const name of listNow(this.#folders.configuration)) {
      const path = joinPath(this.#folders.configuration, name);
      const text = unchained(readNow(path) ?? "");
      if (text !== undefined) await writeAtomically(path, text);
    }
    await removePath(joinPath(this.#folders.programs, pluginName));
  }

  async #lookOften(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#host.clock.sleep(lookMs, signal).catch(() => undefined);
      await this.#look(signal);
    }
  }

  /** One look at a time. */
  #look(signal: AbortSignal): Promise<void> {
    this.#task = this.#task.then(async () => {
      if (signal.aborted) return;
      const problem = await this.#put().catch(errorText);
      if (problem !== undefined && problem !== this.#problem) this.#host.log.warn("cni.problem", { problem });
      this.#problem = problem;
    });
    return this.#task;
  }

  /** What is in the way, as a sentence. */
  async #put(): Promise<string | undefined> {
    const { configuration, programs } = this.#folders;
    const program = joinPath(programs, pluginName);
    if (readNow(program) !== pluginScript()) await writeAtomically(program, pluginScript(), 0o755);
    const name = configurationName(listNow(configuration));
    if (name === undefined) return `The node has no CNI configuration in ${configuration} yet; install a pod network.`;
    const path = joinPath(configuration, name);
    const found = chained(readNow(path) ?? "");
    if ("problem" in found) return `The node's CNI configuration ${name} cannot be used: ${found.problem}.`;
    if (found.text === undefined) return undefined;
    await writeAtomically(path, found.text);
    this.#host.log.info("cni.chained", { file: name });
    return undefined;
  }
}
