/** The kubectl matrix with every kubectl of this run, oldest first, in a bare sandbox of its own. Needs root. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kubectlBinaries } from "../field/kit/api-server.ts";
import { bringUp, environmentOf, takeDown } from "../field/kit/sandbox-life.ts";
import { runMatrix, steps } from "./matrix.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-matrix-"));

beforeAll(async () => {
  const failure = await bringUp(folder, ["--bare", "--clusters", "one"]);
  if (failure !== undefined) throw new Error(failure);
}, 240_000);

afterAll(async () => {
  await takeDown(folder);
  rmSync(folder, { recursive: true, force: true });
}, 120_000);

for (const [at, kubectl] of kubectlBinaries().entries()) {
  it(`prints what people expect, by ${kubectl}`, async () => {
    const target = { kubectl, env: environmentOf(folder), context: "one", namespace: `matrix-${at}` };
    expect(await runMatrix(target)).toBeGreaterThanOrEqual(steps("x").length);
  }, 300_000);
}
