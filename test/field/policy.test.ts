/**
 * Who may talk to whom, as policies say it: for each of them, who reaches a server of the same node, of another node and
 * of another cluster, before the server sees a connection; what becomes of open connections; and that probes always pass.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poll } from "./kit/program.ts";
import { linked, reportFailures, type Sandbox, useSandbox } from "./kit/sandbox.ts";
import { repository } from "./kit/sandbox-life.ts";

const namespace = "policy";
const neighbour = "policy-neighbour";
const outside = "policy-outside";
const domain = "cluster.local";

const kit = (name: string): string => join(repository, "test", "field", "kit", name);

const home = (name: string, isMeshed: boolean) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${name}, labels: {${isMeshed ? "istio.io/dataplane-mode: ambient" : "mesh: none"}}}
---
`;

const client = (home: string, name: string) => `
apiVersion: v1
kind: ServiceAccount
metadata: {name: ${name}, namespace: ${home}}
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${home}}
spec:
  serviceAccountName: ${name}
  nodeSelector: {kubernetes.io/hostname: cluster1-node1}
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
---
`;

const server = (name: string, node: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}, labels: {solo.io/service-scope: global}}
spec:
  selector: {app: ${name}}
  ports: [{name: tcp-one, port: 9000}, {name: tcp-two, port: 9001}]
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: {app: ${name}}}
spec:
  nodeSelector: {kubernetes.io/hostname: ${node}}
  containers:
    - name: server
      image: nicolaka/netshoot:latest
      command: ["${process.execPath}", "${kit("policy-app.mjs")}"]
      startupProbe: {httpGet: {path: /, port: 9002}, periodSeconds: 1, failureThreshold: 60}
      readinessProbe: {httpGet: {path: /, port: 9002}, periodSeconds: 1}
      livenessProbe: {tcpSocket: {port: 9002}, periodSeconds: 1}
---
`;

interface Pod {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly podIP: string;
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses: readonly { readonly restartCount: number }[];
  };
}
interface Watched {
  readonly ticking: number;
  readonly silent: number;
  readonly opened: number;
  readonly refused: number;
}

let sandbox: Sandbox;
const strangerIp = { value: "" };

const hosts = {
  same: `same.${namespace}.svc.cluster.local`,
  other: `other.${namespace}.svc.cluster.local`,
  far: `far.${namespace}.mesh.internal`,
} as const;
const clients = {
  alice: { home: namespace, targets: ["same:9000", "same:9001", "other:9000", "far:9000"] },
  bob: { home: namespace, targets: ["same:9000", "same:9001", "other:9000", "far:9000"] },
  carol: { home: neighbour, targets: ["same:9000", "same:9001", "other:9000", "far:9000"] },
  // Outside the mesh nothing leads to another cluster.
  stranger: { home: outside, targets: ["same:9000", "same:9001", "other:9000"] },
} as const;
type Client = keyof typeof clients;
type Reached = Readonly<Record<Client, string>>;

async function run<T>(who: Client, task: object, msMax = 30_000): Promise<Readonly<Record<string, T>>> {
  const { home: at, targets } = clients[who];
  const address = (target: string) => target.replace(/^\w+/, (name) => (name in hosts ? hosts[name as "same"] : name));
  const words = JSON.stringify({ targets: targets.map(address), ...task });
  const command = [process.execPath, kit("policy-client.mjs"), words];
  const { code, stdout, stderr } = await sandbox.exec("cluster1", `${at} ${who}`, command, msMax);
  if (code !== 0) throw new Error(`The client of ${who} ended with ${code}: ${stdout}${stderr}`);
  // The program prints one value per target.
  const found = JSON.parse(stdout) as Readonly<Record<string, T>>;
  return Object.fromEntries(targets.map((target) => [target, found[address(target)] as T]));
}

const names = Object.keys(clients) as readonly Client[];

/** What each client reaches, as the tables below write it. */
async function reached(): Promise<Reached> {
  const rows = names.map(async (who) => {
    const found = await run<boolean>(who, { do: "try" });
    const open = Object.keys(found).filter((target) => found[target] === true);
    return [who, open.map((target) => target.replace(":9000", "")).join(" ")] as const;
  });
  // One entry per client.
  return Object.fromEntries(await Promise.all(rows)) as Reached;
}

