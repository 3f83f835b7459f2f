/** What a mesh remembers grows by the same for each further service, and a change moves as few rows in a large as in a small. */
import { expect, test } from "vitest";
import { type Mesh, wireMesh } from "../../src/core/mesh/mesh.ts";
import { fill, live, liveService, settings, writeBack } from "../bench/world.ts";

/** Small enough for all services to share one namespace of the bench. */
const sizes = [10, 20, 30] as const;

function meshOf(services: number): Mesh {
  const mesh = wireMesh(settings);
  fill(mesh, services);
  mesh.graph.commit();
  writeBack(mesh);
  mesh.graph.commit();
  return mesh;
}

const remembered = ({ graph }: Mesh): number =>
  graph.collections.reduce((sum, { rows, reads }) => sum + rows.size + reads, 0);

/** Rows that move, as `<collection>[<key>]`, when the live service selects another pod. */
function movedBy(mesh: Mesh): readonly string[] {
  const moved: string[] = [];
  for (const table of mesh.graph.collections) {
    mesh.graph.watch(table, (changes) => moved.push(...changes.map(({ key }) => `${table.name}[${key}]`)));
  }
  mesh.sources.services.set(`${live.namespace}/${live.service}`, liveService("b"));
  mesh.graph.commit();
  return moved;
}

test("each further service adds the same, within a bound", () => {
  const [small, middle, large] = sizes.map((size) => remembered(meshOf(size)));
  if (small === undefined || middle === undefined || large === undefined) throw new Error("three sizes were built");
  expect(large - middle).toBe(middle - small);
  // With its two pods, two peers' exports and all that is generated: a collection or a read more for each shows here.
  expect((middle - small) / 10).toBeLessThan(100);
});

test("a change of one service moves the same few rows in every size", () => {
  const [small, , large] = sizes.map((size) => movedBy(meshOf(size)));
  expect(large).toEqual(small);
  expect(large?.length).toBeLessThan(20);
});
