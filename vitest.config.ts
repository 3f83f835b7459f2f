import { defineConfig } from "vitest/config";

// fast: no root, no real programs. field: root, network namespaces, real Envoy and kubectl; one file at a time.
// conformance: the full sizes, for `npm run conformance`.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: [
            "src/**/*.test.ts",
            "test/{golden,sim,fuzz}/**/*.test.ts",
            "test/*.test.ts",
            "test/conformance/golden/*.test.ts",
          ],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "field",
          include: ["test/field/**/*.test.ts", "test/transcripts/**/*.test.ts"],
          fileParallelism: false,
          globalSetup: ["test/field/kit/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "conformance",
          include: ["test/conformance/*.test.ts"],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