async function accepted(): Promise<number> {
  const logs = [
    ["cluster1", "same"],
    ["cluster1", "other"],
    ["cluster2", "far"],
  ].map(([cluster = "", pod = ""]) => sandbox.kubectl(cluster, `-n ${namespace} logs ${pod} --tail=-1`));
  return (await Promise.all(logs)).join("").match(/^accepted/gm)?.length ?? 0;
}

const everywhere = "same same:9001 other far";
const near = "same same:9001 other";
const all: Reached = { alice: everywhere, bob: everywhere, carol: everywhere, stranger: near };
const nobody: Reached = { alice: "", bob: "", carol: "", stranger: "" };

const authorization = (name: string, spec: string, at = namespace) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${at}, labels: {from: policy-test}}
spec: ${spec}
---
`;
const authentication = (name: string, spec: string, at = namespace) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ${name}, namespace: ${at}, labels: {from: policy-test}}
spec: ${spec}
---
`;
const from = (source: string, action = "ALLOW") => `{action: ${action}, rules: [{from: [{source: {${source}}}]}]}`;

async function clear(): Promise<void> {
  const words = "delete authorizationpolicies,peerauthentications -A -l from=policy-test";
  await Promise.all(sandbox.clusters.map((cluster) => sandbox.kubectl(cluster, words)));
}

async function apply(yaml: string): Promise<void> {
  await Promise.all(sandbox.clusters.map((cluster) => sandbox.apply(cluster, yaml)));
}

interface Case {
  readonly policy: string;
  readonly yaml: () => string;
  readonly reach: Reached;
}

