/** What is said of certificates that are about to expire, and that no key is ever said. */
import { expect, test } from "vitest";
import { systemHost } from "../../../io/host/host.ts";
import { mintIntermediate, mintRoot } from "../../../io/identity/mint.ts";
import { TrustBundles } from "../../../io/identity/trust.ts";
import { trustFacts } from "./trust-facts.ts";

const host = systemHost("error");

async function factsOf(days: { readonly root: number; readonly intermediate: number }, problem?: string) {
  const root = await mintRoot(host, { name: "the root", days: days.root });
  const issued = await mintIntermediate(host, root, { name: "cluster1", days: days.intermediate });
  const bundles = new TrustBundles();
  bundles.set("cluster.local", root.certPem);
  return trustFacts({
    trustDomain: "cluster.local",
    secret: "cacerts",
    material: { ...issued, chainPems: [], rootPem: root.certPem },
    problem,
    serving: undefined,
    bundles,
    nowMs: host.clock.now(),
  });
}

test("certificates with time left are no problem", async () => {
  const facts = await factsOf({ root: 400, intermediate: 100 });
  expect(facts.problems).toEqual([]);
  expect(facts.certificates.map(({ role, daysLeft }) => [role, daysLeft])).toEqual([
    ["signing", 99],
    ["root", 399],
  ]);
  expect(facts.bundles).toEqual({ "cluster.local": [facts.certificates[1]?.fingerprint] });
  expect(JSON.stringify(facts)).not.toContain("PRIVATE");
});

test("an intermediate and a root that expire soon are named, each with its way out", async () => {
  const { problems } = await factsOf({ root: 60, intermediate: 5 });
  expect(problems).toHaveLength(2);
  expect(problems[0]).toMatch(/signing certificate "O=Tombolo, CN=cluster1" .*cacerts expires at .*, in 4 days; issue/);
  expect(problems[1]).toMatch(/root certificate "O=Tombolo, CN=the root" .*in 59 days; add a new root/);
});

test("an expired certificate and a Secret that is not in use are said", async () => {
  const { problems } = await factsOf({ root: 400, intermediate: -1 }, "Secret istio-system/cacerts is broken.");
  expect(problems[0]).toBe("Secret istio-system/cacerts is broken.");
  expect(problems[1]).toMatch(/expired at/);
});
