/** A real delta client against a real delta server over a unix socket. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { systemHost } from "../host/host.ts";
import { DeltaClient, type DeltaUpdate } from "./delta-client.ts";
import { DeltaServer, StreamRefused, type DeltaServerOptions, type Rejection } from "./delta-server.ts";
import { decodeResponse, deltaMethodPath, encodeRequest, type DiscoveryResponse } from "./discovery.ts";
import { versionOf, type ResourceSource, type VersionedResource } from "./resource-source.ts";

const host = systemHost("error");
const quiet = { ...host, log: { ...host.log, warn: () => undefined, error: () => undefined } };
const apples = "type.googleapis.com/test.Apple";
const pears = "type.googleapis.com/test.Pear";

const versioned = (text: string): VersionedResource => {
  const bytes = new TextEncoder().encode(text);
  return { bytes, version: versionOf(bytes) };
};

/** Texts by type and name; a name that begins with `made:` is made when asked for. */
class Orchard implements ResourceSource {
  readonly texts = new Map<string, Map<string, string>>([apples, pears].map((type) => [type, new Map()]));
  readonly made = new Set<string>();

  set(type: string, name: string, text: string): void {
    this.texts.get(type)?.set(name, text);
  }
  names(type: string): Iterable<string> {
    return this.texts.get(type)?.keys() ?? [];
  }
  isListed(type: string, name: string): boolean {
    return this.texts.get(type)?.has(name) ?? false;
  }
  get(type: string, name: string): VersionedResource | undefined {
    const text = this.texts.get(type)?.get(name) ?? (this.made.has(name) ? `just ${name}` : undefined);
    return text === undefined ? undefined : versioned(text);
  }
  asked(_type: string, name: string): void {
    if (name.startsWith("made:")) this.made.add(name);
  }
  released(_type: string, name: string): void {
    this.made.delete(name);
  }
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

async function poll(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 500) throw new Error(`Waited in vain for ${what}.`);
    await host.clock.sleep(10);
  }
}

async function serve(source: ResourceSource, more: Partial<DeltaServerOptions> = {}, path = socketPath()) {
  const rejections: Rejection[] = [];
  const streams = new DeltaServer(quiet, {
    pushOrder: [apples, pears],
    open: () => source,
    rejected: (rejection) => rejections.push(rejection),
    ...more,
  });
  const server = new grpc.Server();
  streams.addTo(server);
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (cause) =>
      cause ? reject(cause) : resolve(),
    ),
  );
  const stop = () => server.forceShutdown();
  closing.push(stop);
  return { streams, rejections, path, stop };
}

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "xds-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "ads.sock");
}

function connect(
  path: string,
  subscriptions: { typeUrl: string; names?: string[] }[],
  refuse: Set<string> = new Set(),
) {
  const updates: DeltaUpdate[] = [];
  const held = new Map<string, string>();
  const stop = new AbortController();
  const causes: string[] = [];
  const client = new DeltaClient(quiet, {
    target: () => `unix:${path}`,
    credentials: () => grpc.credentials.createInsecure(),
    node: { id: "node-1", cluster: "test" },
    subscriptions,
    received: (update) => {
      const refused = update.upserts.find(({ name }) => refuse.has(name));
      if (refused) throw new Error(`no thanks, ${refused.name}`);
      updates.push(update);
      for (const { name, bytes } of update.upserts) held.set(name, new TextDecoder().decode(bytes));
      for (const name of update.removals) held.delete(name);
    },
    connection: ({ cause }) => void (cause !== undefined && causes.push(cause)),
  });
  void client.run(stop.signal);
  closing.push(() => stop.abort());
  return { client, updates, held, causes };
}

