import { describe, expect, it } from "vitest";
import type { Container, Pod } from "../../../core/api/pod.ts";
import { machineMountsOf, rootScript } from "./root.ts";
import { commandLine, containerEnvironment, expandReferences, MissingReference } from "./values.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", uid: "u", labels: { app: "web" } },
  spec: { containers: [], nodeName: "node1" },
};
const place = { podIp: "10.11.1.2", hostIp: "198.18.1.1" };
const lookup = {
  configMap: (name: string) =>
    name === "settings"
      ? { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { LEVEL: "high" } }
      : undefined,
  secret: () => undefined,
};
const environmentOf = (container: Partial<Container>) =>
  Object.fromEntries(containerEnvironment(pod, { name: "c", image: "i", ...container }, place, { BASE: "b" }, lookup));

describe("the environment of a container", () => {
  it("refers to what came before it, and to the pod's own fields", () => {
    const env = [
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: "ALL", value: "$(IP) $(BASE) $(LEVEL) $$(IP) $(NONE)" },
    ];
    const known = environmentOf({ env, envFrom: [{ configMapRef: { name: "settings" } }] });
    expect(known["ALL"]).toBe("10.11.1.2 b high $(IP) $(NONE)");
    expect(known["APP"]).toBe("web");
  });

  it("waits for what is missing, unless it is optional", () => {
    const from = (optional: boolean) => [
      { name: "X", valueFrom: { secretKeyRef: { name: "none", key: "k", optional } } },
    ];
    expect(() => environmentOf({ env: from(false) })).toThrow(MissingReference);
    expect(environmentOf({ env: from(true) })).not.toHaveProperty("X");
  });
});

describe("the command of a container", () => {
  const image = { entrypoint: ["run"], command: ["default"], programs: { "go-run": ["node", "run.js"] } };
  const of = (container: Partial<Container>) =>
    commandLine({ name: "c", image: "i", ...container }, image, new Map([["A", "1"]]));

  it("is the image's, its arguments replaced, or all of it", () => {
    expect(of({})).toEqual(["run", "default"]);
    expect(of({ args: ["$(A)"] })).toEqual(["run", "1"]);
    expect(of({ command: ["own"], args: ["x"] })).toEqual(["own", "x"]);
    expect(of({ command: ["own"] })).toEqual(["own"]);
    expect(of({ command: ["/bin/go-run"], args: ["-x"] })).toEqual(["node", "run.js", "-x"]);
  });
});

describe("references", () => {
  it("are replaced once, not again in what they brought", () => {
    expect(expandReferences("$(A)", new Map([["A", "$(A)"]]))).toBe("$(A)");
  });
});

describe("the root of a container", () => {
  it("shows disks that are mounted on their own, and not what the machine keeps for itself", () => {
    const mountinfo = [
      "1 0 8:1 / / rw - ext4 /dev/a rw",
      "2 1 8:2 / /home rw - xfs /dev/b rw",
      "3 2 8:3 / /home/me rw - ext4 /dev/c rw",
      "4 1 0:5 / /proc rw - proc proc rw",
      "5 1 8:1 / /run/netns rw - ext4 /dev/a rw",
      "6 1 0:9 / /mnt/ram rw - tmpfs tmpfs rw",
    ].join("\n");
    expect(machineMountsOf(mountinfo)).toEqual(["/home"]);
  });

  it("survives paths with quotes", () => {
    const mounts = [{ source: "/a'b", target: "/c d", isFile: false, isReadOnly: true }];
    const script = rootScript({ mode: "overlay", directory: "/x", machineMounts: [], mounts, workingDir: "/" });
    expect(script).toContain(String.raw`mount --rbind '/.tombolo-machine/a'\''b' '/c d'`);
  });
});
