/** Image names and the programs they lead to: built in, and the user's own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ImageProblem, Images, listImages, loadImage, recipeFor, repositoryOf, unknownImageText } from "./catalogue.ts";

const programs = { node: "/usr/bin/node", dist: "/opt/t/dist", envoy: "/opt/t/envoy" };
const argvOf = (image: string, user = [] as { image: string; argv: string[] }[]) =>
  recipeFor(image, user, programs)?.entrypoint;

describe("image names", () => {
  it("are matched without registry, tag and digest", () => {
    expect(repositoryOf("registry.example/library/alpine:3.20")).toBe("alpine");
    expect(repositoryOf("localhost:5000/team/app:1")).toBe("team/app");
    expect(repositoryOf("mccutchen/go-httpbin@sha256:abc")).toBe("mccutchen/go-httpbin");
    expect(repositoryOf("registry.example:5000/pause:3.10")).toBe("pause");
    expect(repositoryOf("team/app")).toBe("team/app");
  });

  it("lead to programs of this machine", () => {
    expect(argvOf("tombolo/tombolod:0.1.0")).toEqual(["/usr/bin/node", "/opt/t/dist/tombolod.js"]);
    expect(argvOf("registry.example/mccutchen/go-httpbin:v2")).toEqual(["/usr/bin/node", "/opt/t/dist/httpbin.js"]);
    expect(argvOf("curlimages/curl")).toEqual(["curl"]);
    expect(argvOf("envoyproxy/envoy:v1.40.0")).toEqual(["/opt/t/envoy"]);
  });

  it("can be given another program by the user, a whole name before a repository", () => {
    const user = [
      { image: "team/app", argv: ["any"] },
      { image: "team/app:2", argv: ["two"] },
      { image: "curlimages/curl", argv: ["mine"] },
    ];
    expect(argvOf("team/app:1", user)).toEqual(["any"]);
    expect(argvOf("team/app:2", user)).toEqual(["two"]);
    expect(argvOf("registry.example/curlimages/curl:8", user)).toEqual(["mine"]);
  });

  it("that nobody knows are told from the rest, with the command that maps them", () => {
    expect(argvOf("team/app")).toBeUndefined();
    expect(argvOf("evil/alpine")).toBeUndefined();
    expect(unknownImageText("team/app:1")).toContain("tombolo sandbox load team/app:1 -- ");
  });
});

describe("mappings of the user", () => {
  const directory = mkdtempSync(join(tmpdir(), "tombolo-images-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("hold at once, replace their like, and come first in the list", async () => {
    const images = new Images(directory, programs);
    await expect(images.resolve("team/app:1")).rejects.toThrow(ImageProblem);
    await loadImage(directory, "team/app:1", ["old"]);
    await loadImage(directory, "team/app:1", ["new", "--flag"]);
    expect((await images.resolve("team/app:1")).entrypoint).toEqual(["new", "--flag"]);
    const listed = await listImages(directory);
    expect(listed[0]).toEqual({ image: "team/app:1", says: "new --flag", isOwn: true });
    expect(listed.filter(({ isOwn }) => isOwn)).toHaveLength(1);
  });

  it("in a file that somebody spoiled are a sentence that names the file", async () => {
    writeFileSync(join(directory, "images.json"), "{");
    await expect(listImages(directory)).rejects.toThrow(/images\.json is not a list/);
  });
});
