/** Types of extract-envoy-schema.mjs for those who import it (tests, build). */
export function findEnvoy(): string;
export function extractEnvoySchema(binary?: string, output?: string): string;
