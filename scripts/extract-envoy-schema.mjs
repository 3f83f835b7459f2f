// Reads the protobuf file descriptors that an Envoy binary carries into `.cache/envoy.fds` (a FileDescriptorSet), so that
// our schema and the proxy can never differ. Does nothing when the file was made from a binary of this size and time.
// Usage: node scripts/extract-envoy-schema.mjs [ENVOY_BINARY] [OUTPUT]
import { mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Where Envoy is: $TOMBOLO_ENVOY, else `.cache/bin/envoy`, else on PATH. */
export function findEnvoy() {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "envoy"));
  const candidates = [process.env.TOMBOLO_ENVOY, join(root, ".cache/bin/envoy"), ...onPath];
  for (const candidate of candidates) {
    if (!candidate) continue;
    try {
      return realpathSync(candidate);
    } catch {
      // Not there: the next candidate.
    }
  }
  throw new Error("Envoy was not found: set TOMBOLO_ENVOY to the path of an Envoy 1.40 binary.");
}

/** Writes `output` if it is missing or from another binary; returns its path. */
export function extractEnvoySchema(binary = findEnvoy(), output = join(root, ".cache/envoy.fds")) {
  const { size, mtimeMs } = statSync(binary);
  const stamp = `${size} ${Math.trunc(mtimeMs)}`;
  if (readIfThere(`${output}.stamp`) === stamp && readIfThere(output) !== undefined) return output;
  const files = descriptorsIn(readFileSync(binary));
  const missing = files.flatMap((file) => file.dependency).filter((name) => !files.some((file) => file.name === name));
  if (files.length === 0 || missing.length > 0) {
    throw new Error(`${binary} does not carry a whole Envoy schema (${files.length} files, missing: ${missing[0]}).`);
  }
  mkdirSync(dirname(output), { recursive: true });
  // Renamed into place, so that a reader at the same time sees the old file or the new one.
  const draft = `${output}.${process.pid}`;
  writeFileSync(draft, toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })));
  renameSync(draft, output);
  writeFileSync(`${output}.stamp`, stamp);
  return output;
}

function readIfThere(path) {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

// A FileDescriptorProto begins with field 1, its name: 0x0a <length> "….proto". Field 2 (the package, 0x12) follows.
const nameEnd = Buffer.from(".proto\x12");
const nameLengthMax = 199;
const fieldNumbers = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14]);

/** Every descriptor found, imports before importers. */
function descriptorsIn(binary) {
  const filesByName = new Map();
  for (let at = binary.indexOf(nameEnd); at !== -1; at = binary.indexOf(nameEnd, at + 1)) {
    const start = startOfFile(binary, at + nameEnd.length - 1);
    if (start === undefined) continue;
    const file = parse(binary.subarray(start, endOfFile(binary, start)));
    if (!file) continue;
    const known = filesByName.get(file.name);
    if (!known || known.messageType.length < file.messageType.length) filesByName.set(file.name, file);
  }
  return importsFirst(filesByName);
}

function startOfFile(binary, end) {
  for (let length = ".proto".length + 1; length <= nameLengthMax; length++) {
    const start = end - length - 2;
    if (binary[start] !== 0x0a || binary[start + 1] !== length) continue;
    if (/^[\w/.-]+\.proto$/.test(binary.toString("latin1", start + 2, end))) return start;
  }
  return undefined;
}

/** Walks field by field until something cannot be one of a FileDescriptorProto. */
function endOfFile(binary, start) {
  let at = start;
  for (;;) {
    const [tag, afterTag] = varint(binary, at);
    const field = tag >>> 3;
    const wire = tag & 7;
    if (!fieldNumbers.has(field) || (wire !== 0 && wire !== 2) || (at > start && field === 1)) return at;
    const [value, afterValue] = varint(binary, afterTag);
    if (wire === 2 && !(value < 4e6)) return at;
    at = wire === 2 ? afterValue + value : afterValue;
  }
}

function varint(binary, at) {
  let value = 0;
  for (let shift = 0; shift <= 35; shift += 7) {
    const byte = binary[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
  return [Number.NaN, at];
}

function parse(bytes) {
  try {
    return fromBinary(FileDescriptorProtoSchema, bytes);
  } catch {
    return undefined;
  }
}

function importsFirst(filesByName) {
  const ordered = [];
  const seen = new Set();
  const visit = (name) => {
    const file = filesByName.get(name);
    if (!file || seen.has(name)) return;
    seen.add(name);
    for (const dependency of file.dependency) visit(dependency);
    ordered.push(file);
  };
  for (const name of [...filesByName.keys()].sort((a, b) => (a < b ? -1 : 1))) visit(name);
  return ordered;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(extractEnvoySchema(process.argv[2], process.argv[3]));
}
