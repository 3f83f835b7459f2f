/** A client made of client-go alone (`client-go/main.go`), built in a temporary folder; without Go this fails, and says so. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { run } from "../field/kit/program.ts";
import { ServerProcess } from "./kit/server-process.ts";

const buildMsMax = 900_000;
const folder = mkdtempSync(join(tmpdir(), "tombolo-client-go-"));
const server = await ServerProcess.start();
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The program, built; `TOMBOLO_CLIENT_GO` names one that is built already. */
async function program(): Promise<string> {
  const built = process.env["TOMBOLO_CLIENT_GO"];
  if (built !== undefined) return built;
  cpSync(join(import.meta.dirname, "client-go"), folder, { recursive: true });
  const target = join(folder, "client-go-test");
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" };
  const { code, stderr } = await run("go", ["build", "-p", "2", "-o", target, "."], {
    cwd: folder,
    env,
    msMax: buildMsMax,
  });
  if (code !== 0) {
    throw new Error(
      `The client-go program could not be built, so nothing is known about client-go. It needs Go 1.24 or newer and the ` +
        `modules of go.mod; install Go, or run the other parts by their names.\n${stderr}`,
    );
  }
  return target;
}

it("is served like by a real API server, through three crashes", async () => {
  const child = spawn(await program(), [], {
    env: { ...process.env, KUBECONFIG: server.kubeconfig, HTTPS_PROXY: "" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  let errors = "";
  let crashes = 0;
  child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
  child.stdout.on("data", (text: Buffer) => {
    said += text.toString();
    // A stage of that name ends with the word too.
    if (!/^crash$/m.test(text.toString())) return;
    crashes += 1;
    void server
      .kill()
      .then(() => server.restart())
      .then(() => child.stdin.write("go on\n"));
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  console.log(said);
  expect({ code, failed: /failed:.*/.exec(said)?.[0], errors: code === 0 ? "" : errors }).toEqual({
    code: 0,
    failed: undefined,
    errors: "",
  });
  expect(said.match(/^ok: /gm)).toHaveLength(5);
  expect(crashes).toBe(3);
}, 1_200_000);
