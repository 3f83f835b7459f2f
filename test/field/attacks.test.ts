/** What a pod may try against another: other address families, other people's addresses, doors that are closed. Needs root. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { podRulesOfIpv6 } from "../../src/apps/agent/capture/rules.ts";
import { anything } from "../../src/core/mesh/authorization.ts";
import type { Policy, PolicyMatch } from "../../src/core/mesh/model.ts";
import { appPorts, Lab, poll, service } from "./kit/lab.ts";
import { sh } from "./kit/netns.ts";

const near = { cluster: "cluster1", network: "network1" };
const pods = {
  evil: { name: "evil", node: "n1", ip: "10.42.1.2", account: "evil" },
  near: { name: "near", node: "n1", ip: "10.42.1.3", account: "victim" },
  far: { name: "far", node: "n2", ip: "10.42.2.2", account: "victim" },
} as const;

const lab = new Lab("atk");
const replica = lab.replica(near.cluster);

const ip = (pod: string, ...args: string[]) => sh("ip", ["-n", lab.wire.ns(pod), ...args]);
/** Status and time of a request, made by curl in a pod. */
async function curl(pod: string, ...args: string[]): Promise<{ text: string; ms: number }> {
  const all = ["-s", "-g", "--http0.9", "-m", "6", "-w", "\n%{time_total}", ...args];
  const output = await lab.wire.exec(pod, "sh", ["-c", 'curl "$@" || true', "curl", ...all]);
  const lines = output.trim().split("\n");
  return { ms: Number(lines.pop()) * 1000, text: lines.join("\n").trim() };
}

beforeAll(async () => {
  const { wire } = lab;
  await lab.trust();
  wire.node("n1", "172.28.0.1", "10.42.1.1");
  wire.node("n2", "172.28.0.2", "10.42.2.1");
  wire.route("n1", "10.42.2.0/24", "172.28.0.2");
  wire.route("n2", "10.42.1.0/24", "172.28.0.1");
  for (const { name, node, ip: address } of Object.values(pods)) {
    wire.pod(name, node, address, address.replace(/\d+$/, "1"));
  }
  wire.pod("stranger", "n1", "10.42.1.9", "10.42.1.1");
  replica.setService(service("all", { network: near.network, address: "10.97.0.1" }));
  await Promise.all([lab.node("n1", near.cluster, near.network), lab.node("n2", near.cluster, near.network)]);
  await lab.pod(pods.evil, {});
  await lab.pod(pods.near, { "shop/all.shop.svc.cluster.local": appPorts });
  await lab.pod(pods.far, { "shop/all.shop.svc.cluster.local": appPorts });
});

afterAll(() => lab.close());

describe("an address that is not the pod's own", () => {
  it("is never what an app of the same node sees as its client", async () => {
    expect((await curl("evil", `http://${pods.near.ip}:8080/`)).text).toBe(`near ${pods.evil.ip}`);
    // With NET_ADMIN a pod may give itself any address, here that of kubelet's probes.
    ip("evil", "addr", "add", "169.254.7.127/32", "dev", "lo");
    const seen = await curl("evil", "--interface", "169.254.7.127", `http://${pods.near.ip}:8080/`);
    ip("evil", "addr", "del", "169.254.7.127/32", "dev", "lo");
    expect(seen.text).toBe(`near ${pods.evil.ip}`);
  });
});

describe("the proxy's own ports", () => {
  it.each(["127.0.0.1:15001", "127.0.0.1:15006", `${pods.evil.ip}:15006`, `${pods.near.ip}:15001`])(
    "answer nobody who dials them (%s)",
    async (address) => {
      expect((await curl("evil", `http://${address}/`)).text).toBe("");
      expect((await curl("stranger", `http://${address}/`)).text).toBe("");
    },
  );
});

describe("IPv6", () => {
  it("leads past no gate, and is refused at once", async () => {
    const app = `require("http").createServer((q,s)=>s.end("six")).listen(8666,"::",()=>console.log("up"))`;
    sh("sh", [
      "-c",
      `ip netns exec ${lab.wire.ns("near")} node -e '${app}' >/dev/null 2>&1 & echo $! > ${lab.folder}/pid`,
    ]);
    ip("near", "-6", "addr", "add", "fd42::3/64", "dev", "eth0", "nodad");
    ip("stranger", "-6", "addr", "add", "fd42::9/64", "dev", "eth0", "nodad");
    const six = () => curl("stranger", "http://[fd42::3]:8666/");
    await poll("the app to answer over IPv6", async () => (await six()).text === "six");
    lab.wire.nft("near", podRulesOfIpv6());
    const refused = await six();
    const itself = await curl("near", "http://[::1]:8666/");
    sh("sh", ["-c", `kill $(cat ${lab.folder}/pid)`]);
    expect(refused.text).toBe("");
    expect(refused.ms).toBeLessThan(1000);
    expect(itself.text).toBe("six");
  });
});

