/**
 * Bad input never stops the rest: each mistake is answered by a condition, an event or an error that names the object and
 * the way out, while requests to another service of the same clusters go on.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { poll } from "./kit/program.ts";
import { linked, reportFailures, type Sandbox, useSandbox } from "./kit/sandbox.ts";

const namespace = "inputs";
const gateways = "istio-gateways";

interface Conditioned {
  readonly status?: { readonly conditions?: readonly Condition[] };
}
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}
interface EventList {
  readonly items: readonly { readonly reason: string; readonly message: string; readonly type: string }[];
}

let sandbox: Sandbox;

const condition = (kind: string, at: string, type: string, wanted: (found: Condition) => boolean): Promise<Condition> =>
  poll(`condition ${type} of ${kind} ${at}`, async () => {
    const [home = "", name = ""] = at.split("/");
    const object = await sandbox.json<Conditioned>("cluster1", `-n ${home} get ${kind} ${name}`);
    return object.status?.conditions?.find((one) => one.type === type && wanted(one));
  });

const refusal = (kind: string, at: string, type = "Accepted") =>
  condition(kind, at, type, ({ status }) => status === "False");

const warning = (home: string, object: string, reason: string): Promise<string> =>
  poll(`event ${reason} of ${object}`, async () => {
    const words = `-n ${home} get events --field-selector involvedObject.name=${object},reason=${reason}`;
    const { items } = await sandbox.json<EventList>("cluster1", words);
    return items.find(({ type }) => type === "Warning")?.message;
  });

/** A request from the other cluster's side of the mesh to a service that nobody touches. */
const request = () =>
  sandbox.exec("cluster1", `${namespace} client`, [
    "curl",
    "-sS",
    "-m",
    "5",
    `good.${namespace}.mesh.internal:8000/hostname`,
  ]);

const app = (name: string, labels: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}, labels: {${labels}}}
spec:
  selector: {app: good}
  ports: [{name: http, port: 8000, targetPort: 8080}]
---
`;

const home = `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}, labels: {istio.io/dataplane-mode: ambient}}
---
`;

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: ${namespace}, labels: {app: good}}
spec:
  containers:
    - name: good
      image: mccutchen/go-httpbin:2.18.3
      args: [-use-real-hostname]
      readinessProbe: {httpGet: {path: /status/200, port: 8080}, periodSeconds: 1}
`;

const client = `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: ${namespace}, labels: {app: client}}
spec:
  containers: [{name: client, image: nicolaka/netshoot:latest, command: [sleep, infinity]}]
`;

const remote = (name: string, peer: string, address: string, more = "") => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: ${name}
  namespace: ${gateways}
  labels: {topology.istio.io/cluster: ${peer}, topology.istio.io/network: ${peer}}
spec:
  gatewayClassName: istio-remote
  addresses: [{type: IPAddress, value: "${address}"}]
  listeners: [{name: xds-tls, port: 15012, protocol: TLS, tls: {mode: Passthrough}}]
${more}`;

beforeAll(async () => {
  sandbox = await useSandbox(linked);
  // The pod is in cluster2 and the client in cluster1, so that every request needs the link.
  await sandbox.apply("cluster2", home + app("good", "solo.io/service-scope: global") + pod);
  await sandbox.apply("cluster1", `${home}${client}`);
  for (const cluster of sandbox.clusters) {
    await sandbox.kubectl(cluster, `-n ${namespace} wait --for=condition=Ready pod --all --timeout=60s`);
  }
  await poll("the first answer", async () => (await request()).code === 0);
}, 240_000);

reportFailures(() => sandbox);

afterEach(async () => {
  const { code, stdout, stderr } = await request();
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toContain('"hostname": "good"');
});

afterAll(async () => {
  for (const cluster of sandbox?.clusters ?? []) {
    await sandbox.kubectl(cluster, `delete namespace ${namespace} --ignore-not-found --wait=false`);
  }
});

describe("a label", () => {
  it("with a scope that does not exist is an event on the Service", async () => {
    await sandbox.apply("cluster1", app("typo", "solo.io/service-scope: globl"));
    const message = await warning(namespace, "typo", "UnknownScope");
    expect(message).toContain(`Service ${namespace}/typo: label solo.io/service-scope=globl is not known`);
    expect(message).toContain("Use global, segment or global-only");
  });

  it("that takes over without a scope is an event on the Service", async () => {
    await sandbox.apply("cluster1", app("alone", 'solo.io/service-takeover: "true"'));
    expect(await warning(namespace, "alone", "TakeoverWithoutScope")).toContain(
      "Add label solo.io/service-scope=global",
    );
  });

  it("that names a Segment nobody made is told, and nothing moves", async () => {
    await sandbox.kubectl("cluster1", "label namespace istio-system admin.solo.io/segment=nowhere");
    try {
      expect(await warning("default", "istio-system", "UnknownSegment")).toContain("nowhere");
      expect((await request()).code).toBe(0);
    } finally {
      await sandbox.kubectl("cluster1", "label namespace istio-system admin.solo.io/segment-");
    }
  });
});

describe("a ServiceEntry", () => {
  it("for a host that is taken is refused with the owner's name", async () => {
    const host = `good.${namespace}.mesh.internal`;
    await sandbox.apply(
      "cluster1",
      `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: thief, namespace: ${namespace}}
