/** Tokens in a pod's volume are fetched anew before they expire; the files are those that the pod reads. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { Pod } from "../../../core/api/pod.ts";
import { VirtualClock } from "../../../io/host/virtual-clock.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { fakeHost } from "../controllers/testing/world.ts";
import { PodVolumes } from "./volumes.ts";

const directory = mkdtempSync(join(tmpdir(), "pod-volumes-"));
afterAll(() => rmSync(directory, { recursive: true }));

it("replaces a token when four fifths of its life are over, and not before", async () => {
  const startMs = 1_700_000_000_000;
  const clock = new VirtualClock(startMs);
  const client = new MemoryKubeClient();
  let made = 0;
  client.answer = ({ verb }) => {
    if (verb !== "post") return undefined;
    made += 1;
    const expirationTimestamp = new Date(clock.now() + 3_600_000).toISOString();
    return { status: { token: `token-${made}`, expirationTimestamp } };
  };
  const lookup = { configMap: () => undefined, secret: () => undefined };
  const volumes = new PodVolumes(fakeHost(clock), client, directory, lookup, (path) => path);
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "default", uid: "u" },
    spec: {
      securityContext: { fsGroup: process.getgid?.() ?? 0 },
      containers: [],
      volumes: [{ name: "access", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }],
    },
  };
  const place = { podIp: "10.0.0.1", hostIp: "10.0.0.2" };
  const file = join(directory, "access", "token");
  await volumes.make(pod, place);
  expect(readFileSync(file, "utf8")).toBe("token-1");
  expect(statSync(file).mode & 0o777).toBe(0o644);
  clock.moveTo(startMs + 2_800_000);
  await volumes.refresh(pod, place);
  expect(readFileSync(file, "utf8")).toBe("token-1");
  clock.moveTo(startMs + 2_900_000);
  await volumes.refresh(pod, place);
  expect(readFileSync(file, "utf8")).toBe("token-2");
  expect(made).toBe(2);
});
