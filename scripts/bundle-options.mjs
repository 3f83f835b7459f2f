// How esbuild makes a program of ours: one ES module for Node 20. Native packages stay outside.
import { root } from "./cache.mjs";

export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // ES modules first: dynamic imports of a CommonJS build would have no named exports.
  mainFields: ["module", "main"],
  sourcemap: "linked",
  external: ["koffi", "@lydell/node-pty"],
  // CommonJS packages inside an ES module bundle still ask for `require`.
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
};
