/** What RBAC refuses is said once, again only after a while, and forgotten when the same is answered. */
import { expect, test } from "vitest";
import { builtin } from "../../core/api/resources.ts";
import { virtualHost } from "../host/virtual-host.ts";
import { KubeError } from "./client.ts";
import { MemoryKubeClient } from "./memory-client.ts";
import { noticeRefusals } from "./refusals.ts";

const refused = (verb: string) =>
  new KubeError(403, "Forbidden", `pods is forbidden: User "agent" cannot ${verb} resource "pods" in API group ""`);

function setup() {
  const host = virtualHost();
  const lines: string[] = [];
  const warn = (event: string, fields?: Readonly<Record<string, unknown>>) => {
    lines.push(`${event} ${String(fields?.["verb"])} ${String(fields?.["resource"])}`);
  };
  const inner = new MemoryKubeClient();
  let failure: KubeError | undefined;
  inner.list = () =>
    failure === undefined ? Promise.resolve({ items: [], resourceVersion: "1" }) : Promise.reject(failure);
  inner.patch = () => Promise.reject(failure ?? new KubeError(404, "NotFound", "no such Pod"));
  const changes: string[] = [];
  const client = noticeRefusals({ ...host, log: { ...host.log, warn } }, inner, {
    role: "tombolo-agent",
    changed: (key, { message, remedy }, isRefused) =>
      changes.push(`${isRefused} ${key} ${isRefused ? message + remedy : ""}`),
  });
  const fail = (error: KubeError | undefined) => (failure = error);
  return { host, client, lines, changes, fail };
}

test("a refusal is said once, again after ten minutes, and ends with the first answer", async () => {
  const { host, client, lines, changes, fail } = setup();
  const list = () => client.list(builtin.pods, { namespace: "shop" }).catch(() => undefined);
  await list();
  expect(changes).toEqual([]);
  fail(refused("list"));
  for (let turn = 0; turn < 20; turn += 1) await list();
  expect(lines).toEqual(["kube.forbidden list pods"]);
  expect(changes[0]).toContain("The ServiceAccount of tombolo-agent may not list pods in namespace shop.");
  expect(changes[0]).toContain("'tombolo install'");
  await host.advance(10 * 60_000);
  await list();
  expect(lines).toHaveLength(2);
  fail(undefined);
  await client.list(builtin.pods, { namespace: "other" });
  expect(changes).toHaveLength(2);
  await list();
  expect(changes[2]).toContain("false list pods.");
});

test("what is forbidden for another reason, or fails otherwise, is no missing right", async () => {
  const { client, lines, fail } = setup();
  const patch = () =>
    client
      .patch(builtin.pods, { name: "a", namespace: "b" }, { type: "merge", body: {} }, { subresource: "status" })
      .catch(() => undefined);
  fail(new KubeError(403, "Forbidden", "unable to create new content in namespace b because it is being terminated"));
  await patch();
  fail(undefined);
  await patch();
  expect(lines).toEqual([]);
  fail(refused("patch"));
  await patch();
  expect(lines).toEqual(["kube.forbidden patch pods/status"]);
});
