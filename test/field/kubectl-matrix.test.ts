/** The kubectl matrix with the newest kubectl of this machine, in the sandbox that the field tests share. */
import { basename } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { runMatrix, steps } from "../conformance/matrix.ts";
import { kubectlBinaries } from "./kit/api-server.ts";
import { linked, type Sandbox, reportFailures, useSandbox } from "./kit/sandbox.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await useSandbox(linked);
}, 240_000);
reportFailures(() => sandbox);

it("has at least 43 steps", () => expect(steps("x").length).toBeGreaterThanOrEqual(43));

const newest = kubectlBinaries().at(-1) ?? "kubectl";
it(`prints what people expect, by ${basename(newest)}`, async () => {
  const target = { kubectl: newest, env: sandbox.env, context: "cluster1", namespace: "matrix" };
  expect(await runMatrix(target)).toBeGreaterThanOrEqual(steps("x").length);
}, 300_000);
