/** The CA over real gRPC and TLS on loopback: who gets what, and who is refused. */
import { X509Certificate } from "node:crypto";
import grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemHost, type Host } from "../host/host.ts";
import { addCaService } from "./ca-service.ts";
import { CaClient } from "./ca-client.ts";
import { checkCaSecret } from "./ca-secret.ts";
import { CertificateAuthority } from "./ca.ts";
import { makeKeyAndCsr } from "./csr.ts";
import { mintIntermediate, mintRoot, pluggedInSecret } from "./mint.ts";
import { clientCredentials, serverCredentials } from "./tls-credentials.ts";
import { TrustBundles } from "./trust.ts";

const host = systemHost("error");
const silent = { ...host, log: { ...host.log, warn: () => undefined } };
const agent = "spiffe://cluster.local/ns/istio-system/sa/tombolo-agent";
const tombolod = "spiffe://cluster.local/ns/istio-system/sa/tombolod";
const here = "spiffe://cluster.local/ns/shop/sa/here";
let server: grpc.Server;
let target: string;
let rootPem: string;
let authority: CertificateAuthority | { problem: string };
const clients: CaClient[] = [];

beforeAll(async () => {
  const root = await mintRoot(host, { name: "root" });
  const secret = pluggedInSecret(root, await mintIntermediate(host, root, { name: "c1" }));
  const checked = await checkCaSecret("cacerts", secret, host.clock.now());
  if (!checked.ok) throw new Error(checked.problem);
  const ca = await CertificateAuthority.load(host, checked.material);
  authority = ca;
  rootPem = ca.material.rootPem;
  const { csrPem, keyPem } = await makeKeyAndCsr(tombolod);
  const signed = await ca.sign({ csrPem, identity: tombolod });
  if (!signed.ok) throw new Error(signed.problem);
  const serving = {
    identity: tombolod,
    chainPem: signed.chainPems.join(""),
    keyPem,
    rootPem,
    notBeforeMs: 0,
    notAfterMs: signed.notAfterMs,
  };
  const bundles = new TrustBundles();
  bundles.set("cluster.local", rootPem);
  server = new grpc.Server();
  addCaService(server, silent, {
    authority: () => authority,
    authenticate: async (metadata) => {
      if (metadata.get("authorization")[0] !== "Bearer good") throw new Error("The token is not valid.");
      return { identity: agent, node: "node-1" };
    },
    mayImpersonate: (caller, identity) => caller.node === "node-1" && identity === here,
  });
  const credentials = serverCredentials({ current: () => serving, onChange: () => () => {} }, bundles, "cluster.local");
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  target = `127.0.0.1:${port}`;
});

afterAll(() => {
  for (const one of clients) one.close();
  server.forceShutdown();
});

function client(token = "good", identities = [tombolod], at: Host = host): CaClient {
  const made = new CaClient(at, {
    target,
    credentials: clientCredentials({ rootPem, identities }),
    token: () => token,
  });
  clients.push(made);
  return made;
}
const never = new AbortController().signal;

it("gives a node agent the certificate of a pod on its node", async () => {
  const certificate = await client().request(here, never);
  expect(new X509Certificate(certificate.chainPem).subjectAltName).toBe(`URI:${here}`);
  expect(certificate.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(certificate.rootPem).toBe(rootPem);
  expect(certificate.notAfterMs - certificate.notBeforeMs).toBe(24 * 3_600_000 + 60_000);
  expect((await client().request(agent, never)).identity).toBe(agent);
});

it("refuses to impersonate a pod of another node, a bad token and a wrong server", async () => {
  await expect(client().request("spiffe://cluster.local/ns/shop/sa/there", never)).rejects.toThrow(
    /may not impersonate .*there: no pod on node node-1/,
  );
  await expect(client().request("not an identity", never)).rejects.toThrow(/SPIFFE/);
  await expect(client("bad").request(here, never)).rejects.toThrow(/The token is not valid/);
  await expect(client("good", [agent]).request(here, never)).rejects.toThrow(/instead of/);
});

it("does not take a certificate that is over by the clock of its node, and says what to do", async () => {
  const days = 2;
  const clock = Object.create(host.clock, {
    now: { value: () => host.clock.now() + days * 86_400_000 },
  }) as Host["clock"];
  await expect(client("good", [tombolod], { ...host, clock }).request(here, never)).rejects.toThrow(
    /valid from .* but here it is .*; set the clocks/,
  );
});

it("says why when there is no usable CA", async () => {
  const usable = authority;
  authority = { problem: "Secret istio-system/cacerts, key ca-key.pem: it is missing." };
  await expect(client().request(here, never)).rejects.toThrow(/cacerts, key ca-key\.pem/);
  authority = usable;
});
