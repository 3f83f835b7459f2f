/** The API server on a disk that is really full: who writes is told, readiness says so, and it goes on with space. Needs root. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { builtin } from "../../src/core/api/resources.ts";
import type { ApiServer } from "../../src/apps/apiserver/server.ts";
import { startApiServer } from "../../src/apps/apiserver/server.ts";
import { makeCertificates } from "../../src/apps/sandbox/certificates.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { fixedCredential } from "../../src/io/kube/endpoint.ts";
import { httpKubeClient } from "../../src/io/kube/http-client.ts";
import type { HttpKubeClient } from "../../src/io/kube/http-client.ts";

const host = systemHost("error");
const quiet = { ...host, log: { ...host.log, error: () => undefined } };
const disk = mkdtempSync(join(tmpdir(), "tombolo-full-"));
const ballast = join(disk, "ballast");
const adminToken = "admin-of-the-disk-test";
const absent = () => Promise.reject(new Error("This test has no nodes."));
let api: ApiServer;
let client: HttpKubeClient;

beforeAll(async () => {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
  const { certPem, keyPem, caPem } = await makeCertificates(host, "full", "127.0.0.1");
  api = await startApiServer(quiet, {
    name: "full",
    dataDir: join(disk, "data"),
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken,
    serviceCidr: "10.96.0.0/16",
    nodeStreams: { exec: absent, attach: absent, portForward: absent, logs: absent },
  });
  client = httpKubeClient(host, {
    server: api.url,
    certificateAuthority: caPem,
    isVerified: true,
    credentials: fixedCredential({ token: adminToken }),
    namespace: "default",
    context: "full",
  });
});

afterAll(async () => {
  client?.close();
  await api?.close();
  execFileSync("umount", [disk]);
  rmSync(disk, { recursive: true });
});

const create = (name: string) =>
  client.create(builtin.configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { text: "x".repeat(20_000) },
  });

it("refuses with a sentence while the disk is full, keeps what it took, and goes on with space", async () => {
  writeFileSync(ballast, Buffer.alloc(2_000_000));
  const taken: string[] = [];
  let refusal: unknown;
  for (let at = 0; at < 400 && refusal === undefined; at += 1) {
    const name = `map-${String(at).padStart(3, "0")}`;
    await create(name).then(
      () => taken.push(name),
      (error: unknown) => (refusal = error),
    );
  }
  expect(refusal).toMatchObject({ code: 500, reason: "InternalError" });
  expect(String(refusal)).toMatch(/nothing was changed.*(ENOSPC|no space).*Free space/);
  const names = async () =>
    (await client.list(builtin.configMaps, { namespace: "default" })).items.map((one) => one.metadata.name);
  const maps = async () => (await names()).filter((name) => name.startsWith("map-"));
  expect(taken.length).toBeGreaterThan(10);
  expect(await maps()).toEqual(taken);
  await expect(client.read("/readyz")).rejects.toThrow(/ENOSPC|no space/);
  expect(await client.read("/livez")).toBe("ok");
  rmSync(ballast);
  await expect.poll(() => client.read("/readyz").catch(() => ""), { timeout: 10_000 }).toBe("ok");
  await create("map-after");
  expect(await maps()).toEqual([...taken, "map-after"]);
});
