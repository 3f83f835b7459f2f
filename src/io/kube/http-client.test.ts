/** The HTTP client against a real HTTPS server of its own, with a certificate authority and client certificates. */
import "reflect-metadata";
import type { IncomingMessage, ServerResponse } from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { builtin } from "../../core/api/resources.ts";
import { systemHost } from "../host/host.ts";
import type { Host } from "../host/host.ts";
import { KubeError } from "./client.ts";
import type { WatchEvent } from "./client.ts";
import type { CredentialSource, KubeEndpoint } from "./endpoint.ts";
import { fixedCredential } from "./endpoint.ts";
import { httpKubeClient } from "./http-client.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const host: Host = { ...systemHost(), log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} } };

interface Issued {
  readonly certificate: string;
  readonly key: string;
}

async function authority() {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const notAfter = new Date(Date.now() + 3_600_000);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=test root",
    keys,
    notAfter,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true)],
  });
  const issue = async (name: string, dns: string): Promise<Issued> => {
    const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const leaf = await x509.X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: root.subject,
      publicKey: pair.publicKey,
      signingKey: keys.privateKey,
      notAfter,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: dns }])],
    });
    const key = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", pair.privateKey), "PRIVATE KEY");
    return { certificate: leaf.toString("pem"), key };
  };
  return { root: root.toString("pem"), issue };
}

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
let server: https.Server;
let handle: Handler = (_, response) => response.end();
let requests: { method: string; url: string; headers: IncomingMessage["headers"]; body: string; user: string }[] = [];
let url = "";
let root = "";
let user: Issued;

beforeAll(async () => {
  const ca = await authority();
  root = ca.root;
  user = await ca.issue("someone", "someone.test");
  const own = await ca.issue("api", "api.test");
  server = https.createServer({
    cert: own.certificate,
    key: own.key,
    ca: root,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const socket = request.socket as TLSSocket;
      const name = socket.getPeerCertificate().subject?.CN;
      const { method = "", url: path = "", headers } = request;
      requests.push({ method, url: path, headers, body, user: typeof name === "string" ? name : "" });
      handle(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
});

const endpoint = (more: Partial<KubeEndpoint> = {}): KubeEndpoint => ({
  server: url,
  certificateAuthority: root,
  serverName: "api.test",
  isVerified: true,
  credentials: fixedCredential({ token: "t0" }),
  namespace: "default",
  context: "test",
  ...more,
});

const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};
const status = (code: number, reason: string, message: string) => ({ kind: "Status", code, reason, message });
const errorOf = async (promise: Promise<unknown>): Promise<KubeError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KubeError) return error;
  throw new Error(`expected a KubeError, got ${String(error)}`);
};

test("a list walks all pages and gives every item its kind", async () => {
  handle = (request, response) => {
    const from = new URL(request.url ?? "", url).searchParams.get("continue");
    const items = [{ metadata: { name: from === null ? "a" : "b", namespace: "n s" } }];
    json(response, { items, metadata: { resourceVersion: "7", continue: from === null ? "next" : "" } });
  };
  const list = await httpKubeClient(host, endpoint()).list(builtin.configMaps, {
    namespace: "ns",
    labelSelector: "a=b",
  });
  expect(list.items.map(({ kind, apiVersion, metadata }) => [apiVersion, kind, metadata.name])).toEqual([
    ["v1", "ConfigMap", "a"],
    ["v1", "ConfigMap", "b"],
  ]);
  expect(list.resourceVersion).toBe("7");
  expect(requests[0]?.url).toContain("/api/v1/namespaces/ns/configmaps?labelSelector=a%3Db");
  expect(requests[0]?.headers.authorization).toBe("Bearer t0");
});

test("pages that expire are replaced by one whole list", async () => {
  handle = (request, response) => {
    const query = new URL(request.url ?? "", url).searchParams;
    if (query.get("limit") === null) return json(response, { items: [], metadata: { resourceVersion: "9" } });
    if (query.get("continue") !== null) return json(response, status(410, "Expired", "gone"), 410);
    return json(response, { items: [], metadata: { resourceVersion: "8", continue: "next" } });
  };
  expect((await httpKubeClient(host, endpoint()).list(builtin.pods)).resourceVersion).toBe("9");
});

test("a watch yields events split over chunks, and 410 inside it is an Expired error", async () => {
  handle = (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const lines = [
      { type: "ADDED", object: { metadata: { name: "a", resourceVersion: "5" } } },
      { type: "BOOKMARK", object: { metadata: { resourceVersion: "6" } } },
      { type: "ERROR", object: status(410, "Gone", "too old") },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    response.write(text.slice(0, 25));
    setImmediate(() => {
      response.write(text.slice(25, 100));
      setImmediate(() => response.end(text.slice(100)));
    });
  };
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    const client = httpKubeClient(host, endpoint());
    for await (const event of client.watch(builtin.pods, { resourceVersion: "4" })) {
      seen.push(`${event.type} ${event.object.metadata.resourceVersion}`);
    }
  };
  expect((await errorOf(read())).reason).toBe("Expired");
  expect(seen).toEqual(["ADDED 5", "BOOKMARK 6"]);
  expect(requests[0]?.url).toMatch(/resourceVersion=4/);
});

test("aborting ends an open watch with the signal's reason, and the server sees the connection go", async () => {
  const gone = new Promise<void>((resolve) => {
    handle = (_, response) => {
      response.write(`${JSON.stringify({ type: "ADDED", object: { metadata: { name: "a" } } })}\n`);
      response.on("close", resolve);
    };
  });
  const stop = new AbortController();
  const read = async (): Promise<void> => {
    const client = httpKubeClient(host, endpoint());
    const options = { resourceVersion: "1", signal: stop.signal };
    for await (const event of client.watch(builtin.pods, options)) {
      const { type }: WatchEvent<unknown> = event;
      if (type === "ADDED") stop.abort(new Error("enough"));
    }
  };
  await expect(read()).rejects.toThrow("enough");
  await gone;
});

