/**
 * Clusters that share a root but have a trust domain each: policies tell their clients apart, no authority can speak for
 * another's domain, authorities and roots are replaced with traffic flowing, and keys stay where they were made.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemHost } from "../../src/io/host/host.ts";
import { CertificateAuthority } from "../../src/io/identity/ca.ts";
import { makeKeyAndCsr } from "../../src/io/identity/csr.ts";
import { type MintedCa, mintIntermediate, mintRoot, pluggedInSecret } from "../../src/io/identity/mint.ts";
import { poll } from "./kit/program.ts";
import { reportFailures, type Sandbox, useSandbox, type Wish } from "./kit/sandbox.ts";
import { repository } from "./kit/sandbox-life.ts";

const bare: Wish = { flags: ["--bare"], clusters: ["cluster1", "cluster2"] };
const namespace = "trust";
const kit = (name: string): string => join(repository, "test", "field", "kit", name);
const host = systemHost("error");
const domainOf = (cluster: string): string => `${cluster}.mesh`;
const aliceOf = (cluster: string): string => `${domainOf(cluster)}/ns/${namespace}/sa/alice`;

const apps = (cluster: string) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: alice, namespace: ${namespace}}
---
apiVersion: v1
kind: Pod
metadata: {name: alice, namespace: ${namespace}}
spec:
  serviceAccountName: alice
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Service
metadata: {name: in-${cluster}, namespace: ${namespace}, labels: {solo.io/service-scope: global}}
spec:
  selector: {app: server}
  ports: [{name: tcp, port: 9000}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: ${namespace}, labels: {app: server}}
spec:
  containers:
    - name: server
      image: nicolaka/netshoot:latest
      command: ["${process.execPath}", "${kit("policy-app.mjs")}"]
      readinessProbe: {httpGet: {path: /, port: 9002}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: ${namespace}, labels: {istio.io/dataplane-mode: none}}
spec:
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
`;

interface Watched {
  readonly ticking: number;
  readonly silent: number;
  readonly refused: number;
  readonly count: number;
}
interface CertificateRow {
  readonly type: string;
  readonly identity: string;
  readonly issuer?: string;
}
interface Pods {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

let sandbox: Sandbox;
const roots: MintedCa[] = [];
const intermediates = new Map<string, MintedCa>();

async function forBoth<T>(work: (cluster: string) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(sandbox.clusters.map(work));
}

const base64 = (texts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]));

/** Gives each cluster an intermediate of that root, under all the roots that are to be trusted. */
async function plugIn(name: string, root: MintedCa, trusted: readonly MintedCa[]): Promise<void> {
  await forBoth(async (cluster) => {
    const made = await mintIntermediate(host, root, { name: `${cluster} ${name}`, trustDomain: domainOf(cluster) });
    intermediates.set(cluster, made);
    await putSecret(cluster, root, made, trusted);
  });
}

async function putSecret(
  cluster: string,
  root: MintedCa,
  intermediate: MintedCa,
  trusted: readonly MintedCa[],
): Promise<void> {
  const texts = {
    ...pluggedInSecret(root, intermediate),
    "root-cert.pem": trusted.map(({ certPem }) => certPem).join(""),
  };
  const metadata = { name: "cacerts", namespace: "istio-system" };
  await sandbox.apply(cluster, JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, data: base64(texts) }));
}

async function run<T>(cluster: string, program: string, task: object, pod = "alice", msMax = 30_000): Promise<T> {
  const command = [process.execPath, kit(program), JSON.stringify(task)];
  const { code, stdout, stderr } = await sandbox.exec(cluster, `${namespace} ${pod}`, command, msMax);
  if (code !== 0) throw new Error(`${program} in ${cluster} ended with ${code}: ${stdout}${stderr}`);
  // Each program prints the object that its caller names.
  return JSON.parse(stdout) as T;
}

const hostOf = (cluster: string): string => `in-${cluster}.${namespace}.mesh.internal:9000`;
const reaches = async (from: string, to: string): Promise<boolean> =>
  (await run<Record<string, boolean>>(from, "policy-client.mjs", { do: "try", targets: [hostOf(to)] }))[hostOf(to)] ===
  true;

