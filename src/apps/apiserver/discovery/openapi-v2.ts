/**
 * The OpenAPI v2 document: its frame without a single type. The schemas are in v3, where every kubectl that this server
 * supports looks for them; but kubectl asks for v2 before it sends a `kind: List`, and gives up when there is none (A8).
 */

/** The answer's; clients ask for it with an `@` in it, which they cannot read in an answer. */
export const openApiV2Type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const title = "Tombolo sandbox API; its types are in OpenAPI v3";
const version = "v1.34.0";

export const openApiV2Document = (): unknown => ({
  swagger: "2.0",
  info: { title, version },
  paths: {},
  definitions: {},
});

/** Field `number` of a message, as text or as a message inside. All are shorter than 128 bytes. */
const field = (number: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([number * 8 + 2, value.length]), value]);
const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));

/** The same as protobuf: swagger is field 1, info 2 (title 1, version 2), paths 8, definitions 9. */
export const openApiV2Bytes = (): Buffer =>
  Buffer.concat([
    text(1, "2.0"),
    field(2, Buffer.concat([text(1, title), text(2, version)])),
    field(8, Buffer.alloc(0)),
    field(9, Buffer.alloc(0)),
  ]);
