/** Create, update, delete, list and watch, as a client in this process sees them. */
import { beforeEach, describe, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { TestCluster } from "../testing/cluster.ts";
import { deployment, object, testCluster, types } from "../testing/cluster.ts";
import { at, fieldsOf, listOf } from "./json.ts";
import type { ApiEvent } from "./watch.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});

const here = (name: string) => ({ name, namespace: "default" });
const configMap = (name: string, data: Record<string, string> = {}, metadata: object = {}) =>
  object(types.configMaps, name, { data, metadata });

async function failure(work: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof KubeError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

async function pod(name: string, spec: object = {}, metadata: object = {}): Promise<AnyObject> {
  if (cluster.context.store.get("/serviceaccounts", "default/default") === undefined) {
    await cluster.client.create(types.serviceAccounts, object(types.serviceAccounts, "default"));
  }
  const body = object(types.pods, name, { metadata, spec: { containers: [{ name: "c", image: "i" }], ...spec } });
  return cluster.client.create(types.pods, body);
}

describe("writing", () => {
  it("sets what the server sets, and no client can change it", async () => {
    const made = await cluster.client.create(types.deployments, deployment("d"));
    expect(made.metadata).toMatchObject({ generation: 1, creationTimestamp: "2027-01-15T08:00:00Z" });
    const changed = {
      ...made,
      metadata: { ...made.metadata, creationTimestamp: "2000-01-01T00:00:00Z", generation: 9 },
    };
    const live = await cluster.client.update(types.deployments, {
      ...changed,
      spec: { ...fieldsOf(made["spec"]), replicas: 2 },
    });
    expect(live.metadata).toMatchObject({ generation: 2, creationTimestamp: "2027-01-15T08:00:00Z" });
  });

  it("makes a name from generateName", async () => {
    const body = configMap("", {}, { generateName: "cm-", name: undefined });
    const made = await cluster.client.create(types.configMaps, body);
    expect(made.metadata.name).toMatch(/^cm-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  it("refuses a stale resourceVersion, in a PUT and in a patch", async () => {
    const first = await cluster.client.create(types.configMaps, configMap("a", { x: "1" }));
    await cluster.client.update(types.configMaps, { ...first, data: { x: "2" } });
    const put = await failure(cluster.client.update(types.configMaps, { ...first, data: { x: "3" } }));
    expect([put.code, put.reason]).toEqual([409, "Conflict"]);
    const body = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { x: "4" } };
    const patch = await failure(cluster.client.patch(types.configMaps, here("a"), { type: "merge", body }));
    expect(patch.message).toContain("the object has been modified; please apply your changes to the latest version");
  });

  it("does not write what changes nothing", async () => {
    const first = await cluster.client.create(types.configMaps, configMap("a", { x: "1" }));
    await cluster.host.advance(2_000);
    const again = await cluster.as("another").update(types.configMaps, configMap("a", { x: "1" }));
    expect(again).toEqual(first);
  });

  it("says what fails in a JSON patch, and what a test operation found", async () => {
    await cluster.client.create(types.configMaps, configMap("a", { x: "1" }));
    const patch = (body: unknown[]) => cluster.client.patch(types.configMaps, here("a"), { type: "json", body });
    const missing = await failure(patch([{ op: "remove", path: "/data/none" }]));
    expect(missing.code).toBe(422);
    const untrue = await failure(patch([{ op: "test", path: "/data/x", value: "2" }]));
    expect(untrue.code).toBe(422);
    const live = await patch([
      { op: "test", path: "/data/x", value: "1" },
      { op: "add", path: "/data/y", value: "2" },
    ]);
    expect(live["data"]).toEqual({ x: "1", y: "2" });
  });

  it("refuses new content in a namespace that is missing or going", async () => {
    const missing = await failure(cluster.client.create(types.configMaps, configMap("a", {}, { namespace: "none" })));
    expect([missing.code, missing.message]).toEqual([404, 'namespaces "none" not found']);
    await cluster.client.create(types.namespaces, object(types.namespaces, "gone"));
    await cluster.client.delete(types.namespaces, { name: "gone" });
    const going = await failure(cluster.client.create(types.configMaps, configMap("a", {}, { namespace: "gone" })));
    expect(going.code).toBe(403);
    expect(listOf(at(going.details, "causes"))).toMatchObject([{ reason: "NamespaceTerminating" }]);
  });

  it("answers a dry run without writing", async () => {
    const made = await cluster.client.create(types.configMaps, configMap("a"), { dryRun: true });
    expect(made.metadata.uid).toBeDefined();
    expect((await failure(cluster.client.get(types.configMaps, here("a")))).reason).toBe("NotFound");
  });

  it("folds stringData into data", async () => {
    const made = await cluster.client.create(types.secrets, {
      ...object(types.secrets, "s"),
      stringData: { k: "v" },
    } as never);
    expect(made).toMatchObject({ type: "Opaque", data: { k: "dg==" } });
  });
});

describe("deleting", () => {
  it("waits for finalizers, and goes with the last of them", async () => {
    await cluster.client.create(types.configMaps, configMap("a", {}, { finalizers: ["example.com/hold"] }));
    await cluster.client.delete(types.configMaps, here("a"));
    const held = await cluster.client.get(types.configMaps, here("a"));
    expect(held.metadata.deletionTimestamp).toBeDefined();
    const more = { metadata: { finalizers: ["example.com/hold", "example.com/more"] } };
    const refused = await failure(cluster.client.patch(types.configMaps, here("a"), { type: "merge", body: more }));
    expect(refused.message).toContain("no new finalizers can be added if the object is being deleted");
    await cluster.client.patch(types.configMaps, here("a"), {
      type: "merge",
      body: { metadata: { finalizers: null } },
    });
    expect((await failure(cluster.client.get(types.configMaps, here("a")))).code).toBe(404);
  });

  it("keeps preconditions", async () => {
    await cluster.client.create(types.configMaps, configMap("a"));
    const error = await failure(cluster.client.delete(types.configMaps, here("a"), { uid: "another" }));
    expect(error.message).toContain("Precondition failed: UID in precondition: another");
  });

  it("marks for the garbage collector what it is to do", async () => {
    await cluster.client.create(types.deployments, deployment("d"));
    await cluster.client.delete(types.deployments, here("d"), { propagationPolicy: "Foreground" });
    const live = await cluster.client.get(types.deployments, here("d"));
    expect(live.metadata).toMatchObject({ finalizers: ["foregroundDeletion"], generation: 2 });
  });

  it("gives a running pod its grace, and takes it at once when forced", async () => {
    await pod("p", { nodeName: "n", terminationGracePeriodSeconds: 20 });
    await cluster.client.delete(types.pods, here("p"));
    const going = await cluster.client.get(types.pods, here("p"));
    expect(going.metadata).toMatchObject({ deletionGracePeriodSeconds: 20, deletionTimestamp: "2027-01-15T08:00:20Z" });
    await cluster.client.delete(types.pods, here("p"), { gracePeriodSeconds: 0 });
    expect((await failure(cluster.client.get(types.pods, here("p")))).code).toBe(404);
  });

  it("answers with the object for some kinds and a Status for others", async () => {
    await cluster.client.create(types.configMaps, configMap("a"));
    await pod("p");
    const status = await cluster.verbs.delete({ kind: cluster.kind(types.configMaps), ref: here("a") }, {});
    expect(status).toMatchObject({ kind: "Status", status: "Success", details: { name: "a", kind: "configmaps" } });
    const gone = await cluster.verbs.delete({ kind: cluster.kind(types.pods), ref: here("p") }, {});
    expect(gone.kind).toBe("Pod");
  });

  it("holds a namespace until its content is said to be gone", async () => {
    const made = await cluster.client.create(types.namespaces, object(types.namespaces, "n"));
    expect(made).toMatchObject({ spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } });
    await cluster.client.delete(types.namespaces, { name: "n" });
    const going = await cluster.client.get(types.namespaces, { name: "n" });
    expect(going["status"]).toMatchObject({ phase: "Terminating" });
    await cluster.client.update(types.namespaces, { ...going, spec: {} }, { subresource: "finalize" });
    expect((await failure(cluster.client.get(types.namespaces, { name: "n" }))).code).toBe(404);
  });
});

describe("listing", () => {
  beforeEach(async () => {
    const labels = [{ app: "a", tier: "x" }, { app: "b" }, { app: "c", tier: "y" }];
    for (const [index, one] of labels.entries()) {
      await cluster.client.create(types.configMaps, configMap(`m${index}`, {}, { labels: one }));
    }
  });
  const names = async (selection: object) =>
    (await cluster.client.list(types.configMaps, { namespace: "default", ...selection })).items.map(
      ({ metadata }) => metadata.name,
    );

  it.each([
    ["app=a", ["m0"]],
    ["app==a", ["m0"]],
    ["app!=a", ["m1", "m2"]],
    ["app in (a, c)", ["m0", "m2"]],
    ["app notin (a),tier", ["m2"]],
    ["tier", ["m0", "m2"]],
    ["!tier", ["m1"]],
    ["tier!=x", ["m1", "m2"]],
  ])("selects by the labels %s", async (labelSelector, expected) => {
    expect(await names({ labelSelector })).toEqual(expected);
  });

  it("selects by fields, and refuses fields that it cannot select by", async () => {
    expect(await names({ fieldSelector: "metadata.name=m1" })).toEqual(["m1"]);
    expect(await names({ fieldSelector: "metadata.name!=m1" })).toEqual(["m0", "m2"]);
    expect((await failure(names({ fieldSelector: "data.x=1" }))).message).toBe("field label not supported: data.x");
  });

  it("gives pages that a later write does not disturb", async () => {
    const kind = cluster.kind(types.configMaps);
    const first = cluster.verbs.list(kind, { namespace: "default", limit: 2 });
    expect(first).toMatchObject({ remainingItemCount: 1 });
    await cluster.client.create(types.configMaps, configMap("m00"));
    const second = cluster.verbs.list(kind, { namespace: "default", limit: 2, continue: first.continue });
    expect(second.items.map(({ metadata }) => metadata.name)).toEqual(["m2"]);
    expect(second.resourceVersion).toBe(first.resourceVersion);
  });

  it("answers 504 for a revision of the future", async () => {
    const kind = cluster.kind(types.configMaps);
    expect(() => cluster.verbs.list(kind, { resourceVersion: "999999" })).toThrow(
      /Timeout: Too large resource version: 999999, current: \d+/,
    );
  });
});

describe("watching", () => {
  const kind = () => cluster.kind(types.configMaps);
  /** What the stream has now. */
  async function drain(stream: AsyncIterableIterator<ApiEvent> & { end(): void }): Promise<string[]> {
    stream.end();
    const seen: string[] = [];
    for await (const { type, object: shown } of stream) seen.push(`${type} ${shown.metadata.name ?? ""}`.trim());
    return seen;
  }

  it("resumes after a revision without loss or repetition", async () => {
    const first = await cluster.client.create(types.configMaps, configMap("a", { x: "1" }));
    await cluster.client.create(types.configMaps, configMap("b"));
    const { resourceVersion } = first.metadata;
    const stream = cluster.verbs.watch(kind(), { namespace: "default", resourceVersion });
    await cluster.client.delete(types.configMaps, here("a"));
    expect(await drain(stream)).toEqual(["ADDED b", "DELETED a"]);
  });

  it("shows what begins and ceases to match a selector as added and deleted", async () => {
    const stream = cluster.verbs.watch(kind(), { namespace: "default", labelSelector: "on=yes" });
    await cluster.client.create(types.configMaps, configMap("a"));
    const label = (on: string) =>
      cluster.client.patch(types.configMaps, here("a"), { type: "merge", body: { metadata: { labels: { on } } } });
    await label("yes");
    await cluster.client.patch(types.configMaps, here("a"), { type: "merge", body: { data: { x: "1" } } });
    const off = await label("no");
    stream.end();
    const events: ApiEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    expect(events[2]?.object.metadata).toMatchObject({
      labels: { on: "yes" },
      resourceVersion: off.metadata.resourceVersion,
    });
  });

  it("ends the initial events with the bookmark that says so", async () => {
    await cluster.client.create(types.configMaps, configMap("a"));
    const stream = cluster.verbs.watch(kind(), {
      namespace: "default",
      sendInitialEvents: true,
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: true,
    });
    stream.end();
    const events: ApiEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
    expect(events[1]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
  });

  it("sends bookmarks each minute and ends when its time is over", async () => {
    const stream = cluster.verbs.watch(kind(), { allowWatchBookmarks: true, timeoutSeconds: 90 });
    await cluster.host.advance(100_000);
    const seen = [];
    for await (const { type } of stream) seen.push(type);
    expect(seen).toEqual(["BOOKMARK", "BOOKMARK"]);
  });

  it("answers 410 when the revision is too old", async () => {
    const begin = await cluster.client.create(types.configMaps, configMap("a"));
    for (let value = 0; value < 1_100; value += 1) {
      await cluster.client.patch(types.configMaps, here("a"), { type: "merge", body: { data: { x: String(value) } } });
    }
    await cluster.host.advance(10 * 60_000);
    await cluster.client.create(types.configMaps, configMap("b"));
    const { resourceVersion = "" } = begin.metadata;
    const watching = cluster.client.watch(types.configMaps, { resourceVersion });
    const error = await failure(watching[Symbol.asyncIterator]().next());
    expect([error.code, error.reason]).toEqual([410, "Expired"]);
  });

  it("cuts off a watcher that does not read", async () => {
    const { watchObjects } = await import("./watch.ts");
    const stream = watchObjects(cluster.context, kind(), { namespace: "default" }, 3);
    for (let index = 0; index < 5; index += 1) await cluster.client.create(types.configMaps, configMap(`m${index}`));
    expect(stream.wasCutOff).toBe(true);
    expect(await drain(stream)).toEqual([]);
  });
});
