/** Whose tokens are believed, and for whom a node's agent may speak. */
import grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { agentName, systemNamespace, tokenAudience } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { startInformer } from "../../../io/kube/informer.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { Callers } from "./callers.ts";

function callers(status: object) {
  const host = virtualHost();
  const client = new MemoryKubeClient();
  let reviews = 0;
  client.answer = () => {
    reviews += 1;
    return { status };
  };
  const end = new AbortController();
  const pods = startInformer(host, client, builtin.pods, { signal: end.signal });
  const metadata = new grpc.Metadata();
  metadata.set("authorization", "Bearer token");
  return {
    callers: new Callers(host, client, pods, "td"),
    metadata,
    reviewed: () => reviews,
    close: () => end.abort(new Error("The test is over.")),
  };
}

const user = { username: `system:serviceaccount:${systemNamespace}:${agentName}` };

test("a token is believed that the API server vouches for, for our audience, and is asked about once", async () => {
  const one = callers({ authenticated: true, audiences: [tokenAudience], user });
  const identity = `spiffe://td/ns/${systemNamespace}/sa/${agentName}`;
  expect(await one.callers.authenticate(one.metadata)).toEqual({ identity });
  expect(await one.callers.authenticate(one.metadata)).toEqual({ identity });
  expect(one.reviewed()).toBe(1);
  one.close();
});

test.each([
  ["is not authenticated", { authenticated: false, audiences: [tokenAudience], user }],
  ["is meant for others", { authenticated: true, audiences: ["vault"], user }],
  // The API server's way to say that it looked at no audience: the token is one for itself.
  ["has no audience that was looked at", { authenticated: true, user }],
  ["has an empty list of audiences", { authenticated: true, audiences: [], user }],
  ["is a user's", { authenticated: true, audiences: [tokenAudience], user: { username: "admin" } }],
])("a token that %s is refused", async (_what, status) => {
  const one = callers(status);
  await expect(one.callers.authenticate(one.metadata)).rejects.toThrow(/token/);
  one.close();
});
