/**
 * Bodies and patches of the API, frames of its streams, and the files, secrets and words that others write: a value, or an
 * error with a sentence, and nobody's prototype changes. `FUZZ_RUNS` makes it run longer.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, afterEach, expect, test } from "vitest";
import { chained, unchained } from "../../src/apps/agent/cni/chain.ts";
import { readPodRequest } from "../../src/apps/agent/cni/request.ts";
import { strategicMerge } from "../../src/apps/apiserver/api/merge-patch.ts";
import { jsonPatched } from "../../src/apps/apiserver/api/patch.ts";
import { rootSchema } from "../../src/apps/apiserver/api/schema-walk.ts";
import { fieldPredicate } from "../../src/apps/apiserver/api/selectors.ts";
import { parseBody } from "../../src/apps/apiserver/http/body.ts";
import { builtinKinds } from "../../src/apps/apiserver/schema/builtin.ts";
import {
  FrameReader,
  controlFrame,
  dataFrame,
  frameType,
  words,
} from "../../src/apps/apiserver/streaming/spdy-frames.ts";
import { HeaderReader, decodePairs, encodePairs } from "../../src/apps/apiserver/streaming/spdy-headers.ts";
import { UsageError, parseFlags } from "../../src/apps/cli/command.ts";
import { commands } from "../../src/apps/cli/commands.ts";
import { unpacked } from "../../src/apps/control/peering/remembered-exports.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { checkCaSecret, secretTexts } from "../../src/io/identity/ca-secret.ts";
import { makeKeyAndCsr, readCsr } from "../../src/io/identity/csr.ts";
import { KubeError } from "../../src/io/kube/client.ts";
import { KubeconfigError, loadKubeconfig } from "../../src/io/kube/kubeconfig.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 300);
/** What waits for a library or a file: fewer. */
const slowRuns = Math.ceil(numRuns / 10);

const folder = mkdtempSync(join(tmpdir(), "tombolo-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

afterEach(() => {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

const pod = builtinKinds().find(({ type }) => type.kind === "Pod");
if (pod === undefined) throw new Error("There is no kind Pod.");

/** Throws whatever is no refusal of the API. */
function refusedOr<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    expect(error.message).toMatch(/\w/);
    return undefined;
  }
}

const key = fc.constantFrom(
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "polluted",
  "spec",
  "containers",
  "name",
);
const directive = fc.constantFrom(
  "$patch",
  "$retainKeys",
  "$setElementOrder/containers",
  "$deleteFromPrimitiveList/args",
);
/** A JSON text, so that `__proto__` is a key like any other. */
const { json } = fc.letrec<{ json: string; list: string; record: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom("null", "true", "0", "-1e999", '"delete"', '"replace"', '"merge"', '"a"'),
    tie("list"),
    tie("record"),
  ),
  list: fc.array(tie("json"), { maxLength: 4 }).map((items) => `[${items.join()}]`),
  record: fc
    .array(fc.tuple(fc.oneof(key, key, directive), tie("json")), { maxLength: 5 })
    .map((pairs) => `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join()}}`),
}));

const mangledText = (...samples: readonly string[]) =>
  fc
    .tuple(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 4, unit: "binary" })), { maxLength: 5 }),
    )
    .map(([sample, changes]) =>
      changes.reduce((text, [at, put]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + put.length);
      }, sample),
    );

const mangledBytes = (...samples: readonly Uint8Array[]) =>
  fc
    .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat())
    .map(([sample, changes, length]) => {
      const copy = Buffer.from(sample);
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy.subarray(0, length % 3 === 0 ? length % (copy.length + 1) : copy.length);
    });