test("aborting ends a request that is not answered", async () => {
  const stop = new AbortController();
  handle = () => stop.abort(new Error("enough"));
  const asked = httpKubeClient(host, endpoint()).get(
    builtin.pods,
    { name: "p", namespace: "n" },
    { signal: stop.signal },
  );
  await expect(asked).rejects.toThrow("enough");
});

test("a Status becomes an error with its reason, message and code", async () => {
  handle = (_, response) => json(response, status(409, "Conflict", "object has been modified"), 409);
  const made = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "n" } };
  const error = await errorOf(httpKubeClient(host, endpoint()).update(builtin.configMaps, made));
  expect([error.code, error.reason, error.message]).toEqual([409, "Conflict", "object has been modified"]);
});

test("an answer that is not from an API server names the server and the status", async () => {
  handle = (_, response) => response.writeHead(502).end("bad gateway");
  const error = await errorOf(httpKubeClient(host, endpoint()).get(builtin.nodes, { name: "n" }));
  expect(error.message).toBe(`${url} answered GET /api/v1/nodes/n with 502: bad gateway`);
});

test("a read is repeated when the connection breaks, a write is not", async () => {
  let broken = 0;
  handle = (request, response) => {
    if (broken < 2) {
      broken += 1;
      request.socket.destroy();
    } else json(response, { metadata: { name: "p" } });
  };
  const client = httpKubeClient(host, endpoint());
  const found = await client.get(builtin.pods, { name: "p", namespace: "n" });
  expect(found.metadata.name).toBe("p");
  expect(requests).toHaveLength(3);
  requests = [];
  broken = 0;
  const made = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "n" } };
  expect((await errorOf(client.create(builtin.configMaps, made))).reason).toBe("ConnectionReset");
  expect(requests).toHaveLength(1);
});

test("patches carry their type, manager and force; deletes their preconditions", async () => {
  handle = (_, response) => json(response, {});
  const client = httpKubeClient(host, endpoint());
  const ref = { name: "web", namespace: "n" };
  const body = { spec: {} };
  await client.patch(builtin.deployments, ref, { type: "apply", body, force: true }, { fieldManager: "tombolo" });
  await client.patch(builtin.deployments, ref, { type: "merge", body }, { subresource: "status", dryRun: true });
  await client.delete(builtin.deployments, ref, { uid: "u", gracePeriodSeconds: 0 });
  expect(requests.map(({ method, url: path }) => `${method} ${path}`)).toEqual([
    "PATCH /apis/apps/v1/namespaces/n/deployments/web?fieldManager=tombolo&force=true",
    "PATCH /apis/apps/v1/namespaces/n/deployments/web/status?dryRun=All",
    "DELETE /apis/apps/v1/namespaces/n/deployments/web",
  ]);
  expect(requests.map(({ headers }) => headers["content-type"])).toEqual([
    "application/apply-patch+yaml",
    "application/merge-patch+json",
    "application/json",
  ]);
  expect(JSON.parse(requests[2]?.body ?? "")).toMatchObject({ gracePeriodSeconds: 0, preconditions: { uid: "u" } });
});

test("a refused token is fetched anew, once", async () => {
  handle = (request, response) => {
    if (request.headers.authorization === "Bearer t1") json(response, { metadata: { name: "n" } });
    else json(response, status(401, "Unauthorized", "Unauthorized"), 401);
  };
  let serial = 0;
  const credentials: CredentialSource = {
    current: async () => ({ token: `t${serial}` }),
    refused: () => void (serial += 1),
  };
  await httpKubeClient(host, endpoint({ credentials })).get(builtin.nodes, { name: "n" });
  serial = 5;
  const client = httpKubeClient(host, endpoint({ credentials }));
  const error = await errorOf(client.get(builtin.nodes, { name: "n" }));
  expect(error.code).toBe(401);
  expect(error.message).toContain("context test");
  expect(requests).toHaveLength(4);
});

test("client certificates reach the server; a foreign certificate authority is refused with a way out", async () => {
  handle = (_, response) => json(response, { metadata: { name: "n" } });
  const credentials = fixedCredential(user);
  await httpKubeClient(host, endpoint({ credentials })).get(builtin.nodes, { name: "n" });
  expect(requests[0]?.user).toBe("someone");
  const other = (await authority()).root;
  const error = await errorOf(
    httpKubeClient(host, endpoint({ certificateAuthority: other })).get(builtin.nodes, { name: "n" }),
  );
  expect(error.message).toMatch(/not signed by the certificate authority of the kubeconfig/);
  const wrongName = httpKubeClient(host, endpoint({ serverName: undefined })).get(builtin.nodes, { name: "n" });
  expect((await errorOf(wrongName)).message).toMatch(/tls-server-name/);
  const insecure = endpoint({ serverName: undefined, certificateAuthority: undefined, isVerified: false });
  await httpKubeClient(host, insecure).get(builtin.nodes, { name: "n" });
});

test("a server that is not there is named in the error", async () => {
  const error = await errorOf(
    httpKubeClient(host, endpoint({ server: "https://127.0.0.1:1" })).get(builtin.nodes, { name: "n" }),
  );
  expect(error.message).toMatch(/https:\/\/127.0.0.1:1 \(context test\) cannot be reached: nothing listens there/);
});
