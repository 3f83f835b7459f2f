import { describe, expect, it, vi } from "vitest";
import { systemHost } from "../../../io/host/host.ts";
import { Captor, type CaptureEffects } from "./captor.ts";
import type { WantedPod } from "./wanted.ts";

const pod = (uid: string, more: Partial<WantedPod> = {}): WantedPod => ({
  uid,
  namespace: "shop",
  name: `pod-${uid}`,
  serviceAccount: "cart",
  ip: "10.1.0.2",
  isDraining: false,
  isMarked: false,
  ...more,
});

const wanted = (...pods: WantedPod[]) => new Map(pods.map((one) => [one.uid, one]));

function world(overrides: Partial<CaptureEffects> = {}) {
  const steps: string[] = [];
  const note = (step: string) => {
    steps.push(step);
    return Promise.resolve();
  };
  const effects: CaptureEffects = {
    isThere: () => true,
    unlistened: ({ uid }) => note(`unlistened ${uid}`),
    netnsOf: (uid) => `/run/netns/${uid}`,
    listening: ({ uid }) => note(`listening ${uid}`),
    redirect: ({ uid, isDraining }) => note(`redirect ${uid}${isDraining ? " draining" : ""}`),
    release: ({ uid }) => note(`release ${uid}`),
    nodeAddresses: (addresses) => note(`addresses ${addresses.join(",")}`),
    mark: ({ uid }, isCaptured) => note(`mark ${uid} ${isCaptured}`),
    ...overrides,
  };
  const stop = new AbortController();
  const host = { ...systemHost("error"), log: systemHost("error").log };
  const captor = new Captor(
    { ...host, clock: { ...host.clock, sleep: (_ms, signal) => host.clock.sleep(1, signal) } },
    effects,
    { trustDomain: "cluster.local", signal: stop.signal, changed: () => steps.push("changed") },
  );
  return { steps, captor, stop };
}

describe("captor", () => {
  it("redirects a pod only once Envoy listens in it, and marks it last", async () => {
    const { steps, captor, stop } = world();
    captor.want(wanted(pod("a")));
    expect(await captor.captured("a", stop.signal)).toBe(true);
    expect(steps).toEqual(["changed", "listening a", "redirect a", "addresses 10.1.0.2", "mark a true"]);
    expect(captor.podsByUid.get("a")?.identity).toBe("spiffe://cluster.local/ns/shop/sa/cart");
  });

  it("lets no pod start whose mark is not written yet, and writes it without redirecting again", async () => {
    let tries = 0;
    const { steps, captor, stop } = world({
      mark: () => (++tries < 3 ? Promise.reject(new Error("the API server is away")) : Promise.resolve()),
    });
    captor.want(wanted(pod("a")));
    let triesWhenAnswered = 0;
    await captor.captured("a", stop.signal).then(() => (triesWhenAnswered = tries));
    expect(triesWhenAnswered).toBe(3);
    expect(steps.filter((step) => step.startsWith("redirect"))).toEqual(["redirect a"]);
  });

  it("refuses new connections of a terminating pod without touching its mark or waiting for listeners again", async () => {
    const { steps, captor, stop } = world();
    captor.want(wanted(pod("a")));
    await captor.captured("a", stop.signal);
    await vi.waitFor(() => expect(steps).toContain("mark a true"));
    steps.length = 0;
    captor.want(wanted(pod("a", { isDraining: true, isMarked: true })));
    await vi.waitFor(() => expect(steps).toEqual(["changed", "redirect a draining"]));
  });

  it("takes the redirect away before the listeners when a pod leaves the mesh", async () => {
    const { steps, captor, stop } = world();
    captor.want(wanted(pod("a")));
    await captor.captured("a", stop.signal);
    await vi.waitFor(() => expect(steps).toContain("mark a true"));
    steps.length = 0;
    captor.want(wanted());
    await vi.waitFor(() => expect(steps).toEqual(["release a", "mark a false", "changed", "addresses "]));
    expect(captor.podsByUid.size).toBe(0);
  });

  it("tries again when Envoy does not listen, and captures nothing meanwhile", async () => {
    let tries = 0;
    const { steps, captor, stop } = world({
      listening: () => (++tries < 3 ? Promise.reject(new Error("not yet")) : Promise.resolve()),
    });
    captor.want(wanted(pod("a")));
    expect(await captor.captured("a", stop.signal)).toBe(true);
    expect(tries).toBe(3);
    expect(steps.filter((step) => step.startsWith("redirect"))).toEqual(["redirect a"]);
  });

  it("answers who waits for a pod that is no longer wanted", async () => {
    const { captor, stop } = world({ listening: () => new Promise(() => undefined) });
    captor.want(wanted(pod("a")));
    const answer = captor.captured("a", stop.signal);
    captor.want(wanted());
    stop.abort(new Error("the test is over"));
    expect(await answer).toBe(false);
  });

  it("gives every pod its plain network back when the mesh leaves the node, whatever fails", async () => {
    const { steps, captor, stop } = world({
      mark: ({ uid }, isCaptured) =>
        uid === "a" && !isCaptured ? Promise.reject(new Error("gone")) : Promise.resolve(),
    });
    captor.want(wanted(pod("a"), pod("b")));
    await Promise.all([captor.captured("a", stop.signal), captor.captured("b", stop.signal)]);
    stop.abort(new Error("asked to end"));
    await captor.releaseAll();
    expect(steps.filter((step) => step.startsWith("release")).sort()).toEqual(["release a", "release b"]);
  });

  it.each([
    ["the kubelet says so", { netns: "/run/netns/second" }],
    ["the old namespace is gone", {}],
  ])("captures a pod anew that got another network namespace: %s", async (_how, second) => {
    let path = "/run/netns/first";
    const { steps, captor, stop } = world({
      isThere: ({ netnsPath }) => netnsPath === path,
      netnsOf: () => path,
    });
    captor.want(wanted(pod("a", "netns" in second ? { netns: path } : {})));
    await captor.captured("a", stop.signal);
    await vi.waitFor(() => expect(steps).toContain("mark a true"));
    steps.length = 0;
    path = "/run/netns/second";
    captor.want(wanted(pod("a", { ...second, isMarked: true })));
    expect(await captor.captured("a", stop.signal)).toBe(true);
    expect(steps).toEqual(["changed", "unlistened a", "changed", "listening a", "redirect a", "addresses 10.1.0.2"]);
    expect(captor.podsByUid.get("a")?.netnsPath).toBe("/run/netns/second");
  });

  it("does not capture a pod without an IPv4 address, and goes on with the others", async () => {
    const { steps, captor, stop } = world();
    captor.want(wanted(pod("six", { ip: "fd00::2" }), pod("a")));
    expect(await captor.captured("a", stop.signal)).toBe(true);
    expect(steps).toContain("addresses 10.1.0.2");
    expect(steps).not.toContain("redirect six");
    stop.abort(new Error("the test is over"));
  });

  it("does nothing for a pod that did not change", async () => {
    const { steps, captor, stop } = world();
    captor.want(wanted(pod("a", { isMarked: true })));
    await captor.captured("a", stop.signal);
    const before = [...steps];
    captor.want(wanted(pod("a", { isMarked: true })));
    await Promise.resolve();
    expect(steps).toEqual(before);
  });
});
