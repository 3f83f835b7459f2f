/** What the CA signs, judged by Node's own certificate rules, and what it says about a Secret it cannot use. */
import { X509Certificate, generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { systemHost } from "../host/host.ts";
import { CertificateAuthority } from "./ca.ts";
import { checkCaSecret, secretTexts } from "./ca-secret.ts";
import { makeKeyAndCsr, readCsr } from "./csr.ts";
import { mintIntermediate, mintRoot, pluggedInSecret, selfSignedSecret, type MintedCa } from "./mint.ts";
import { TrustBundles } from "./trust.ts";

const host = systemHost("error");
const dayMs = 86_400_000;
const alice = "spiffe://cluster.local/ns/shop/sa/alice";
let root: MintedCa;
let intermediate: MintedCa;
let texts: Record<string, string>;

beforeAll(async () => {
  root = await mintRoot(host, { name: "root" });
  intermediate = await mintIntermediate(host, root, { name: "cluster1" });
  texts = pluggedInSecret(root, intermediate);
});

async function authority(secret: Record<string, string>): Promise<CertificateAuthority> {
  const checked = await checkCaSecret("cacerts", secret, host.clock.now());
  if (!checked.ok) throw new Error(checked.problem);
  return CertificateAuthority.load(host, checked.material);
}

describe("signing", () => {
  it("gives the caller's identity and no name that the request asked for", async () => {
    const ca = await authority(texts);
    const { csrPem } = await makeKeyAndCsr("spiffe://cluster.local/ns/kube-system/sa/admin");
    const signed = await ca.sign({ csrPem, identity: alice });
    if (!signed.ok) throw new Error(signed.problem);
    const [leaf, issuer] = signed.chainPems.map((pem) => new X509Certificate(pem));
    const rootCert = new X509Certificate(signed.rootPem);
    expect(leaf!.subjectAltName).toBe(`URI:${alice}`);
    expect(leaf!.ca).toBe(false);
    expect(leaf!.checkIssued(issuer!) && leaf!.verify(issuer!.publicKey)).toBe(true);
    expect(issuer!.checkIssued(rootCert) && issuer!.verify(rootCert.publicKey)).toBe(true);
    expect(leaf!.verify(rootCert.publicKey)).toBe(false);
    expect(Date.parse(leaf!.validFrom)).toBeLessThan(Date.now() - 55_000);
    expect(Date.parse(leaf!.validTo) - Date.now()).toBeGreaterThan(0.99 * dayMs);
  });

  it("bounds the lifetime by 90 days and by its own", async () => {
    const ca = await authority(texts);
    const { csrPem } = await makeKeyAndCsr(alice);
    const long = await ca.sign({ csrPem, identity: alice, lifetimeMs: 1000 * dayMs });
    expect(long.ok && long.notAfterMs - host.clock.now()).toBeLessThanOrEqual(90 * dayMs);
    const short = await mintIntermediate(host, root, { name: "short", days: 0.1 });
    const ending = await authority(pluggedInSecret(root, short));
    const signed = await ending.sign({ csrPem, identity: alice });
    expect(signed.ok && signed.notAfterMs).toBe(ending.notAfterMs);
  });

  it("refuses a request that another key signed, or that is no request", async () => {
    const { csrPem } = await makeKeyAndCsr(alice);
    const der = Buffer.from(csrPem.replace(/-----[^-]+-----/g, ""), "base64");
    der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    expect(await readCsr(forged)).toHaveProperty("problem");
    for (const bad of ["", "x", root.certPem, csrPem.slice(0, 200), "A".repeat(20_000)]) {
      expect(await readCsr(bad), bad.slice(0, 20)).toHaveProperty("problem");
    }
    const ca = await authority(texts);
    expect(await ca.sign({ csrPem, identity: "spiffe://cluster.local/ns/../sa/x y" })).toMatchObject({ ok: false });
  });

  it("signs with a self-signed root without repeating it, and with keys in the layout of a TLS Secret", async () => {
    const { csrPem } = await makeKeyAndCsr(alice);
    const self = await (await authority(selfSignedSecret(root))).sign({ csrPem, identity: alice });
    expect(self.ok && self.chainPems.length).toBe(1);
    const tls = { "tls.crt": intermediate.certPem, "tls.key": intermediate.keyPem, "ca.crt": root.certPem };
    const signed = await (await authority(tls)).sign({ csrPem, identity: alice });
    expect(signed.ok && signed.chainPems.length).toBe(2);
  });
});

describe("a Secret that cannot be used", () => {
  const problemOf = async (change: Record<string, string>, nowMs = host.clock.now()) => {
    const checked = await checkCaSecret("cacerts", { ...texts, ...change }, nowMs);
    return checked.ok ? "" : checked.problem;
  };

  it("names the Secret, the key and the way out", async () => {
    const other = await mintRoot(host, { name: "other" });
    const leafKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const cases: [Record<string, string>, RegExp][] = [
      [{ "ca-key.pem": "" }, /cacerts, key ca-key\.pem: it is missing or empty; add/],
      [{ "ca-cert.pem": "rubbish" }, /key ca-cert\.pem: it is not a PEM certificate/],
      [{ "ca-key.pem": "rubbish" }, /key ca-key\.pem: it is not an unencrypted PEM private key/],
      [
        { "ca-key.pem": leafKey.export({ type: "pkcs8", format: "pem" }).toString() },
        /key ca-key\.pem: it does not belong to the certificate/,
      ],
      [
        { "root-cert.pem": other.certPem, "cert-chain.pem": "" },
        /key ca-cert\.pem: its issuer ".*root" leads to no root/,
      ],
    ];
    for (const [change, sentence] of cases) expect(await problemOf(change)).toMatch(sentence);
    expect(await problemOf({})).toBe("");
  });

  it("refuses a leaf as CA, and dates that are over or not yet", async () => {
    const ca = await authority(texts);
    const { csrPem, keyPem } = await makeKeyAndCsr(alice);
    const signed = await ca.sign({ csrPem, identity: alice });
    if (!signed.ok) throw new Error(signed.problem);
    const leaf = { "ca-cert.pem": signed.chainPems[0]!, "ca-key.pem": keyPem, "cert-chain.pem": intermediate.certPem };
    expect(await problemOf(leaf)).toMatch(/key ca-cert\.pem: .*CA:TRUE/);
    expect(await problemOf({}, host.clock.now() + 1826 * dayMs)).toMatch(/expired on/);
    expect(await problemOf({}, host.clock.now() - dayMs)).toMatch(/not valid before/);
  });

  it("accepts two roots while the root is being replaced", async () => {
    const next = await mintRoot(host, { name: "next" });
    const ca = await authority({ ...texts, "root-cert.pem": root.certPem + next.certPem });
    expect(ca.material.rootPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(secretTexts({ a: Buffer.from("b").toString("base64") })).toEqual({ a: "b" });
  });
});

describe("bundles", () => {
  it("do not let the CA of one trust domain vouch for another", async () => {
    const foreign = await mintRoot(host, { name: "foreign" });
    const bundles = new TrustBundles();
    bundles.set("cluster.local", root.certPem);
    bundles.set("foreign.example", foreign.certPem);
    expect(bundles.isVouchedFor("cluster.local", "foreign.example")).toBe(false);
    bundles.set("twin.example", root.certPem);
    expect(bundles.isVouchedFor("twin.example", "cluster.local")).toBe(true);
    expect(bundles.set("cluster.local", "rubbish")).toMatch(/the old one stays/);
    expect(bundles.rootPem("cluster.local")).toBe(root.certPem);
  });
});