const yaml = "a: &x [1, {b: *x}]\n<<: {__proto__: {polluted: 1}}\nc: !!binary AA==\nd: |\n  e\n";
const laughs = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghi"
  .split("")
  .map((name, at) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${"abcdefgh"[at]}`).join()}]`)
  .join("\n")}\n`;

test("bodies in JSON and YAML: a value or a refusal", () => {
  const types = ["application/json", "application/apply-patch+yaml", "application/yaml", "text/html"];
  const text = fc.oneof(json, mangledText(yaml, '{"a":{"b":[1,2,{"c":"d"}]}}', "- a\n- b: c\n"), fc.string());
  fc.assert(
    fc.property(text, fc.constantFrom(...types), (input, type) => {
      const body = refusedOr(() => parseBody(Buffer.from(input), type));
      if (typeof body?.value !== "object" || body.value === null || Array.isArray(body.value)) return;
      expect([Object.prototype, null]).toContain(Object.getPrototypeOf(body.value));
    }),
    { numRuns },
  );
});

test("bodies that grow without end when their aliases are followed are refused", () => {
  expect(() => parseBody(Buffer.from(laughs), "application/yaml")).toThrow(KubeError);
  expect(() => parseBody(Buffer.from(`${"[".repeat(1e6)}`), "application/json")).toThrow(/nested deeper/);
});

test("bodies in protobuf: a value or a refusal", () => {
  const varint = (...bytes: number[]) => bytes;
  const field = (number: number, inner: readonly number[]) => [number * 8 + 2, inner.length, ...inner];
  const text = (value: string) => [...Buffer.from(value)];
  const types = [...field(1, text("v1")), ...field(2, text("Pod"))];
  const metadata = field(1, [...field(1, text("web")), ...field(3, text("shop")), ...field(11, field(1, text("app")))]);
  const raw = [...metadata, ...field(2, field(2, field(1, text("main")))), ...varint(0x18, 1)];
  const sample = Uint8Array.from([...text("k8s"), 0, ...field(1, types), ...field(2, raw)]);
  expect(parseBody(Buffer.from(sample), "application/vnd.kubernetes.protobuf").value).toMatchObject({
    kind: "Pod",
    metadata: { name: "web", namespace: "shop" },
  });
  fc.assert(
    fc.property(mangledBytes(sample), (bytes) => {
      refusedOr(() => parseBody(bytes, "application/vnd.kubernetes.protobuf"));
    }),
    { numRuns: numRuns * 3 },
  );
});

test("strategic merge patches: an object of its own, or a refusal", () => {
  const schema = rootSchema(pod);
  fc.assert(
    fc.property(json, json, (target, patch) => {
      const before = JSON.parse(target) as unknown;
      const merged = refusedOr(() => strategicMerge(before, JSON.parse(patch), schema));
      expect(JSON.stringify(before)).toBe(JSON.stringify(JSON.parse(target)));
      if (typeof merged === "object" && merged !== null && !Array.isArray(merged)) {
        expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
      }
    }),
    { numRuns: numRuns * 3 },
  );
});

test("JSON patches: an object, or a refusal", () => {
  const live = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [{ name: "a" }] } };
  const step = fc.constantFrom(
    "",
    "spec",
    "containers",
    "0",
    "-",
    "99999999999",
    "__proto__",
    "constructor",
    "prototype",
    "~0",
    "~2",
  );
  const path = fc.array(step, { maxLength: 4 }).map((steps) => steps.map((one) => `/${one}`).join(""));
  const op = fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "_get", "x");
  const operation = fc.oneof(
    fc.record({ op, path, from: path, value: json.map((text) => JSON.parse(text) as unknown) }, { requiredKeys: [] }),
    json.map((text) => JSON.parse(text) as unknown),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 4 }), (operations) => {
      refusedOr(() => jsonPatched(pod, live, operations));
      expect(live.spec).toEqual({ containers: [{ name: "a" }] });
    }),
    { numRuns: numRuns * 3 },
  );
});

test("field selectors: a predicate or a refusal", () => {
  const piece = fc.constantFrom(
    "metadata.name",
    "spec.nodeName",
    "__proto__",
    "=",
    "==",
    "!=",
    ",",
    " ",
    "a",
    "\u0000",
    "",
  );
  const object = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const holds = refusedOr(() => fieldPredicate(pod, pieces.join("")));
      if (holds !== undefined) expect(holds(object)).toBeTypeOf("boolean");
    }),
    { numRuns },
  );
});

test("SPDY frames: frames or an Error, and what waits for its end is bounded", () => {
  const pairs = encodePairs({ streamtype: "data", port: "80", __proto__: "x" });
  const wire = Buffer.concat([
    controlFrame(frameType.synStream, 1, Buffer.concat([words(1, 0), Buffer.alloc(2), pairs])),
    dataFrame(1, Buffer.from("hello"), true),
    controlFrame(frameType.ping, 0, words(7)),
  ]);
  fc.assert(
    fc.property(mangledBytes(wire), fc.integer({ min: 1, max: 40 }), (bytes, step) => {
      const reader = new FrameReader();
      let held = 0;
      try {
        for (let at = 0; at < bytes.length; at += step) {
          for (const frame of reader.read(bytes.subarray(at, at + step))) {
            held += frame.kind === "data" ? frame.piece.length : frame.payload.length;
          }
        }
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
      expect(held).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns },
  );
  fc.assert(
    fc.property(mangledBytes(pairs), (block) => {
      try {
        const headers = decodePairs(block);
        expect([Object.prototype, null]).toContain(Object.getPrototypeOf(headers));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns },
  );
});

test("SPDY header blocks that are no zlib stream: an Error", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (bytes) => {
      const reader = new HeaderReader();
      await reader.expand(Buffer.from(bytes)).then(
        (headers) => expect(headers).toBeTypeOf("object"),
        (error: unknown) => expect(error).toBeInstanceOf(Error),
      );
      reader.close();
    }),
    { numRuns: slowRuns },
  );
});

test("certificate requests and secrets of a CA: a value or a problem", async () => {
  const { csrPem, keyPem } = await makeKeyAndCsr("spiffe://c1.local/ns/shop/sa/web");
  await fc.assert(
    fc.asyncProperty(fc.oneof(mangledText(csrPem), fc.string()), async (text) => {
      const read = await readCsr(text);
      if ("problem" in read) expect(read.problem).toMatch(/\w/);
      else expect(read.publicKey.length).toBeGreaterThan(0);
    }),
    { numRuns: slowRuns },
  );
  const name = fc.constantFrom(
    "ca-cert.pem",
    "ca-key.pem",
    "root-cert.pem",
    "cert-chain.pem",
    "tls.crt",
    "tls.key",
    "__proto__",
  );
  const value = fc.oneof(mangledText(keyPem, csrPem), fc.string()).map((text) => Buffer.from(text).toString("base64"));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, fc.oneof(value, fc.string())), async (data) => {
      const checked = await checkCaSecret("cacerts", secretTexts(data), 0);
      expect(checked.ok).toBe(false);
      if (!checked.ok) expect(checked.problem).toMatch(/\w/);
    }),
    { numRuns: slowRuns },
  );
});

test("kubeconfigs: an endpoint or a sentence", () => {
  const sample = `apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: AAAA}}]
