/** Answers to valid and invalid objects of every kind that is stored, against what a real kube-apiserver said. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "reflect-metadata";
import type { ApiServer } from "../../../src/apps/apiserver/server.ts";
import { startApiServer } from "../../../src/apps/apiserver/server.ts";
import { makeCertificates } from "../../../src/apps/sandbox/certificates.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { ask, prepare, type Server } from "./ask.ts";
import type { Answer } from "./case.ts";
import { differences } from "./differences.ts";
import { otherCases } from "./other-cases.ts";
import { workloadCases } from "./workload-cases.ts";

const all = { ...workloadCases, ...otherCases };
const absent = () => Promise.reject(new Error("There are no pods here."));
let server: ApiServer;
let target: Server;

beforeAll(async () => {
  const host = systemHost("warn");
  const { certPem, keyPem, caPem } = await makeCertificates(host, "golden", "127.0.0.1");
  const token = host.random.uuid();
  server = await startApiServer(host, {
    name: "golden",
    listen: [{ address: "127.0.0.1", port: 0 }],
    tls: { cert: certPem, key: keyPem, ca: caPem },
    adminToken: token,
    serviceCidr: "10.96.0.0/16",
    nodeStreams: { exec: absent, attach: absent, portForward: absent, logs: absent },
  });
  target = { url: server.url, token, ca: caPem };
  await prepare(target);
});

afterAll(() => server.close());

const recorded = (kind: string): Readonly<Record<string, Answer>> => {
  const text = readFileSync(join(import.meta.dirname, "answers", `${kind}.json`), "utf8");
  // `record.ts` wrote the file.
  return (JSON.parse(text) as { answers: Record<string, Answer> }).answers;
};

it("covers every kind that is stored, with something accepted and something refused", () => {
  const stored = server.registry.all().filter((kind) => kind.verbs.includes("get"));
  expect(Object.keys(all).sort()).toEqual(stored.map(({ type }) => type.kind).sort());
  for (const kind of Object.keys(all)) {
    const codes = Object.values(recorded(kind)).map(({ code }) => code);
    expect([codes.some((code) => code < 300), codes.some((code) => code >= 400)], kind).toEqual([true, true]);
  }
});

for (const [kind, cases] of Object.entries(all)) {
  describe(kind, () => {
    const answers = recorded(kind);
    for (const one of cases) {
      const difference = differences[`${kind}: ${one.name}`];
      const title = difference === undefined ? one.name : `${one.name} (differs: ${difference})`;
      it(title, async () => {
        const answer = await ask(target, one);
        const expected = answers[one.name];
        if (difference === undefined) return expect(answer).toEqual(expected);
        // A difference that is gone leaves the list.
        expect(answer).not.toEqual(expected);
        if (one.name !== "a node port out of range") expect(answer.code).toBe(expected?.code);
      });
    }
  });
}
