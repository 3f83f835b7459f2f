/** Kubeconfig files in a folder of their own. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { virtualHost } from "../host/virtual-host.ts";
import { inClusterEndpoint, isInCluster } from "./in-cluster.ts";
import { loadKubeconfig } from "./kubeconfig.ts";

let folder = "";
const host = virtualHost();
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "kubeconfig-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const load = (...paths: string[]) =>
  loadKubeconfig(host, { env: { PATH: process.env["PATH"], KUBECONFIG: paths.join(":") }, home: folder });

const config = (name: string, user = "token: secret"): string => `
apiVersion: v1
kind: Config
current-context: ${name}
clusters: [{name: ${name}, cluster: {server: "https://${name}.test:6443/", certificate-authority-data: ${Buffer.from(`CA ${name}`).toString("base64")}}}]
users: [{name: ${name}, user: {${user}}}]
contexts: [{name: ${name}, context: {cluster: ${name}, user: ${name}, namespace: shop}}]
`;

test("several files are merged, the first one wins, and missing ones are skipped", async () => {
  const second = write(
    "second",
    `${config("two")}
`.replace("users: [", "users: [{name: one, user: {token: other}}, "),
  );
  const both = load(write("first", config("one")), join(folder, "missing"), second);
  expect(both.currentContext).toBe("one");
  expect(both.contexts.map(({ name }) => name)).toEqual(["one", "two"]);
  const endpoint = both.endpoint("two");
  expect(endpoint).toMatchObject({
    server: "https://two.test:6443",
    certificateAuthority: "CA two",
    namespace: "shop",
  });
  expect(await both.endpoint().credentials.current()).toMatchObject({ token: "secret" });
});

test("an unknown context lists the known ones", () => {
  const path = write("first", config("one"));
  expect(() => load(path).endpoint("tow")).toThrow(`There is no context tow. Known contexts: one (from ${path}).`);
});

test("no kubeconfig at all says where it was looked for", () => {
  const none = loadKubeconfig(host, { env: {}, home: folder });
  expect(() => none.endpoint()).toThrow(`No context was found in ${folder}/.kube/config`);
});

test("a context that names what is missing says so", () => {
  const path = write("first", config("one").replace("cluster: one", "cluster: gone"));
  expect(() => load(path).endpoint()).toThrow(/Context one names the cluster gone, which is not in/);
});

test("a file that is not YAML is named", () => {
  const path = write("bad", "a: [");
  expect(() => load(path)).toThrow(path);
});

test("paths are relative to the file that holds them; token files are read again", async () => {
  mkdirSync(join(folder, "sub"));
  write("sub/cert.pem", "CERT");
  write("sub/key.pem", "KEY");
  write("sub/token", "first\n");
  const user = "client-certificate: cert.pem, client-key: key.pem, tokenFile: token";
  const { credentials } = load(write("sub/config", config("one", user))).endpoint();
  expect(await credentials.current()).toEqual({ token: "first", certificate: "CERT", key: "KEY" });
  write("sub/token", "second\n");
  expect((await credentials.current()).token).toBe("first");
  await host.advance(61_000);
  expect((await credentials.current()).token).toBe("second");
});

test("a credential program is run once until its credential runs out, and is told what it asks for", async () => {
  const script = write(
    "login",
    `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> ${folder}/calls
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'"$GREETING-$1"'","expirationTimestamp":"'"$EXPIRES"'"}}'
`,
  );
  chmodSync(script, 0o755);
  const expires = new Date(host.clock.now() + 600_000).toISOString();
  const user = `exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, args: [you], provideClusterInfo: true,
    interactiveMode: Never, env: [{name: GREETING, value: hello}, {name: EXPIRES, value: "${expires}"}]}`;
  const { credentials } = load(write("config", config("one", user))).endpoint();
  const both = await Promise.all([credentials.current(), credentials.current()]);
  expect(both.map(({ token }) => token)).toEqual(["hello-you", "hello-you"]);
  const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
  expect(JSON.parse(calls()[0] ?? "")).toMatchObject({ spec: { cluster: { server: "https://one.test:6443/" } } });
  await credentials.current();
  expect(calls()).toHaveLength(1);
  await host.advance(595_000);
  await credentials.current();
  expect(calls()).toHaveLength(2);
});

test("a credential program that fails or is missing says what to do", async () => {
  const broken =
    "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./gone, installHint: Install gone first.}";
  const { credentials } = load(write("config", config("one", broken))).endpoint();
  await expect(credentials.current()).rejects.toThrow(
    /gone of kubeconfig user one cannot be started.*Install gone first\./,
  );
});

test("inside a pod the endpoint comes from the service account's folder", async () => {
  for (const [name, text] of Object.entries({ "ca.crt": "CA", token: "pod-token", namespace: "istio-system" })) {
    write(name, text);
  }
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  expect(isInCluster(env, folder)).toBe(true);
  const endpoint = await inClusterEndpoint(host, env, folder);
  expect(endpoint).toMatchObject({ server: "https://[fd00::1]:443", namespace: "istio-system" });
  expect(await endpoint.credentials.current()).toEqual({ token: "pod-token" });
});
