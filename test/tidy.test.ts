/** The house rules that no tool checks: imports point down, every file says what it is, nothing foreign slips in. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

function* filesUnder(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "gen" && entry.name !== "node_modules") yield* filesUnder(path);
    } else yield path;
  }
}

const sources = [...filesUnder("src")].filter((file) => file.endsWith(".ts"));
const programs = sources.filter((file) => !file.endsWith(".test.ts") && !file.includes("/testing/"));
const read = (file: string) => readFileSync(join(root, file), "utf8");

const importing = /^(?:import|export)\s(?:[^;"'(=]*?\sfrom\s)?["']([^"']+)["']|\bimport\(["']([^"']+)["']\)/gm;
const importsOf = (file: string): string[] =>
  [...read(file).matchAll(importing)].map(([, fixed, dynamic]) => fixed ?? dynamic ?? "");

/** `src/core/mesh/model.ts` → `core/mesh`. */
const roomOf = (file: string): string => file.split("/").slice(1, 3).join("/");

/** Rooms of core and io: what each may import beside itself. Programs may import all of core and io. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  "core/api": [],
  "core/graph": [],
  "core/mesh": ["core/api", "core/graph"],
  "core/envoy": ["core/api", "core/mesh"],
  "core/explain": ["core/api", "core/graph", "core/mesh", "core/envoy"],
  "core/proto": ["core/api", "core/mesh"],
  "io/host": [],
  "io/kube": ["core/api", "io/host"],
  "io/xds": ["core/api", "core/envoy", "core/mesh", "io/host"],
  "io/identity": ["core/api", "core/mesh", "core/proto", "io/host"],
  "io/dns": ["core/api", "core/mesh", "io/host"],
  "io/peering": ["core/api", "core/mesh", "core/proto", "io/host", "io/identity", "io/xds"],
};

/** Programs that are built on other programs. */
const programsOn: Readonly<Record<string, readonly string[]>> = {
  "apps/sandbox": ["apps/apiserver", "apps/install"],
  "apps/cli": ["apps/install", "apps/sandbox"],
};

const isAllowed = (from: string, to: string): boolean => {
  if (from === to) return true;
  if (from.startsWith("apps/")) return !to.startsWith("apps/") || (programsOn[from] ?? []).includes(to);
  return (rooms[from] ?? []).includes(to);
};

describe("the house", () => {
  it("has only rooms that have a name here", () => {
    const known = (room: string) => room in rooms || room.startsWith("apps/");
    expect([...new Set(sources.map(roomOf))].filter((room) => !known(room))).toEqual([]);
  });

  it("lets imports point down only", () => {
    const broken = programs.flatMap((file) =>
      importsOf(file)
        .filter((to) => to.startsWith("."))
        .map((to) => roomOf(posix.join(posix.dirname(file), to)))
        .filter((to) => !isAllowed(roomOf(file), to))
        .map((to) => `${file} -> ${to}`),
    );
    expect(broken).toEqual([]);
  });

  it("keeps core pure: no packages but protobuf in core/proto", () => {
    const broken = programs
      .filter((file) => file.startsWith("src/core/"))
      .flatMap((file) =>
        importsOf(file)
          .filter(
            (to) => !to.startsWith(".") && !(roomOf(file) === "core/proto" && to.startsWith("@bufbuild/protobuf")),
          )
          .map((to) => `${file} -> ${to}`),
      );
    expect(broken).toEqual([]);
  });

  it("says at the top of every file what it is", () => {
    expect(programs.filter((file) => !/^(\/\*\*|\/\/)/.test(read(file)))).toEqual([]);
  });

  it("has no default exports", () => {
    expect(programs.filter((file) => /^export default/m.test(read(file)))).toEqual([]);
  });

  it("holds no large file that is not source", () => {
    const large = [...filesUnder("src"), ...filesUnder("test"), ...filesUnder("samples")].filter(
      (file) => statSync(join(root, file)).size > 200_000,
    );
    expect(large).toEqual([]);
  });
});
