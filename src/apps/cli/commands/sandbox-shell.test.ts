/** The environment of the sandbox's shell, and what its kubectl makes of the words that it is given. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../../io/host/processes.ts";
import { packageDirectory } from "../../sandbox/machine.ts";
import { shellEnvironment } from "./sandbox-shell.ts";

const folder = mkdtempSync(join(tmpdir(), "sandbox-shell-"));
const root = packageDirectory();
const samples = join(root, "samples");
const kubectl = join(folder, "bin", "kubectl");

beforeAll(() => {
  mkdirSync(join(folder, "bin"));
  writeFileSync(kubectl, '#!/bin/sh\nfor word do echo "[$word]"; done\nexit 7\n');
  chmodSync(kubectl, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

const environment = () => shellEnvironment({ PATH: `${join(folder, "bin")}:/usr/bin:/bin` }, root, "/k/config");

async function typed(...words: string[]): Promise<{ words: string[]; said: string; code: number }> {
  const { stdout, stderr, code } = await run("kubectl", words, { env: environment(), cwd: folder });
  return { words: stdout.trimEnd().split("\n"), said: stderr, code };
}

const raw = "https://raw.githubusercontent.com";

it("has our programs first, the sandbox's kubeconfig, and the machine's kubectl behind ours", () => {
  const env = environment();
  expect(env["PATH"]?.split(":").slice(0, 2)).toEqual([join(root, "bin", "sandbox-shell"), join(root, "bin")]);
  expect([env["KUBECONFIG"], env["TOMBOLO_KUBECTL"]]).toEqual(["/k/config", kubectl]);
});

describe("its kubectl", () => {
  it.each([
    [["-f", `${raw}/solo-io/gloo-mesh-use-cases/main/gloo-mesh/sample-apps/in-ambient.yaml`], "in-ambient.yaml", ""],
    [[`--filename=${raw}/a/b/main/client-in-ambient.yaml`], "client-in-ambient.yaml", "--filename="],
    [[`-f${raw}/istio/istio/release-1.5/samples/sleep/sleep.yaml`], "sleep/sleep.yaml", "-f"],
    [["-f", "@samples/httpbin/httpbin.yaml@"], "httpbin/httpbin.yaml", ""],
    [["-f", "samples/sleep/sleep.yaml"], "sleep/sleep.yaml", ""],
  ])("reads %s from this checkout, and says so", async (words, file, flag) => {
    const seen = await typed("apply", "--context", "a b", ...words);
    expect(seen.words.at(-1)).toBe(`[${flag}${samples}/${file}]`);
    expect(seen.words.slice(0, 3)).toEqual(["[apply]", "[--context]", "[a b]"]);
    expect(seen.said).toContain(`is read from ${samples}/${file}`);
    expect(seen.code).toBe(7);
  });

  it.each([
    [["apply", "-f", "-"]],
    [["apply", "-f", "https://example.com/in-ambient.yaml"]],
    [["exec", "deploy/x", "--", "cat", "-f", `${raw}/a/in-ambient.yaml`]],
    [["get", "pods", `${raw}/a/in-ambient.yaml`, "", "a\nb"]],
  ])("hands on %s as typed", async (words) => {
    const seen = await typed(...words);
    expect(seen.words.join("\n")).toBe(words.map((word) => `[${word}]`).join("\n"));
    expect(seen.said).toBe("");
  });

  it("says when there is no sample of that name, and leaves the rest to kubectl", async () => {
    const seen = await typed("apply", "-f", `${raw}/a/unknown.yaml`);
    expect(seen.words.at(-1)).toBe(`[${raw}/a/unknown.yaml]`);
    expect(seen.said).toContain("no sample of that name");
  });
});
