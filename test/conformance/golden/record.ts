/**
 * Records the golden answers from a real kube-apiserver; `scripts/record-golden.mjs` bundles and runs it. The server is
 * named by GOLDEN_URL, GOLDEN_TOKEN and GOLDEN_CA (a file); usage: record.js FOLDER "kube-apiserver VERSION".
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, prepare, type Server } from "./ask.ts";
import type { Answer } from "./case.ts";
import { otherCases } from "./other-cases.ts";
import { workloadCases } from "./workload-cases.ts";

const wanted = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; the README beside the golden files says what it is.`);
  return value;
};

async function main(folder: string, recordedFrom: string): Promise<void> {
  const server: Server = {
    url: wanted("GOLDEN_URL"),
    token: wanted("GOLDEN_TOKEN"),
    ca: readFileSync(wanted("GOLDEN_CA"), "utf8"),
  };
  await prepare(server);
  mkdirSync(folder, { recursive: true });
  for (const [kind, cases] of Object.entries({ ...workloadCases, ...otherCases })) {
    const answers: Record<string, Answer> = {};
    for (const one of cases) answers[one.name] = await ask(server, one);
    writeFileSync(join(folder, `${kind}.json`), `${JSON.stringify({ recordedFrom, answers }, undefined, 1)}\n`);
    console.log(`${kind}: ${cases.length}`);
  }
}

main(process.argv[2] ?? "", process.argv[3] ?? "").catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
