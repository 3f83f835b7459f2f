import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { kubeconfigPaths, withClusters, withoutClusters } from "./kubeconfig.ts";
import type { ClusterAccess } from "./kubeconfig.ts";

const access = (name: string, port = 1): ClusterAccess => ({
  name,
  server: `https://127.0.0.1:${port}`,
  caPem: "CA",
  token: `token-${name}`,
});

const theirs = `# my clusters
apiVersion: v1
kind: Config
clusters:
- name: work # careful
  cluster: {server: https://work}
users:
- name: work
  user: {token: x}
contexts:
- name: work
  context: {cluster: work, user: work}
current-context: work
`;

describe("kubeconfig", () => {
  it("is made when there is none, with the first cluster as the current context", () => {
    const made = parse(withClusters(undefined, "f", [access("cluster1"), access("cluster2")]));
    expect(made["current-context"]).toBe("cluster1");
    expect(made.contexts.map((one: { name: string }) => one.name)).toEqual(["cluster1", "cluster2"]);
    expect(made.users[1]).toEqual({ name: "cluster2", user: { token: "token-cluster2" } });
    expect(made.clusters[0].cluster["certificate-authority-data"]).toBe("Q0E=");
  });

  it("keeps what others wrote, comments and current context included", () => {
    const merged = withClusters(theirs, "f", [access("cluster1")]);
    expect(merged).toContain("# my clusters");
    expect(merged).toContain("# careful");
    expect(parse(merged)["current-context"]).toBe("work");
    const removed = withoutClusters(merged, "f", ["cluster1", "work"]);
    expect(parse(removed ?? "")).toEqual(parse(theirs));
  });

  it("replaces entries of an earlier sandbox", () => {
    const first = withClusters(undefined, "f", [access("cluster1", 1)]);
    const second = parse(withClusters(first, "f", [access("cluster1", 2)]));
    expect(second.clusters).toHaveLength(1);
    expect(second.clusters[0].cluster.server).toBe("https://127.0.0.1:2");
  });

  it("never takes a name that is somebody else's", () => {
    expect(() => withClusters(theirs, "f", [access("work")])).toThrow(/context "work" that is not the sandbox's/);
    expect(withoutClusters(theirs, "f", ["work"])).toBeUndefined();
  });

  it("leaves no current context that does not exist", () => {
    const made = withClusters(undefined, "f", [access("cluster1")]);
    expect(parse(withoutClusters(made, "f", ["cluster1"]) ?? "")["current-context"]).toBe("");
  });

  it("refuses a file that it cannot understand", () => {
    expect(() => withClusters("a: [", "/h/config", [])).toThrow(/\/h\/config/);
    expect(() => withClusters("- a", "/h/config", [])).toThrow(/no kubeconfig/);
  });

  it("is looked for where kubectl looks", () => {
    expect(kubeconfigPaths("", "/h")).toEqual(["/h/.kube/config"]);
    expect(kubeconfigPaths("/a::/b", "/h")).toEqual(["/a", "/b"]);
  });
});

it.each([
  [
    "kubectl's",
    "apiVersion: v1\nclusters:\n- cluster:\n    server: x\n  name: a\ncontexts: []\ncurrent-context: a\nkind: Config\nusers: []\n",
  ],
  [
    "a person's",
    "apiVersion: v1\nkind: Config\nclusters:\n  - {name: a, cluster: {server: x}} # mine\ncontexts: []\nusers: []\ncurrent-context: a\n",
  ],
])("gives back %s file byte for byte", (_name, before) => {
  const access = [{ name: "c1", server: "https://127.0.0.1:1", caPem: "PEM", token: "t" }];
  const during = withClusters(before, "f", access);
  expect(during).toContain("c1");
  expect(withoutClusters(during, "f", ["c1"])).toBe(before);
});
