/** Which authority is in use as Secrets come, change, break and go. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Secret } from "../../../core/api/kube.ts";
import { builtin } from "../../../core/api/resources.ts";
import { systemHost } from "../../../io/host/host.ts";
import type { Host } from "../../../io/host/host.ts";
import { mintIntermediate, mintRoot, pluggedInSecret } from "../../../io/identity/mint.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { CaKeeper } from "./ca-keeper.ts";

const problems: string[] = [];
const silent = () => undefined;
const error = (_event: string, fields: { readonly problem?: unknown } = {}) =>
  void problems.push(String(fields.problem));
const host: Host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error } };

let client: MemoryKubeClient;
let stop: AbortController;
beforeEach(() => {
  client = new MemoryKubeClient();
  stop = new AbortController();
  problems.length = 0;
});
afterEach(() => stop.abort(new Error("the test ended")));

const keeper = () => new CaKeeper(host, client, "istio-system", stop.signal);
const secretOf = (texts: Readonly<Record<string, string>>): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "cacerts", namespace: "istio-system" },
  data: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
});
const pluggedIn = async (name: string): Promise<Secret> => {
  const root = await mintRoot(host, { name });
  return secretOf(pluggedInSecret(root, await mintIntermediate(host, root, { name: `${name} intermediate` })));
};
const rootOf = (secret: Secret) =>
  Buffer.from(secret.data?.["root-cert.pem"] ?? "", "base64")
    .toString()
    .trim();
const eventually = (holds: () => boolean) => expect.poll(holds, { timeout: 5_000, interval: 10 }).toBe(true);

test("without any Secret an authority is made, and two replicas agree on it", async () => {
  const [first, second] = [keeper(), keeper()];
  await Promise.all([first.start(), second.start()]);
  expect(client.all(builtin.secrets).map(({ metadata }) => metadata.name)).toEqual(["istio-ca-secret"]);
  expect(first.rootPem).toBe(second.rootPem);
});

test("a plugged-in authority is used, and its replacement followed", async () => {
  const [before, after] = [await pluggedIn("before"), await pluggedIn("after")];
  await client.create(builtin.secrets, before);
  const kept = keeper();
  await kept.start();
  expect(kept.rootPem?.trim()).toBe(rootOf(before));
  await client.update(builtin.secrets, after);
  await eventually(() => kept.rootPem?.trim() === rootOf(after));
});

test("a broken or deleted Secret leaves the last good authority in use and is reported", async () => {
  const good = await pluggedIn("good");
  await client.create(builtin.secrets, good);
  const kept = keeper();
  await kept.start();
  await client.update(
    builtin.secrets,
    secretOf({ "ca-cert.pem": "nonsense", "ca-key.pem": "x", "root-cert.pem": "x" }),
  );
  await eventually(() => problems.some((problem) => problem.includes("istio-system/cacerts, key ca-cert.pem")));
  await client.delete(builtin.secrets, { name: "cacerts", namespace: "istio-system" });
  await eventually(() => problems.some((problem) => problem.includes("is gone")));
  expect(kept.rootPem?.trim()).toBe(rootOf(good));
  expect(client.all(builtin.secrets)).toEqual([]);
});
