/**
 * Answers the node's CNI plugin, so that a pod of the mesh never runs uncaptured. Requests and answers are files in one
 * folder; a request stays until it is answered, so that an agent that starts again finds it. Owns what is in that folder.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { joinPath, listNow, makeDirectory, readNow, removePath } from "../../../io/host/files.ts";
import { sizeNow, watchDirectory, writeAtomically } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { answerSecondsMax, ending, tryAgainLater } from "./plugin.ts";
import { type Announcement, readPodRequest } from "./request.ts";

export interface AnnouncementHandlers {
  /** True: captured. False: not a pod of the mesh. Rejects when it should be and is not. */
  added(pod: Announcement, signal: AbortSignal): Promise<boolean>;
  removed(uid: string): void;
}

const requestBytesMax = 256 * 1024;
/** Answered at a time; more wait in the folder. */
const openMax = 256;
/** A safety net: the kernel tells of new files, but its queue has an end. */
const lookMs = 1_000;

const isRequest = (name: string): boolean => name.endsWith(ending.request);
const isAnswer = (name: string): boolean => name.endsWith(ending.result) || name.endsWith(ending.error);

export class CniRequests {
  readonly #host: Host;
  readonly #folder: string;
  readonly #handlers: AnnouncementHandlers;
  readonly #open = new Set<string>();

  constructor(host: Host, folder: string, handlers: AnnouncementHandlers) {
    this.#host = host;
    this.#folder = folder;
    this.#handlers = handlers;
  }

  /** Resolves once requests are taken; they are until the signal aborts. */
  async serve(signal: AbortSignal): Promise<void> {
    await makeDirectory(this.#folder, 0o700);
    // Answers for plugins that are gone.
    await Promise.all(
      this.#names()
        .filter(isAnswer)
        .map((name) => this.#remove(name)),
    );
    const close = watchDirectory(this.#folder, () => this.#look(signal));
    signal.addEventListener("abort", close, { once: true });
    void this.#lookOften(signal);
  }

  async #lookOften(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look(signal);
      await this.#host.clock.sleep(lookMs, signal).catch(() => undefined);
    }
  }

  #names(): readonly string[] {
    return listNow(this.#folder);
  }

  #look(signal: AbortSignal): void {
    if (signal.aborted) return;
    for (const name of this.#names().filter(isRequest)) {
      if (this.#open.has(name) || this.#open.size >= openMax) continue;
      this.#open.add(name);
      this.#answer(name, signal)
        .catch((error: unknown) => this.#host.log.warn("cni.failed", { request: name, cause: errorText(error) }))
        .finally(() => this.#open.delete(name));
    }
  }

  async #answer(name: string, signal: AbortSignal): Promise<void> {
    const base = name.slice(0, -ending.request.length);
    const path = joinPath(this.#folder, name);
    const request =
      sizeNow(path) > requestBytesMax
        ? `The request is larger than ${requestBytesMax} bytes.`
        : readPodRequest(readNow(path) ?? "");
    if (base.startsWith("DEL-")) {
      if (typeof request !== "string") this.#handlers.removed(request.pod.uid);
      return this.#remove(name);
    }
    try {
      if (typeof request === "string") throw new Error(request);
      // Nobody waits any longer than the plugin does.
      const patience = AbortSignal.timeout(answerSecondsMax * 1_000);
      await this.#handlers.added(request.pod, AbortSignal.any([signal, patience]));
      await this.#write(base + ending.result, request.previous);
    } catch (error) {
      // An agent that ends leaves the question to the next one.
      if (signal.aborted) return;
      await this.#write(base + ending.error, { cniVersion: "1.0.0", code: tryAgainLater, msg: errorText(error) });
    }
    await this.#remove(name);
  }

  #write(name: string, answer: object): Promise<void> {
    return writeAtomically(joinPath(this.#folder, name), `${JSON.stringify(answer)}\n`, 0o600);
  }

  #remove(name: string): Promise<void> {
    return removePath(joinPath(this.#folder, name));
  }
}
