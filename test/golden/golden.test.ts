/**
 * Plays every story here (a folder with a story.md; other rooms keep their goldens beside them) and compares what it
 * shows with its out.yaml (`vitest -u` rewrites them).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { playStory } from "./story.ts";

const folder = import.meta.dirname;
const stories = readdirSync(folder).filter((name) => existsSync(join(folder, name, "story.md")));

/** A story that needs more is two stories. */
const linesMax = 150;

for (const name of stories) {
  test(name, async () => {
    const files = readdirSync(join(folder, name)).sort();
    expect(files.filter((file) => file !== "out.yaml")).toEqual(["in.yaml", "story.md"]);
    const out = stringify(playStory(readFileSync(join(folder, name, "in.yaml"), "utf8")), {
      lineWidth: 140,
      aliasDuplicateObjects: false,
    });
    expect(out.split("\n").length).toBeLessThan(linesMax);
    await expect(out).toMatchFileSnapshot(join(folder, name, "out.yaml"));
  });
}
