/** Guides, typed word for word into a real shell beside real clusters of the sandbox. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { linked, reportFailures, type Sandbox, useSandbox, type Wish } from "../field/kit/sandbox.ts";
import { repository } from "../field/kit/sandbox-life.ts";
import { parseTranscript } from "./parse.ts";
import { Session } from "./run.ts";

const bare = (...clusters: string[]): Wish => ({ flags: ["--bare", "--clusters", clusters.join(",")], clusters });

/** In this order: those that begin with bare clusters last, so that the shared sandbox is not taken down in between. */
const transcripts: readonly { readonly file: string; readonly wish: Wish }[] = [
  { file: "test/transcripts/create-segments.md", wish: linked },
  { file: "test/transcripts/multicluster-apps.md", wish: linked },
  { file: "docs/guides/check-and-explain.md", wish: linked },
  { file: "docs/guides/multicluster.md", wish: bare("cluster1", "cluster2") },
  {
    file: "test/transcripts/flat-network.md",
    wish: { flags: ["--flat", "--clusters", "cluster1,cluster2"], clusters: ["cluster1", "cluster2"] },
  },
  { file: "test/transcripts/run-a-multi-cluster-mesh.md", wish: bare("context1", "context2", "context3") },
];

describe.each(transcripts)("$file", ({ file, wish }) => {
  const transcript = parseTranscript(readFileSync(join(repository, file), "utf8"));
  let sandbox: Sandbox | undefined;
  let session: Session | undefined;
  let failedAt: number | undefined;

  beforeAll(async () => {
    sandbox = await useSandbox(wish);
    session = new Session(sandbox.env, transcript);
  }, 240_000);
  reportFailures(() => sandbox);
  afterAll(() => session?.end());

  const titled = transcript.steps.map((step) => ({ step, title: `line ${step.line}: ${step.script.split("\n")[0]}` }));
  it.each(titled)(
    "$title",
    async ({ step }) => {
      // What follows a failed step starts from another state; its failure would say nothing.
      if (failedAt !== undefined) throw new Error(`Not typed: line ${failedAt} failed before.`);
      failedAt = step.line;
      await session?.step(step);
      failedAt = undefined;
    },
    180_000,
  );
});
