// Turns src/core/proto/*.proto into JavaScript with types under src/core/proto/gen (not .ts: generated enums cannot be
// erased). Run `node scripts/generate-proto.mjs` after a change of a .proto file and commit what it writes; `--check`
// writes nothing and fails when gen/ is not current. The generator weighs more than everything else we depend on, so npm
// brings it when it is needed and not before.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = join(root, "src/core/proto");
const tools = ["--package=@bufbuild/buf@1.75.0", "--package=@bufbuild/protoc-gen-es@2.10.2"];

function generate(out) {
  const template = {
    version: "v2",
    clean: true,
    plugins: [{ local: "protoc-gen-es", out, opt: ["target=js+dts", "import_extension=js"] }],
  };
  const generator = ["buf", "generate", "--template", JSON.stringify(template), sources];
  execFileSync("npm", ["exec", "--yes", ...tools, "--", ...generator], { stdio: "inherit", cwd: root });
}

const contents = (folder) =>
  JSON.stringify(
    readdirSync(folder)
      .toSorted()
      .map((file) => [file, readFileSync(join(folder, file), "utf8")]),
  );

const checkedIn = join(sources, "gen");
if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "tombolo-proto-"));
  try {
    generate(fresh);
    if (contents(fresh) !== contents(checkedIn)) {
      console.error("src/core/proto/gen is not current: run `node scripts/generate-proto.mjs` and commit the result.");
      process.exitCode = 1;
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
} else {
  generate(checkedIn);
}
