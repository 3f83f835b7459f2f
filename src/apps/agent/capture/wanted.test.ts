import { describe, expect, it } from "vitest";
import type { Namespace } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { podUidOf } from "./netns.ts";
import { isInMesh, wantedPod } from "./wanted.ts";

const namespace = (mode?: string): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "shop", ...(mode === undefined ? {} : { labels: { "istio.io/dataplane-mode": mode } }) },
});

const pod = (labels: Record<string, string> = {}, more: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "cart", namespace: "shop", uid: "1", labels },
  spec: { containers: [] },
  status: { podIP: "10.1.0.2", phase: "Running" },
  ...more,
});

describe("which pods belong to the mesh", () => {
  it("follows the namespace's label, and the pod's own label before it", () => {
    expect(isInMesh(pod(), namespace("ambient"))).toBe(true);
    expect(isInMesh(pod(), namespace())).toBe(false);
    expect(isInMesh(pod({ "istio.io/dataplane-mode": "none" }), namespace("ambient"))).toBe(false);
    expect(isInMesh(pod({ "istio.io/dataplane-mode": "ambient" }), namespace())).toBe(true);
  });

  it("never takes a pod in the node's own network, a finished one, or one without an address", () => {
    const ambient = namespace("ambient");
    expect(isInMesh(pod({}, { spec: { containers: [], hostNetwork: true } }), ambient)).toBe(false);
    expect(wantedPod(pod({}, { status: { podIP: "10.1.0.2", phase: "Succeeded" } }), ambient, "m")).toBeUndefined();
    expect(wantedPod(pod({}, { status: {} }), ambient, "m")).toBeUndefined();
    expect(wantedPod(pod({}, { status: {} }), ambient, "m", { ip: "10.1.0.9", netns: "/n" })?.ip).toBe("10.1.0.9");
  });

  it("takes the IPv4 address of a pod that has both", () => {
    const status = { podIP: "fd00::2", podIPs: [{ ip: "fd00::2" }, { ip: "10.1.0.2" }], phase: "Running" as const };
    expect(wantedPod(pod({}, { status }), namespace("ambient"), "m")?.ip).toBe("10.1.0.2");
  });
});

describe("finding a pod's process", () => {
  it("reads the uid from cgroup paths of both drivers, and from the sandbox's variable", () => {
    const uid = "0f3a9c52-1b7e-4c55-9a57-2f1f6a7d8e90";
    expect(podUidOf(`0::/kubepods/burstable/pod${uid}/abc`, "")).toBe(uid);
    expect(podUidOf(`0::/kubepods.slice/kubepods-pod${uid.replaceAll("-", "_")}.slice/x`, "")).toBe(uid);
    expect(podUidOf("0::/", `PATH=/bin\0TOMBOLO_POD_UID=${uid}\0HOME=/`)).toBe(uid);
    expect(podUidOf("0::/user.slice", "PATH=/bin\0")).toBeUndefined();
  });
});