describe("a denied client", () => {
  const nobody: Policy = { name: "nobody", namespace: "shop", scope: "namespace", action: "allow", groups: [] };

  it("is told soon, by mutual TLS, on the same node and in the clear", async () => {
    expect((await curl("stranger", `http://${pods.near.ip}:8080/`)).text).toBe("near 10.42.1.9");
    expect((await curl("evil", `http://${pods.far.ip}:8080/`)).text).toBe("far 10.42.1.2");
    replica.setPolicy(nobody);
    const targets = [
      ["evil", pods.near.ip],
      ["evil", pods.far.ip],
      ["stranger", pods.near.ip],
    ] as const;
    for (const [from, to] of targets) {
      await poll("the policy", async () => (await curl(from, `http://${to}:8080/`)).text === "");
      expect((await curl(from, `http://${to}:8080/`)).ms, `${from} to ${to}`).toBeLessThan(500);
    }
    replica.removePolicy("shop/nobody");
  });
});

describe("the port of a connection that has ended", () => {
  const nobody: Policy = { name: "nobody", namespace: "shop", scope: "namespace", action: "allow", groups: [] };
  const web = `http://${pods.near.ip}:8080/`;

  it("is no way past the gate", async () => {
    // The app closes first, so its socket stays for a minute; the proxy dialled it from this port of the stranger's address.
    expect((await curl("stranger", web)).text).toBe("near 10.42.1.9");
    const kept = await lab.wire.exec("near", "ss", ["-Htan", "state", "time-wait", "sport = :8080"]);
    const port = /10\.42\.1\.9:(\d+)/.exec(kept)?.[1];
    expect(port).toBeDefined();
    // Allowed, it is a connection like any other.
    expect((await curl("stranger", "--local-port", port ?? "", web)).text).toBe("near 10.42.1.9");
    replica.setPolicy(nobody);
    await poll("the policy", async () => (await curl("stranger", web)).text === "");
    expect((await curl("stranger", "--local-port", port ?? "", web)).text).toBe("");
    replica.removePolicy("shop/nobody");
  });
});

describe("a policy of every kind of match", () => {
  const cidr = "10.42.0.0/16";
  const exact = (value: string) => ({ kind: "exact", value }) as const;
  const kinds = [
    exact("shop"),
    { kind: "prefix", value: "sh" },
    { kind: "suffix", value: "op" },
    { kind: "presence" },
  ] as const;
  const principals = [
    exact("cluster.local/ns/shop/sa/evil"),
    { kind: "prefix", value: "cluster.local/ns/shop/" },
    { kind: "suffix", value: "/sa/evil" },
    { kind: "presence" },
  ] as const;
  const matches: readonly PolicyMatch[] = [
    ...kinds.map((kind) => ({ ...anything, namespaces: [kind] })),
    ...principals.map((kind) => ({ ...anything, principals: [kind] })),
    { ...anything, sourceIps: [cidr] },
    { ...anything, destinationIps: [cidr] },
    { ...anything, destinationPorts: [8080] },
    { ...anything, notNamespaces: [exact("other")], notPrincipals: [exact("cluster.local/ns/other/sa/x")] },
    { ...anything, notSourceIps: ["192.0.2.0/24"], notDestinationIps: ["192.0.2.0/24"], notDestinationPorts: [9] },
  ];
  const policy = (action: Policy["action"], match: PolicyMatch): Policy => ({
    name: "each",
    namespace: "shop",
    scope: "namespace",
    action,
    groups: [[[match]]],
  });
  const answer = async () => (await curl("evil", `http://${pods.near.ip}:8080/`)).text;

  it.each(matches.map((match) => [JSON.stringify(match).replaceAll(/"\w+":\[\],?/g, ""), match] as const))(
    "is understood by Envoy, denying and allowing: %s",
    async (_text, match) => {
      replica.setPolicy(policy("deny", match));
      await poll("the denial", async () => (await answer()) === "");
      replica.setPolicy(policy("allow", match));
      await poll("the permission", async () => (await answer()) === "near 10.42.1.2");
      replica.removePolicy("shop/each");
    },
  );
});

it("has nothing refused by any Envoy", () => {
  expect(lab.rejections).toEqual([]);
});