const cases: readonly Case[] = [
  {
    policy: "principals in full",
    yaml: () => authorization("p", from(`principals: ["${domain}/ns/${namespace}/sa/alice"]`)),
    reach: { ...nobody, alice: everywhere },
  },
  {
    policy: "a denial by suffix, which wins over what is allowed",
    yaml: () =>
      authorization("p", from(`principals: ["*/sa/bob"]`, "DENY")) + authorization("q", from(`principals: ["*"]`)),
    reach: { ...all, bob: "", stranger: "" },
  },
  {
    policy: "not a principal, which those without any are not either",
    yaml: () => authorization("p", from(`notPrincipals: ["${domain}/ns/${namespace}/*"]`)),
    reach: { ...all, alice: "", bob: "" },
  },
  {
    policy: "namespaces, and a denied port",
    yaml: () =>
      authorization("p", from(`namespaces: ["${namespace}"]`)) +
      authorization("q", `{action: DENY, rules: [{to: [{operation: {ports: ["9001"]}}]}]}`),
    reach: { ...nobody, alice: "same other far", bob: "same other far" },
  },
  {
    policy: "all but one port, for one service account",
    yaml: () =>
      authorization(
        "p",
        `{rules: [{from: [{source: {serviceAccounts: ["alice"]}}], to: [{operation: {notPorts: ["9000"]}}]}]}`,
      ),
    reach: { ...nobody, alice: "same:9001" },
  },
  {
    policy: "addresses",
    yaml: () => authorization("p", from(`ipBlocks: ["${strangerIp.value}"]`)),
    reach: { ...nobody, stranger: near },
  },
  {
    policy: "a selector",
    yaml: () => authorization("p", `{selector: {matchLabels: {app: same}}, action: DENY, rules: [{}]}`),
    reach: { alice: "other far", bob: "other far", carol: "other far", stranger: "other" },
  },
  {
    policy: "the whole mesh",
    yaml: () => authorization("p", from(`namespaces: ["*neighbour"]`), "istio-system"),
    reach: { ...nobody, carol: everywhere },
  },
  {
    policy: "HTTP in an ALLOW rule, which is left out whole",
    yaml: () =>
      authorization("p", `{rules: [{from: [{source: {principals: ["*"]}}], to: [{operation: {methods: [GET]}}]}]}`),
    reach: nobody,
  },
  {
    policy: "HTTP in a DENY rule, of which the rest is denied",
    yaml: () =>
      authorization(
        "p",
        `{action: DENY, rules: [{from: [{source: {principals: ["*/sa/bob"]}}], to: [{operation: {paths: [/x]}}]}]}`,
      ),
    reach: { ...all, bob: "" },
  },
  { policy: "nothing at all", yaml: () => authorization("p", "{}"), reach: nobody },
  {
    policy: "STRICT",
    yaml: () => authentication("p", "{mtls: {mode: STRICT}}"),
    reach: { ...all, stranger: "" },
  },
  {
    policy: "STRICT but for one workload",
    yaml: () =>
      authentication("p", "{mtls: {mode: STRICT}}") +
      authentication("q", "{selector: {matchLabels: {app: same}}, mtls: {mode: PERMISSIVE}}"),
    reach: { ...all, stranger: "same same:9001" },
  },
  {
    policy: "STRICT but for one port",
    yaml: () =>
      authentication("p", "{mtls: {mode: STRICT}}") +
      authentication("q", "{selector: {matchLabels: {app: same}}, portLevelMtls: {9001: {mode: PERMISSIVE}}}"),
    reach: { ...all, stranger: "same:9001" },
  },
  {
    policy: "STRICT in the mesh, DISABLE in the namespace, STRICT for a port",
    yaml: () =>
      authentication("p", "{mtls: {mode: STRICT}}", "istio-system") +
      authentication("q", "{mtls: {mode: DISABLE}}") +
      authentication("r", "{selector: {matchLabels: {app: same}}, portLevelMtls: {9000: {mode: STRICT}}}"),
    reach: { ...all, stranger: "same:9001 other" },
  },
];

beforeAll(async () => {
  sandbox = await useSandbox(linked);
  await sandbox.apply("cluster2", home(namespace, true) + server("far", "cluster2-node1"));
  await sandbox.apply(
    "cluster1",
    home(namespace, true) +
      home(neighbour, true) +
      home(outside, false) +
      server("same", "cluster1-node1") +
      server("other", "cluster1-node2") +
      names.map((who) => client(clients[who].home, who)).join(""),
  );
  for (const [cluster, at] of [
    ["cluster1", namespace],
    ["cluster1", neighbour],
    ["cluster1", outside],
    ["cluster2", namespace],
  ] as const) {
    await sandbox.kubectl(cluster, `-n ${at} wait --for=condition=Ready pod --all --timeout=60s`, { msMax: 70_000 });
  }
  strangerIp.value = (await sandbox.json<Pod>("cluster1", `-n ${outside} get pod stranger`)).status.podIP;
  await poll("everything to be open", async () => JSON.stringify(await reached()) === JSON.stringify(all));
}, 240_000);

reportFailures(() => sandbox);

afterAll(async () => {
  if (sandbox === undefined) return;
  await clear();
  for (const cluster of sandbox.clusters) {
    await sandbox.kubectl(
      cluster,
      `delete namespace ${namespace} ${neighbour} ${outside} --ignore-not-found --wait=false`,
    );
  }
}, 120_000);

describe("a policy of", () => {
  it.each(cases)("$policy", async ({ yaml, reach }) => {
    await clear();
    await apply(yaml());
    await poll("what it says to hold", async () => {
      const found = await reached();
      return JSON.stringify(found) === JSON.stringify(reach) || void (latest = found);
    }).catch((error: unknown) => {
      expect(latest, String(error)).toEqual(reach);
    });
    // Whoever is refused is refused before the server sees a connection.
    const before = await accepted();
    await reached();
    const open = Object.values(reach).flatMap((row) => row.split(" ").filter(Boolean));
    expect((await accepted()) - before).toBe(open.length);
  });
  let latest: Reached = nobody;
});