beforeAll(async () => {
  sandbox = await useSandbox(bare);
  roots.push(await mintRoot(host, { name: "first root" }), await mintRoot(host, { name: "second root" }));
  await forBoth((cluster) => sandbox.kubectl(cluster, "create namespace istio-system"));
  const [first] = roots;
  if (first === undefined) throw new Error("There is no root.");
  await plugIn("one", first, [first]);
  for (const cluster of sandbox.clusters) {
    const values = {
      "meshConfig.trustDomain": domainOf(cluster),
      "global.multiCluster.clusterName": cluster,
      "global.network": cluster,
      "env.PILOT_SKIP_VALIDATE_TRUST_DOMAIN": "true",
      "env.SKIP_VALIDATE_TRUST_DOMAIN": "true",
    };
    const flags = Object.entries(values).map(([key, value]) => `--set ${key}=${value}`);
    await sandbox.tombolo(`install --context ${cluster} ${flags.join(" ")}`, { msMax: 120_000 });
    await sandbox.tombolo(`multicluster expose --context ${cluster} --wait`, { msMax: 90_000 });
  }
  await sandbox.tombolo(`multicluster link --contexts=${sandbox.clusters.join(",")}`, { msMax: 60_000 });
  await forBoth((cluster) => sandbox.apply(cluster, apps(cluster)));
  await forBoth((cluster) =>
    sandbox.kubectl(cluster, `-n ${namespace} wait --for=condition=Ready pod --all --timeout=60s`, { msMax: 70_000 }),
  );
  for (const from of sandbox.clusters) {
    for (const to of sandbox.clusters) await poll(`${from} to reach ${to}`, () => reaches(from, to));
  }
}, 400_000);

reportFailures(() => sandbox);

afterAll(async () => {
  if (sandbox === undefined) return;
  await forBoth((cluster) => sandbox.kubectl(cluster, `delete namespace ${namespace} --ignore-not-found --wait=false`));
}, 60_000);

const allowOnly = (principal: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only, namespace: ${namespace}}
spec: {rules: [{from: [{source: {principals: ["${principal}"]}}]}]}
`;

describe("a trust domain per cluster", () => {
  it("tells the same account of two clusters apart, at a server of either", async () => {
    for (const allowed of sandbox.clusters) {
      await forBoth((cluster) => sandbox.apply(cluster, allowOnly(aliceOf(allowed))));
      for (const to of sandbox.clusters) {
        for (const from of sandbox.clusters) {
          await poll(`${from} at ${to}`, async () => (await reaches(from, to)) === (from === allowed));
        }
      }
    }
  });

  it("is spoken for by its own authority only", async () => {
    await forBoth((cluster) => sandbox.apply(cluster, allowOnly(aliceOf("cluster1"))));
    const [root] = roots;
    const rogue = await mintRoot(host, { name: "first root" });
    const signers = {
      own: intermediates.get("cluster1"),
      "that of the other cluster": intermediates.get("cluster2"),
      "a root of the same name": rogue,
    };
    const pod = await sandbox.json<{ readonly status: { readonly podIP: string } }>(
      "cluster2",
      `-n ${namespace} get pod server`,
    );
    const said: Record<string, string> = {};
    for (const [name, signer] of Object.entries(signers)) {
      if (signer === undefined || root === undefined) throw new Error(`There is no authority: ${name}.`);
      const authority = await CertificateAuthority.load(host, { ...signer, chainPems: [], rootPem: root.certPem });
      const identity = `spiffe://${aliceOf("cluster1")}`;
      const { csrPem, keyPem } = await makeKeyAndCsr(identity);
      const signed = await authority.sign({ csrPem, identity });
      if (!signed.ok) throw new Error(signed.problem);
      const task = { host: pod.status.podIP, port: 9000, cert: signed.chainPems.join(""), key: keyPem };
      said[name] = (await run<{ said: string }>("cluster2", "tls-client.mjs", task, "stranger")).said;
    }
    expect(said).toEqual({ own: "hello", "that of the other cluster": "", "a root of the same name": "" });
    await forBoth((cluster) => sandbox.kubectl(cluster, `-n ${namespace} delete authorizationpolicy only`));
    for (const from of sandbox.clusters) {
      for (const to of sandbox.clusters) await poll(`${from} to reach ${to}`, () => reaches(from, to));
    }
  });
});

