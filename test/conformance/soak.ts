/**
 * Reflectors through crashes: writers change ConfigMaps at random while the server is killed and started again. What
 * each reflector holds at the end must be what a fresh list says, and no acknowledged write may have passed it by.
 */
import type { ServerProcess } from "./kit/server-process.ts";
import { type Endpoint, json, linesOf, stream } from "./kit/wire.ts";

export interface SoakWish {
  readonly watchers: number;
  readonly writes: number;
  readonly kills: number;
}

export interface SoakResult {
  readonly acknowledged: number;
  readonly lists: number;
  readonly resumed: number;
  readonly events: number;
}

interface Item {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Record<string, string>;
  };
  readonly data?: Record<string, string>;
}

const path = "/api/v1/namespaces/default/configmaps";
const names = 60;
const writers = 8;
const settleMsMax = 30_000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Reflector {
  readonly cache = new Map<string, Item>();
  readonly seen = new Set<number>();
  /** Everything up to here was in a list. */
  listed = 0;
  lists = 0;
  resumed = 0;
  readonly #endpoint: Endpoint;
  readonly #selector: string;
  readonly #isStreaming: boolean;
  #revision = "";
  #isOver = false;
  #current: { destroy(): unknown } | undefined;

  /** `isStreaming`: takes the initial state from the watch itself, as new client-go does. */
  constructor(endpoint: Endpoint, { selector, isStreaming }: { selector?: string; isStreaming: boolean }) {
    this.#endpoint = endpoint;
    this.#selector = selector === undefined ? "" : `&labelSelector=${encodeURIComponent(selector)}`;
    this.#isStreaming = isStreaming;
  }

  get revision(): number {
    return Number(this.#revision === "" ? "0" : this.#revision);
  }

  stop(): void {
    this.#isOver = true;
    this.#current?.destroy();
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      try {
        if (this.#revision === "" && !this.#isStreaming) await this.#list();
        else if (this.#revision !== "") this.resumed += 1;
        await this.#watch();
      } catch {
        // The server is gone, or has forgotten this revision: again from what is known.
      }
      if (!this.#isOver) await pause(50);
    }
  }

  async #list(): Promise<void> {
    const { code, body } = await json(this.#endpoint, { path: `${path}?limit=0${this.#selector}` });
    if (code !== 200) throw new Error(`listing was answered with ${code}`);
    // A 200 to a list is a list.
    const list = body as unknown as { metadata: { resourceVersion: string }; items: Item[] };
    this.cache.clear();
    for (const item of list.items) this.cache.set(item.metadata.name, item);
    this.#revision = list.metadata.resourceVersion;
    this.listed = Math.max(this.listed, Number(this.#revision));
    this.lists += 1;
  }

  async #watch(): Promise<void> {
    const initial = this.#revision === "";
    const from = initial
      ? "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
      : `&resourceVersion=${this.#revision}`;
    const answer = await stream(this.#endpoint, `${path}?watch=true&allowWatchBookmarks=true${from}${this.#selector}`);
    this.#current = answer;
    if (answer.statusCode !== 200) {
      answer.destroy();
      if (answer.statusCode === 410) this.#revision = "";
      throw new Error(`watching was answered with ${answer.statusCode}`);
    }
    const fresh = initial ? new Map<string, Item>() : undefined;
    let isInitial = initial;
    for await (const line of linesOf(answer)) {
      // Each line of a watch is an event.
      const { type, object } = JSON.parse(line) as { type: string; object: Item };
      if (type === "ERROR") {
        this.#revision = "";
        return;
      }
      const { resourceVersion, name } = object.metadata;
      const target = isInitial && fresh !== undefined ? fresh : this.cache;
      if (type === "DELETED") target.delete(name);
      else if (type !== "BOOKMARK") target.set(name, object);
      if (type === "BOOKMARK" && isInitial && fresh !== undefined) {
        isInitial = false;
        this.cache.clear();
        for (const [key, item] of fresh) this.cache.set(key, item);
        this.listed = Math.max(this.listed, Number(resourceVersion));
        this.lists += 1;
      }
      if (isInitial) continue;
      if (type !== "BOOKMARK") this.#note(Number(resourceVersion));
      this.#revision = resourceVersion;
    }
  }

  #note(revision: number): void {
    if (revision <= this.revision) throw new Error(`an event of revision ${revision} came after ${this.#revision}`);
    this.seen.add(revision);
  }
}

/** One random write; its revision when it was acknowledged. */
async function write(endpoint: Endpoint, count: number): Promise<number | undefined> {
  const name = `cm-${Math.floor(Math.random() * names)}`;
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { side: Math.random() < 0.5 ? "left" : "right" } },
    data: { count: String(count) },
  };
  const body = JSON.stringify(object);
  const kind = Math.random();
  const replies =
    kind < 0.15
      ? await json(endpoint, { method: "DELETE", path: `${path}/${name}` })
      : kind < 0.6
        ? await json(endpoint, { method: "PATCH", path: `${path}/${name}`, body, type: "application/merge-patch+json" })
        : await json(endpoint, { method: "POST", path, body });
  if (replies.code >= 300 || kind < 0.15) return undefined;
  // The answer to a write that was taken is the object.
  return Number((replies.body as unknown as Item).metadata.resourceVersion);
}

export async function soak(server: ServerProcess, wish: SoakWish): Promise<SoakResult> {
  const endpoint = { url: server.url, ca: server.ca, token: server.adminToken };
  const reflectors = Array.from({ length: wish.watchers }, (_, at) => {
    const selector = at % 3 === 2 ? { selector: "side=left" } : {};
    return { reflector: new Reflector(endpoint, { ...selector, isStreaming: at % 3 === 1 }), isWhole: at % 3 !== 2 };
  });
  const running = reflectors.map(({ reflector }) => reflector.run());
  const acknowledged: number[] = [];
  let done = 0;
  const killAt = Array.from({ length: wish.kills }, (_, at) => Math.floor(((at + 1) * wish.writes) / (wish.kills + 1)));
  const writer = async () => {
    while (done < wish.writes) {
      try {
        const revision = await write(endpoint, done);
        done += 1;
        if (revision !== undefined) acknowledged.push(revision);
      } catch {
        // A connection that broke says nothing about whether the write was taken; it does not count.
        await pause(20);
      }
    }
  };
  const crashes = async () => {
    for (const at of killAt) {
      while (done < at) await pause(2);
      await server.kill();
      await server.restart();
    }
  };
  await Promise.all([...Array.from({ length: writers }, writer), crashes()]);
  const { body } = await json(endpoint, { path });
  // A list of ConfigMaps.
  const fresh = body as unknown as { metadata: { resourceVersion: string }; items: Item[] };
  try {
    for (const { reflector, isWhole } of reflectors) await settle(reflector, fresh.items, isWhole);
    for (const { reflector, isWhole } of reflectors) {
      if (!isWhole) continue;
      const missed = acknowledged.filter((revision) => revision > reflector.listed && !reflector.seen.has(revision));
      if (missed.length > 0) throw new Error(`A watcher never heard of the writes ${missed.slice(0, 5).join(", ")}.`);
    }
  } finally {
    for (const { reflector } of reflectors) reflector.stop();
    await Promise.all(running);
  }
  const sum = (read: (reflector: Reflector) => number) =>
    reflectors.reduce((total, { reflector }) => total + read(reflector), 0);
  return {
    acknowledged: acknowledged.length,
    lists: sum(({ lists }) => lists),
    resumed: sum(({ resumed }) => resumed),
    events: sum(({ seen }) => seen.size),
  };
}

const shown = (items: Iterable<Item>): string =>
  [...items]
    .map(({ metadata, data }) => `${metadata.name}@${metadata.resourceVersion}=${data?.["count"] ?? ""}`)
    .sort()
    .join("\n");

async function settle(reflector: Reflector, items: readonly Item[], isWhole: boolean): Promise<void> {
  const wanted = shown(isWhole ? items : items.filter(({ metadata }) => metadata.labels?.["side"] === "left"));
  const until = performance.now() + settleMsMax;
  while (shown(reflector.cache.values()) !== wanted) {
    if (performance.now() > until) {
      throw new Error(`A watcher holds\n${shown(reflector.cache.values())}\nand a fresh list says\n${wanted}`);
    }
    await pause(50);
  }
}