describe("probes", () => {
  it("pass where nobody may do anything and plaintext is refused, also those of a pod that starts", async () => {
    await clear();
    await apply(authorization("p", "{}") + authentication("q", "{mtls: {mode: STRICT}}"));
    await poll("nothing to be open", async () => JSON.stringify(await reached()) === JSON.stringify(nobody));
    await sandbox.apply("cluster1", server("late", "cluster1-node2"));
    await sandbox.kubectl("cluster1", `-n ${namespace} wait --for=condition=Ready pod/late --timeout=60s`, {
      msMax: 70_000,
    });
    const { items } = await sandbox.json<{ readonly items: readonly Pod[] }>("cluster1", `-n ${namespace} get pods`);
    for (const { metadata, status } of items) {
      const ready = status.conditions.find(({ type }) => type === "Ready")?.status;
      expect([metadata.name, ready, status.containerStatuses[0]?.restartCount]).toEqual([metadata.name, "True", 0]);
    }
  });
});

describe("conditions", () => {
  const conditionsOf = async (name: string) =>
    poll("conditions", async () => {
      const found = await sandbox.json<{
        readonly status?: { readonly conditions?: readonly { readonly type: string; readonly reason: string }[] };
      }>("cluster1", `-n ${namespace} get authorizationpolicy ${name}`);
      const list = found.status?.conditions?.map(({ type, reason }) => `${type} ${reason}`) ?? [];
      return list.length > 0 && list;
    });

  it("say what is enforced and what is not", async () => {
    await clear();
    await apply(
      authorization("fine", from(`principals: ["*"]`)) +
        authorization("http", `{rules: [{to: [{operation: {methods: [GET]}}]}]}`) +
        authorization("waypoint", `{targetRefs: [{kind: Service, group: "", name: same}], action: DENY, rules: [{}]}`),
    );
    expect(await conditionsOf("fine")).toEqual(["ZtunnelAccepted Accepted"]);
    expect(await conditionsOf("http")).toEqual(["ZtunnelAccepted UnsupportedValue"]);
    expect(await conditionsOf("waypoint")).toEqual(["WaypointAccepted AncestorNotBound"]);
  });
});

describe("open connections", () => {
  it("of those that a first policy forbids end within a second, and nobody else's", async () => {
    await clear();
    await poll("everything to be open", async () => JSON.stringify(await reached()) === JSON.stringify(all));
    const forMs = 8_000;
    const watches = Promise.all(names.map((who) => run<Watched>(who, { do: "watch", forMs }, 60_000)));
    const before = await accepted();
    // Two that stay for each target, and new ones.
    const targets = Object.values(clients).reduce((sum, one) => sum + one.targets.length, 0);
    await poll("connections to be open", async () => (await accepted()) - before > 4 * targets);
    await apply(authorization("p", from(`principals: ["*/sa/alice", "*/sa/carol"]`)));
    const appliedAt = Date.now();
    const [alice = {}, bob = {}, carol = {}, stranger = {}] = await watches;
    for (const watched of [alice, carol].flatMap((one) => Object.values(one))) {
      expect(watched).toMatchObject({ ticking: 0, silent: 0, refused: 0 });
    }
    const late = [bob, stranger].flatMap((one) =>
      Object.values(one).map(({ ticking, silent, opened }) => Math.max(ticking, silent, opened) - appliedAt),
    );
    for (const one of [bob, stranger].flatMap((each) => Object.values(each))) {
      expect(Math.min(one.ticking, one.silent)).toBeGreaterThan(0);
    }
    // A second; twice that is left to a busy machine.
    expect(Math.max(...late)).toBeLessThan(2_000);
  });
});
