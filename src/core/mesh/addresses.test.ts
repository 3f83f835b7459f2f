/** How virtual addresses are given when places are taken: by another's status, by a user, or by a whole full block. */
import { expect, test } from "vitest";
import type { ServiceEntry } from "../api/mesh-kinds.ts";
import { type Mesh, wireMesh } from "./mesh.ts";

const begin = (): Mesh =>
  wireMesh({
    cluster: "cluster1",
    network: "network1",
    trustDomain: "cluster.local",
    clusterDomain: "cluster.local",
    ipAutoallocate: true,
    skipTrustDomainCheck: false,
  });

function write(mesh: Mesh, name: string, more: { spec?: readonly string[]; status?: readonly string[] } = {}): void {
  const host = `${name}.example`;
  const entry: ServiceEntry = {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name, namespace: "a", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { hosts: [host], resolution: "STATIC", ...(more.spec === undefined ? {} : { addresses: [...more.spec] }) },
    status: { addresses: (more.status ?? []).map((value) => ({ host, value })) },
  };
  mesh.sources.serviceEntries.set(`a/${name}`, entry);
}

function given(mesh: Mesh, name: string): readonly string[] {
  mesh.graph.commit();
  return (mesh.serviceEntryAddresses.rows.get(`a/${name}`) ?? []).map((address) => address.value);
}

/** Where a host goes when nobody is in its way. */
function placeOf(name: string): readonly [ipv4: string, ipv6: string] {
  const mesh = begin();
  write(mesh, name);
  const [ipv4 = "", ipv6 = ""] = given(mesh, name);
  return [ipv4, ipv6];
}

test("a place that stands in another's status, or that a user set, is passed over", () => {
  const [ipv4, ipv6] = placeOf("web");
  const mesh = begin();
  write(mesh, "other", { status: [ipv4] });
  write(mesh, "fixed", { spec: [ipv6] });
  write(mesh, "web");
  const [mine4, mine6] = given(mesh, "web");
  expect(mine4).not.toBe(ipv4);
  expect(mine6).not.toBe(ipv6);
  expect(given(mesh, "other")[0]).toBe(ipv4);
  expect(given(mesh, "fixed")).toEqual([]);
});

test("a host whose block is full finds a place in another block", () => {
  const [ipv4] = placeOf("web");
  const block = ipv4.replace(/\d+$/, "");
  const mesh = begin();
  write(mesh, "fixed", { spec: Array.from({ length: 254 }, (_none, at) => `${block}${at + 1}`) });
  write(mesh, "web");
  const [mine = ""] = given(mesh, "web");
  expect(mine).toMatch(/^240\.240\.\d+\.\d+$/);
  expect(mine.startsWith(block)).toBe(false);
});

test("many hosts get different addresses, none of them .0 or .255, and keep them once they are written", () => {
  const mesh = begin();
  const names = Array.from({ length: 2000 }, (_none, at) => `host${at}`);
  for (const name of names) write(mesh, name);
  const first = names.map((name) => given(mesh, name));
  const all = first.flat();
  expect(all.length).toBe(4000);
  expect(new Set(all).size).toBe(4000);
  expect(all.filter((value) => /\.(0|255)$/.test(value))).toEqual([]);
  for (const [at, name] of names.entries()) write(mesh, name, { status: first[at] ?? [] });
  for (let at = 0; at < 500; at++) write(mesh, `a-new-one-${at}`);
  expect(names.map((name) => given(mesh, name))).toEqual(first);
});