describe("a delta stream", () => {
  it("gives a wildcard everything, then only what changes, then says what is gone", async () => {
    const source = new Orchard();
    source.set(apples, "a", "red");
    source.set(apples, "b", "green");
    const { streams, path } = await serve(source);
    const { held, updates, client } = connect(path, [{ typeUrl: apples }]);
    await poll("both", () => held.size === 2);
    expect(client.isSynced).toBe(true);
    source.set(apples, "a", "brown");
    streams.changed(apples, ["a", "b"]);
    await poll("the change", () => held.get("a") === "brown");
    expect(updates.at(-1)?.upserts.map(({ name }) => name)).toEqual(["a"]);
    source.texts.get(apples)?.delete("b");
    streams.changed(apples, ["b"]);
    await poll("the removal", () => !held.has("b"));
    expect(updates).toHaveLength(3);
  });

  it("answers an empty wildcard, so that a client knows it has everything", async () => {
    const { path } = await serve(new Orchard());
    const { client } = connect(path, [{ typeUrl: apples }]);
    await poll("the empty answer", () => client.isSynced);
  });

  it("sends nothing again to a client that comes back, but for what changed or went meanwhile", async () => {
    const source = new Orchard();
    for (const name of ["kept", "changed", "gone"]) source.set(apples, name, `old ${name}`);
    const first = await serve(source);
    const { held, updates } = connect(first.path, [{ typeUrl: apples, names: ["asked"] }, { typeUrl: pears }]);
    source.set(apples, "asked", "x");
    first.streams.changed(apples, ["asked"]);
    for (const name of ["kept", "changed", "gone"]) source.set(pears, name, `old ${name}`);
    first.streams.changed(pears, ["kept", "changed", "gone"]);
    await poll("everything", () => held.size === 4);
    first.stop();
    source.set(pears, "changed", "new");
    source.texts.get(pears)?.delete("gone");
    const before = updates.length;
    await serve(source, {}, first.path);
    await poll("the difference", () => held.get("changed") === "new" && !held.has("gone"));
    const later = updates.slice(before);
    expect(later.flatMap(({ upserts }) => upserts.map(({ name }) => name))).toEqual(["changed"]);
    expect(later.flatMap(({ removals }) => removals)).toEqual(["gone"]);
  });

  it("makes what is asked for by name, says once what does not exist, and lets go of it", async () => {
    const source = new Orchard();
    const { path, streams } = await serve(source);
    const { client, held, updates } = connect(path, [{ typeUrl: apples }]);
    await poll("the start", () => client.isSynced);
    client.subscribe(apples, ["made:cake", "never"]);
    await poll(
      "both answers",
      () => held.has("made:cake") && updates.some(({ removals }) => removals.includes("never")),
    );
    streams.changed(apples, ["never"]);
    source.set(apples, "other", "x");
    streams.changed(apples, ["other"]);
    await poll("the next change", () => held.has("other"));
    expect(updates.flatMap(({ removals }) => removals)).toEqual(["never"]);
    client.unsubscribe(apples, ["made:cake"]);
    await poll("its release", () => !source.made.has("made:cake"));
  });

  it("takes back what was asked for by name, and gives it again to one who asks again", async () => {
    const source = new Orchard();
    const { path, streams } = await serve(source);
    const { client, held, updates } = connect(path, [{ typeUrl: apples }]);
    await poll("the start", () => client.isSynced);
    client.subscribe(apples, ["made:cake"]);
    await poll("the cake", () => held.has("made:cake"));
    streams.withdraw(apples, ["made:cake", "never asked for"]);
    await poll("the loss", () => !held.has("made:cake"));
    expect(updates.flatMap(({ removals }) => removals)).toEqual(["made:cake"]);
    client.unsubscribe(apples, ["made:cake"]);
    client.subscribe(apples, ["made:cake"]);
    await poll("another cake", () => held.has("made:cake"));
  });

  it("lets one who asks for too many names keep what it has, and says that the others are missing", async () => {
    const source = new Orchard();
    const { path, streams } = await serve(source, { namesMax: 2 });
    const { client, held, updates } = connect(path, [{ typeUrl: apples }]);
    await poll("the start", () => client.isSynced);
    client.subscribe(apples, ["made:one", "made:two"]);
    await poll("both", () => held.has("made:one") && held.has("made:two"));
    client.subscribe(apples, ["made:three"]);
    await poll("the answer", () => updates.some(({ removals }) => removals.includes("made:three")));
    streams.withdraw(apples, ["made:one"]);
    client.unsubscribe(apples, ["made:three"]);
    client.subscribe(apples, ["made:three"]);
    await poll("the third, now that there is room", () => held.has("made:three"));
    expect(held.has("made:two")).toBe(true);
  });

  it("reports a refusal and offers the same again until it is taken", async () => {
    const source = new Orchard();
    source.set(apples, "bad", "worm");
    const accepted: string[] = [];
    const { path, rejections } = await serve(source, { accepted: (_type, names) => accepted.push(...names) });
    const refuse = new Set(["bad"]);
    const { held } = connect(path, [{ typeUrl: apples }], refuse);
    await poll("the report", () => rejections.length > 0);
    expect(rejections[0]).toEqual({ node: "node-1", typeUrl: apples, names: ["bad"], message: "no thanks, bad" });
    expect(accepted).toEqual([]);
    refuse.clear();
    await poll("the second offer", () => held.get("bad") === "worm");
    await poll("the acceptance", () => accepted.includes("bad"));
  });

  it("sends additions in push order and removals the other way round", async () => {
    const source = new Orchard();
    const { path, streams } = await serve(source);
    const { client, updates } = connect(path, [{ typeUrl: pears }, { typeUrl: apples }]);
    await poll("the start", () => client.isSynced);
    const before = updates.length;
    source.set(pears, "p", "1");
    source.set(apples, "a", "1");
    streams.changed(pears, ["p"]);
    streams.changed(apples, ["a"]);
    await poll("both", () => updates.length === before + 2);
    source.texts.get(pears)?.clear();
    source.texts.get(apples)?.clear();
    streams.changed(apples, ["a"]);
    streams.changed(pears, ["p"]);
    await poll("both removals", () => updates.length === before + 4);
    expect(updates.slice(before).map(({ typeUrl }) => typeUrl)).toEqual([apples, pears, pears, apples]);
  });

  it("refuses whom the owner of the resources refuses, with the reason", async () => {
    const { path } = await serve(new Orchard(), {
      open: ({ node }) => {
        throw new StreamRefused(grpc.status.PERMISSION_DENIED, `${node.id} has no business here.`);
      },
    });
    const { causes } = connect(path, [{ typeUrl: apples }]);
    await poll("the reason", () => causes.some((cause) => cause.includes("node-1 has no business here.")));
  });

  it("holds back what a silent client has not acknowledged, and cuts it off in the end", async () => {
    const source = new Orchard();
    for (let i = 0; i < 40; i++) source.set(apples, `big-${i}`, "x".repeat(1 << 19));
    const { path, streams } = await serve(source, { acknowledgeMsMax: 500 });
    const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure());
    closing.push(() => client.close());
    const responses: DiscoveryResponse[] = [];
    const toBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
    const stream = client.makeBidiStreamRequest(deltaMethodPath, toBuffer, decodeResponse);
    stream.on("data", (response: DiscoveryResponse) => responses.push(response));
    let details = "";
    stream.on("error", (cause: grpc.ServiceError) => (details = cause.details));
    const nothing = { subscribe: [], unsubscribe: [], initialVersions: new Map<string, string>(), nonce: "" };
    stream.write(encodeRequest({ ...nothing, typeUrl: apples }));
    await poll("the end", () => details !== "");
    expect(details).toMatch(/did not acknowledge/);
    const received = responses.reduce((sum, { resources }) => sum + resources.length, 0);
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan(10);
    await poll("the stream to be forgotten", () => streams.streamCount === 0);
  });
});