spec:
  hosts: [${host}]
  addresses: [240.240.1.1]
  ports: [{number: 8000, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
`,
    );
    const { reason, message } = await refusal("serviceentry", `${namespace}/thief`);
    expect(reason).toBe("HostClash");
    expect(message).toContain(`ServiceEntry ${namespace}/thief: host ${host} already belongs to`);
    expect(message).toContain("Choose another host, or delete one of the two");
  });
});

describe("a Segment", () => {
  const segment = (name: string, domain: string) => `
apiVersion: admin.solo.io/v1alpha1
kind: Segment
metadata: {name: ${name}, namespace: istio-system}
spec: {domain: ${domain}}
`;

  it("that only one cluster has says which one lacks it, and kubectl shows who uses it", async () => {
    await sandbox.apply("cluster1", segment("lonely", "lonely.internal"));
    try {
      const { message } = await refusal("segment", "istio-system/lonely", "SharedWithPeers");
      expect(message).toContain("Segment lonely: linked clusters do not have it: cluster2.");
      const table = await sandbox.kubectl("cluster1", "-n istio-system get segments");
      expect(table).toMatch(/^NAME +DOMAIN +CLUSTERS +SERVICES +ACCEPTED +AGE$/m);
      expect(table).toMatch(/^lonely +lonely.internal +\[\] +0 +True +/m);
      await sandbox.apply("cluster2", segment("lonely", "lonely.internal"));
      await condition("segment", "istio-system/lonely", "SharedWithPeers", ({ status }) => status === "True");
    } finally {
      for (const cluster of sandbox.clusters) {
        await sandbox.kubectl(cluster, "-n istio-system delete segment lonely --ignore-not-found");
      }
    }
  });

  it("with a domain of Kubernetes is refused", async () => {
    await sandbox.apply("cluster1", segment("greedy", "greedy.cluster.local"));
    expect((await refusal("segment", "istio-system/greedy")).reason).toBe("ReservedDomain");
    await sandbox.kubectl("cluster1", "-n istio-system delete segment greedy");
  });
});

describe("an AuthorizationPolicy", () => {
  it("that Envoy refuses says so with Envoy's words, and is accepted again once it is mended", async () => {
    const policy = (source: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: strange, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: client}}
  action: DENY
  rules: [{from: [{source: {namespaces: ["${source}"]}}]}]
`;
    await sandbox.apply("cluster1", policy("ä"));
    const { reason, message } = await refusal("authorizationpolicy", `${namespace}/strange`, "ZtunnelAccepted");
    expect(reason).toBe("Refused");
    expect(message).toContain(`AuthorizationPolicy ${namespace}/strange: Envoy on node`);
    expect(await warning(namespace, "client", "PolicyRefused")).toContain(`${namespace}/strange`);
    await sandbox.apply("cluster1", policy("other"));
    await condition(
      "authorizationpolicy",
      `${namespace}/strange`,
      "ZtunnelAccepted",
      ({ status }) => status === "True",
    );
    await sandbox.kubectl("cluster1", `-n ${namespace} delete authorizationpolicy strange`);
  });
});

