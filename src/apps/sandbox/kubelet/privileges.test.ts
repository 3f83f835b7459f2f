/** Rights of containers, from their security contexts. */
import { describe, expect, it } from "vitest";
import type { Container, Pod } from "../../../core/api/pod.ts";
import { privilegeArguments, privilegesOf } from "./privileges.ts";

const podOf = (ofPod?: Record<string, unknown>, own?: Record<string, unknown>): [Pod, Container] => {
  const container: Container = { name: "c", image: "i", ...(own === undefined ? {} : { securityContext: own }) };
  const spec = { containers: [container], ...(ofPod === undefined ? {} : { securityContext: ofPod }) };
  return [{ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec }, container];
};

describe("rights of a container", () => {
  it("are root's with what runtimes usually leave, when nothing is said", () => {
    const rights = privilegesOf(...podOf());
    expect(rights).toMatchObject({ uid: 0, gid: 0, groups: [], mayGainMore: true, isRootReadOnly: false });
    expect(rights.capabilities).toContain("net_raw");
    expect(rights.capabilities).not.toContain("net_admin");
  });

  it("are the container's own before those of its pod", () => {
    const ofPod = { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000, 3000] };
    expect(privilegesOf(...podOf(ofPod, { runAsUser: 7, readOnlyRootFilesystem: true }))).toMatchObject({
      uid: 7,
      gid: 2000,
      groups: [4000, 3000],
      isRootReadOnly: true,
    });
  });

  it("lose and gain capabilities by name, in either spelling", () => {
    const of = (capabilities: unknown) => privilegesOf(...podOf({}, { capabilities })).capabilities;
    expect(of({ drop: ["ALL"], add: ["NET_ADMIN", "CAP_SYS_PTRACE"] })).toEqual(["net_admin", "sys_ptrace"]);
    expect(of({ drop: ["NET_RAW"] })).not.toContain("net_raw");
    expect(of({ add: ["ALL"] })).toEqual(["all"]);
    expect(privilegesOf(...podOf({}, { privileged: true })).capabilities).toEqual(["all"]);
  });

  it("are refused to a container that must not be root and says no user", () => {
    expect(() => privilegesOf(...podOf({ runAsNonRoot: true }))).toThrow("will run as root");
    expect(() => privilegesOf(...podOf({ runAsNonRoot: true }, { runAsNonRoot: false }))).not.toThrow();
    expect(() => privilegesOf(...podOf({ runAsNonRoot: true }, { runAsUser: 5 }))).not.toThrow();
  });

  it("become words before the program", () => {
    const own = { runAsUser: 5, allowPrivilegeEscalation: false, capabilities: { drop: ["all"] } };
    expect(privilegeArguments(privilegesOf(...podOf({ fsGroup: 9 }, own))).slice(1)).toEqual([
      "--reuid=5",
      "--regid=0",
      "--groups=9",
      "--bounding-set=-all",
      "--inh-caps=-all",
      "--no-new-privs",
      "--",
    ]);
  });
});
