/**
 * Envoy's own API schema, read out of the Envoy binary (scripts/extract-envoy-schema.mjs), and with it the encoding of
 * JSON-shaped resources to bytes. Only the files that the encoded resources need are ever turned into descriptors.
 */
import { readFileSync } from "node:fs";
import { create, createFileRegistry, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import type { FileRegistry, JsonValue } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { DescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { errorText } from "../../core/api/error-text.ts";

/** Encoded filter chains that are remembered. */
const chainsMax = 2_048;

const typePrefix = "type.googleapis.com/";

export class EnvoySchema {
  readonly #filesByName: ReadonlyMap<string, FileDescriptorProto>;
  readonly #fileNamesByMessage: ReadonlyMap<string, string>;
  readonly #needed = new Set<string>();
  readonly #chainsByText = new Map<string, Uint8Array>();
  #registry: FileRegistry = createFileRegistry(create(FileDescriptorSetSchema));

  constructor(descriptorSet: Uint8Array) {
    const { file: files } = fromBinary(FileDescriptorSetSchema, descriptorSet);
    this.#filesByName = new Map(files.map((file) => [file.name, file]));
    const fileNamesByMessage = new Map<string, string>();
    for (const file of files) {
      for (const name of messageNames(file.package, file.messageType)) fileNamesByMessage.set(name, file.name);
    }
    this.#fileNamesByMessage = fileNamesByMessage;
  }

  /** Reads the file that scripts/extract-envoy-schema.mjs wrote. */
  static load(path: string): EnvoySchema {
    return new EnvoySchema(readFileSync(path));
  }

  /** Throws a sentence that names the resource and what is wrong in it. */
  encodeResource(typeUrl: string, json: object): Uint8Array {
    const typeName = typeUrl.slice(typePrefix.length);
    const what = () => `Envoy resource ${typeName.split(".").at(-1)} "${nameIn(json)}"`;
    try {
      this.#need([typeName, ...typesIn(json)]);
      const message = this.#registry.getMessage(typeName);
      if (!message) throw new Error(`type ${typeName} is not in this Envoy's schema`);
      const encode = (part: object): Uint8Array =>
        // A JSON-shaped object is what fromJson parses and checks field by field.
        toBinary(message, fromJson(message, part as JsonValue, { registry: this.#registry }));
      if (!("filter_chains" in json) || !Array.isArray(json.filter_chains)) return encode(json);
      const { filter_chains: chains, ...rest } = json;
      // On the wire a repeated field is its items one after the other, so that each may be encoded by itself.
      return Buffer.concat([encode(rest), ...chains.map((chain: unknown) => this.#chain(chain, encode))]);
    } catch (cause) {
      throw new Error(`${what()} does not fit the schema: ${sentence(cause)}`, { cause });
    }
  }

  /** Listeners have many filter chains, of which a change concerns few. */
  #chain(chain: unknown, encode: (part: object) => Uint8Array): Uint8Array {
    const text = JSON.stringify(chain);
    const bytes = this.#chainsByText.get(text) ?? encode({ filter_chains: [chain] });
    // The newest come last; what was not used for longest goes first.
    this.#chainsByText.delete(text);
    this.#chainsByText.set(text, bytes);
    const [oldest] = this.#chainsByText.keys();
    if (this.#chainsByText.size > chainsMax && oldest !== undefined) this.#chainsByText.delete(oldest);
    return bytes;
  }

  /** A type that was not seen before grows the registry; after the first resources this finds nothing to do. */
  #need(types: readonly string[]): void {
    const before = this.#needed.size;
    for (const type of types) {
      const fileName = this.#fileNamesByMessage.get(type);
      if (fileName === undefined) throw new Error(`type ${type} is not in this Envoy's schema`);
      this.#needFile(fileName);
    }
    if (this.#needed.size === before) return;
    // Sets keep insertion order, and files were added imports first.
    const file = [...this.#needed].flatMap((name) => this.#filesByName.get(name) ?? []);
    this.#registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  }

  #needFile(name: string): void {
    if (this.#needed.has(name)) return;
    for (const dependency of this.#filesByName.get(name)?.dependency ?? []) this.#needFile(dependency);
    this.#needed.add(name);
  }
}

function* messageNames(scope: string, messages: readonly DescriptorProto[]): Iterable<string> {
  for (const message of messages) {
    const name = `${scope}.${message.name}`;
    yield name;
    yield* messageNames(name, message.nestedType);
  }
}

/** Every `@type` inside, without its prefix. */
function typesIn(json: unknown, found: string[] = []): string[] {
  if (Array.isArray(json)) {
    for (const item of json) typesIn(item, found);
  } else if (typeof json === "object" && json !== null) {
    for (const [key, value] of Object.entries(json)) {
      if (key === "@type" && typeof value === "string") found.push(value.slice(typePrefix.length));
      else typesIn(value, found);
    }
  }
  return found;
}

function nameIn(json: object): string {
  const name = "name" in json ? json.name : "cluster_name" in json ? json.cluster_name : undefined;
  return typeof name === "string" ? name : "";
}

const sentence = (cause: unknown): string => {
  const text = errorText(cause);
  return text.endsWith(".") ? text : `${text}.`;
};