describe("a Gateway", () => {
  const remove = (name: string) => sandbox.kubectl("cluster1", `-n ${gateways} delete gateway ${name}`);

  it("of a class that nobody serves is told so, as it was surely meant for the mesh", async () => {
    await sandbox.apply(
      "cluster1",
      remote("other-class", "other", "192.0.2.1").replace("istio-remote\n", "someone-elses\n"),
    );
    const { reason, message } = await refusal("gateway", `${gateways}/other-class`);
    expect(reason).toBe("UnknownClass");
    expect(message).toContain("class someone-elses is unknown in this cluster");
    await remove("other-class");
  });

  it("with an address that is none is refused", async () => {
    await sandbox.apply("cluster1", remote("bad-address", "cluster9", "not-an-address"));
    const { message } = await refusal("gateway", `${gateways}/bad-address`);
    expect(message).toContain(`Gateway ${gateways}/bad-address: address not-an-address is not a valid IPAddress`);
    await remove("bad-address");
  });

  it("without its peer's network is refused with the label to add", async () => {
    const text = remote("no-network", "cluster9", "192.0.2.1").replace(/, topology.istio.io\/network: \w+/, "");
    await sandbox.apply("cluster1", text);
    expect((await refusal("gateway", `${gateways}/no-network`)).message).toContain(
      "Add label topology.istio.io/network",
    );
    await remove("no-network");
  });

  it("that leads to a dead address is shown as disconnected, with the cause", async () => {
    await sandbox.apply("cluster1", remote("dead", "cluster9", "192.0.2.1"));
    const { message } = await refusal("gateway", `${gateways}/dead`, "gloo.solo.io/PeerConnected");
    expect(message).toContain("cluster9");
    const { code, stdout, stderr } = await sandbox.tryRun("tombolo", [
      "multicluster",
      "check",
      "--context",
      "cluster1",
    ]);
    expect(code).not.toBe(0);
    expect(stdout).toContain("❌ Peers Check: ");
    expect(stdout).toContain("cluster9");
    expect(stderr).toContain("multicluster check found issues");
    await remove("dead");
  });

  it("that links to a peer a second time is refused, and the first one stays in use", async () => {
    await sandbox.apply("cluster1", remote("second", "cluster2", "192.0.2.1"));
    const { reason, message } = await refusal("gateway", `${gateways}/second`);
    expect(reason).toBe("DuplicatePeer");
    expect(message).toContain(`${gateways}/istio-remote-peer-cluster2 already links to peer cluster2 and is used`);
    await remove("second");
  });
});

describe("a plugged-in intermediate", () => {
  it("that does not lead to its root is an event on its Secret, and the one before stays in use", async () => {
    const kept = await sandbox.json<{ data: Record<string, string> }>("cluster1", "-n istio-system get secret cacerts");
    const other = await sandbox.tryRun(
      "openssl",
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=stranger -keyout /dev/null".split(
        " ",
      ),
    );
    const patch = (data: Record<string, string | undefined>) => [
      "-n",
      "istio-system",
      "patch",
      "secret",
      "cacerts",
      "-p",
      JSON.stringify({ data }),
    ];
    const stranger = Buffer.from(other.stdout).toString("base64");
    await sandbox.kubectl("cluster1", patch({ "root-cert.pem": stranger, "cert-chain.pem": stranger }));
    try {
      const message = await warning("istio-system", "cacerts", "UnusableAuthority");
      expect(message).toContain("Secret istio-system/cacerts, key ca-cert.pem: its issuer");
      expect(message).toContain("leads to no root in root-cert.pem");
      expect((await request()).code).toBe(0);
    } finally {
      await sandbox.kubectl(
        "cluster1",
        patch({ "root-cert.pem": kept.data["root-cert.pem"], "cert-chain.pem": kept.data["cert-chain.pem"] }),
      );
    }
  });
});

describe("a command", () => {
  it.each([
    ["multicluster link --contexts=cluster1,cluster2 --namspace x", "--namspace", "--help"],
    ["multicluster link --contexts=cluster1", "Give at least two contexts", "--from and --to"],
    ["multicluster link --from cluster1 --to cluster1", 'both "cluster1"', "not linked to itself"],
    ["multicluster expose --context cluster9", "cluster9", "kubeconfig"],
    ["multicluster frobnicate", "'tombolo multicluster frobnicate' is no command", "multicluster link"],
    ["install --context cluster1 --set global.network", "--set global.network", "key=value"],
    ["sandbox up --clusters 0", "--clusters 0", "number from 1"],
  ])("tombolo %s says what is wrong and what to type", async (words, what, way) => {
    const { code, stdout, stderr } = await sandbox.tryRun("tombolo", words.split(" "));
    expect(code).not.toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toContain("Error: ");
    expect(stderr).toContain(what);
    expect(stderr).toContain(way);
  });
});
