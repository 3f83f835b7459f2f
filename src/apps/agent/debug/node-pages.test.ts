/** What a node says of the certificates that it holds. */
import { expect, it } from "vitest";
import { virtualHost } from "../../../io/host/virtual-host.ts";
import { mintRoot } from "../../../io/identity/mint.ts";
import type { WorkloadCertificate } from "../../../io/identity/certificate.ts";
import { certificatesPage } from "./node-pages.ts";

it("a certificate is valid from its first moment to its last, one that is missing is not, and no key is shown", async () => {
  const { certPem } = await mintRoot(virtualHost(), { name: "root" });
  const held: WorkloadCertificate = {
    identity: "spiffe://x",
    chainPem: certPem,
    keyPem: "SECRET",
    rootPem: certPem,
    notBeforeMs: 1_000,
    notAfterMs: 2_000,
  };
  const store = {
    identities: () => ["spiffe://x", "spiffe://y"],
    get: (identity: string) => (identity === held.identity ? held : undefined),
    problem: (identity: string) => (identity === held.identity ? undefined : "away"),
  };
  const valid = (nowMs: number) => (certificatesPage(store, nowMs)[0] as { isValid: boolean }).isValid;
  expect([999, 1_000, 1_999, 2_000].map(valid)).toEqual([false, true, true, false]);
  expect(certificatesPage(store, 1_500)[1]).toEqual({ identity: "spiffe://y", isValid: false, problem: "away" });
  expect(JSON.stringify(certificatesPage(store, 1_500))).not.toContain("SECRET");
});