describe("replacing authorities and the root", () => {
  const issuedBy = (name: string) =>
    poll(
      `certificates by ${name}`,
      async () => {
        const rows = await forBoth(async (cluster) => {
          const text = await sandbox.tombolo(`get certificates --context ${cluster} -o json`);
          // Leaves are the agents'; the others are what they rest on.
          const leaves = (JSON.parse(text) as readonly CertificateRow[]).filter(({ type }) => type === "Leaf");
          return leaves.filter(({ issuer }) => !issuer?.includes(name));
        });
        return rows.flat().length === 0;
      },
      { msMax: 90_000 },
    );
  /** Nodes say so when they took other roots than before. */
  const rootsTaken = (times: number) =>
    poll(
      "the nodes to take the roots",
      async () => {
        const logs = await forBoth((cluster) =>
          sandbox.kubectl(cluster, "-n istio-system logs -l app=tombolo-agent --tail=-1"),
        );
        return logs.every((text) => (text.match(/trust\.changed/g) ?? []).length >= times);
      },
      { msMax: 90_000 },
    );

  it("loses no request and cuts no connection", { timeout: 400_000 }, async () => {
    const [first, second] = roots;
    if (first === undefined || second === undefined) throw new Error("There are no two roots.");
    const targets = sandbox.clusters.map(hostOf);
    const task = { do: "watch", targets, forMs: 300_000 };
    const watches = forBoth((cluster) =>
      run<Readonly<Record<string, Watched>>>(cluster, "policy-client.mjs", task, "alice", 320_000),
    );
    await plugIn("two", first, [first]);
    await issuedBy("two");
    await forBoth((cluster) => putSecret(cluster, first, intermediates.get(cluster) ?? first, [first, second]));
    await rootsTaken(1);
    await plugIn("three", second, [first, second]);
    await issuedBy("three");
    await forBoth((cluster) => putSecret(cluster, second, intermediates.get(cluster) ?? second, [second]));
    await rootsTaken(2);
    // Links between control planes, and probes through gateways, with what is left.
    const check = await sandbox.tryRun(
      "tombolo",
      ["multicluster", "check", `--contexts=${sandbox.clusters.join(",")}`],
      {
        msMax: 90_000,
      },
    );
    expect(check.code, check.stdout + check.stderr).toBe(0);
    await forBoth((cluster) => run(cluster, "policy-client.mjs", { do: "stop", targets: [""] }));
    for (const watched of await watches) {
      for (const one of Object.values(watched)) {
        expect(one).toMatchObject({ ticking: 0, silent: 0, refused: 0 });
        expect(one.count).toBeGreaterThan(100);
      }
    }
  });
});

describe("private keys", () => {
  it("are in no log, no file of the node, no page and no dump", async () => {
    const secret = /PRIVATE KEY/;
    const fetchAll = `
      const at = "http://127.0.0.1:15013";
      const names = Object.keys(await (await fetch(at + "/debug/collections")).json());
      const pages = [...names.map((name) => "/debug/collections/" + name), "/debug/trust"];
      for (const page of pages) console.log(await (await fetch(at + page)).text());
    `;
    for (const cluster of sandbox.clusters) {
      const inSystem = (words: string) => sandbox.kubectl(cluster, `-n istio-system ${words}`);
      const { items } = await sandbox.json<Pods>(cluster, "-n istio-system get pods -l app=tombolo-agent");
      const agent = items[0]?.metadata.name ?? "";
      for (const log of [await inSystem(`logs ${agent} --tail=-1`), await inSystem("logs deploy/tombolod --tail=-1")]) {
        expect(log).not.toMatch(secret);
      }
      const files = await sandbox.exec(cluster, `istio-system ${agent}`, [
        "grep",
        "-rlI",
        "PRIVATE KEY",
        "/run/tombolo",
      ]);
      expect(files.stdout).toBe("");
      const socket = ["--unix-socket", "/run/tombolo/node/admin.sock"];
      const dump = await sandbox.exec(cluster, `istio-system ${agent}`, [
        "curl",
        "-s",
        ...socket,
        "http://e/config_dump",
      ]);
      expect(dump.stdout).toContain(`spiffe://${aliceOf(cluster)}`);
      expect(dump.stdout).not.toMatch(secret);
      const command = [process.execPath, "--input-type=module", "-e", fetchAll];
      const pages = await sandbox.exec(cluster, "istio-system deploy/tombolod", command);
      expect(pages.stdout).toContain(`"trustDomain": "${domainOf(cluster)}"`);
      expect(pages.stdout).not.toMatch(secret);
    }
  });
});
