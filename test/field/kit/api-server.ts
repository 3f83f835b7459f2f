/** An API server on a free port of this machine, and real kubectl beside it. Needs kubectl, no root. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import "reflect-metadata";
import type { NodeStreams } from "../../../src/apps/apiserver/node-streams.ts";
import { type ApiServer, startApiServer } from "../../../src/apps/apiserver/server.ts";
import { makeCertificates } from "../../../src/apps/sandbox/certificates.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { writeAdminKubeconfig } from "./admin-kubeconfig.ts";

const host = systemHost("warn");
const adminToken = "a-token-of-this-test";
const oldestMinor = 31;
const commandMsMax = 60_000;

const onPath = (): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "kubectl"))
    .find((file) => existsSync(file));

/**
 * The kubectl binaries to test with: the one given by TOMBOLO_KUBECTL, else those beside the kubectl of this machine
 * (some systems install one per minor version), else that kubectl itself. Oldest and newest only.
 */
export const kubectlBinaries = (): readonly string[] => {
  const given = process.env["TOMBOLO_KUBECTL"];
  if (given !== undefined) return given.split(",");
  const cached = join(import.meta.dirname, "../../../.cache/bin/kubectl");
  const found = existsSync(cached) ? cached : onPath();
  if (found === undefined) return [];
  const directory = dirname(realpathSync(found));
  const versions = readdirSync(directory)
    .flatMap((name) => {
      const minor = Number(/^kubectl\.1\.(\d+)$/.exec(name)?.[1]);
      return minor >= oldestMinor ? [{ minor, file: join(directory, name) }] : [];
    })
    .sort((left, right) => left.minor - right.minor)
    .map(({ file }) => file);
  return versions.length < 2 ? [found] : [versions[0] ?? found, versions.at(-1) ?? found];
};

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface TestServer {
  readonly server: ApiServer;
  readonly environment: NodeJS.ProcessEnv;
  run(
    kubectl: string,
    args: readonly string[],
    options?: { input?: string | Buffer; env?: NodeJS.ProcessEnv },
  ): Promise<Outcome>;
  close(): Promise<void>;
}

export async function testServer(nodeStreams: NodeStreams): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), "tombolo-api-server-"));
  const { certPem, keyPem, caPem } = await makeCertificates(host, "streams-test", "127.0.0.1");
  const server = await startApiServer(host, {
    name: "streams-test",
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken,
    serviceCidr: "10.96.0.0/16",
    nodeStreams,
  });
  writeAdminKubeconfig(join(directory, "config"), server.url, caPem, adminToken);
  const environment = {
    PATH: process.env["PATH"],
    HOME: directory,
    KUBECONFIG: join(directory, "config"),
    TERM: "xterm",
  };
  return {
    server,
    environment,
    run: (kubectl, args, { input = "", env = {} } = {}) =>
      new Promise((resolve) => {
        const settings = { env: { ...environment, ...env }, timeout: commandMsMax, maxBuffer: 256 * 1024 * 1024 };
        const child = execFile(kubectl, args, settings, (error, out, err) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
        });
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(input);
      }),
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