users: [{name: u, user: {token: t, exec: {command: x, args: [1]}}}]\n`;
  const file = join(folder, "config");
  fc.assert(
    fc.property(fc.oneof(mangledText(sample, sample, yaml), json), (text) => {
      writeFileSync(file, text);
      try {
        const config = loadKubeconfig(systemHost(), { file, env: {}, home: folder });
        expect(config.contexts).toBeInstanceOf(Array);
        expect(URL.canParse(config.endpoint().server)).toBe(true);
      } catch (error) {
        if (!(error instanceof KubeconfigError)) throw error;
      }
    }),
    { numRuns },
  );
});

test("requests of the CNI plugin and network configurations: a value or a sentence", () => {
  const request = `CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u\nCNI_NETNS=/var/run/netns/a\n\n{"prevResult":{"ips":[{"address":"10.1.0.2/24"}]}}`;
  expect(readPodRequest(request)).toMatchObject({ pod: { namespace: "shop", ip: "10.1.0.2" } });
  fc.assert(
    fc.property(fc.oneof(mangledText(request), json, fc.string()), (text) => {
      const read = readPodRequest(text);
      if (typeof read === "string") expect(read).toMatch(/\w/);
      else expect(Object.values(read.pod)).not.toContain("");
    }),
    { numRuns },
  );
  const list = '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge"},{"type":"portmap"}]}';
  fc.assert(
    fc.property(
      fc.oneof(
        mangledText(list),
        json.map((inner) => `{"plugins":${inner}}`),
      ),
      (text) => {
        const made = chained(text);
        if ("problem" in made) expect(made.problem).toMatch(/\w/);
        if ("problem" in made) return;
        if (made.text === undefined) return;
        // Chained once is chained; and it comes out again without a trace of us.
        expect(chained(made.text)).toEqual({ text: undefined });
        expect(unchained(unchained(made.text) ?? "")).toBeUndefined();
      },
    ),
    { numRuns },
  );
});

test("words of the command line: flags or a sentence", () => {
  const flags = commands.flatMap((command) => Object.keys(command.flags).map((name) => `--${name}`));
  const word = fc.oneof(
    fc.constantFrom(...flags, "-", "--", "-h", "--help", "--no-help", "--__proto__=x", "=", "", "a,b"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.constantFrom(...commands), fc.array(word, { maxLength: 6 }), (command, args) => {
      try {
        const read = parseFlags(command, args);
        for (const name of Object.keys(command.flags)) expect(read.list(name)).toBeInstanceOf(Array);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
      }
    }),
    { numRuns },
  );
});

test("remembered exports: rows of the cluster, or an error of zlib", () => {
  const packed = (bytes: Uint8Array) => gzipSync(bytes).toString("base64");
  const data = fc.oneof(fc.uint8Array({ maxLength: 200 }).map(packed), fc.base64String(), fc.string());
  fc.assert(
    fc.property(data, (text) => {
      try {
        for (const row of unpacked(text, "c1")) expect(row.cluster).toBe("c1");
      } catch (error) {
        // zlib's word; who recalls the exports says which peer's they are.
        expect((error as NodeJS.ErrnoException).code).toMatch(/^Z_/);
      }
    }),
    { numRuns },
  );
});

test("remembered exports that unpack to nothing but zeros are soon given up", () => {
  expect(unpacked(gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: 1 }).toString("base64"), "c1")).toEqual([]);
});
