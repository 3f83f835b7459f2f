/**
 * Rows as resources of a stream, encoded when asked for. Versions are remembered for as long as their rows live; bytes only
 * of the rows that were encoded last, so that all streams that are told of one change share them.
 */
import { versionOf, type VersionedResource } from "./resource-source.ts";

const recentBytesMax = 2 << 20;

export class EncodedRows {
  /** Rows are never changed in place, so a version stays right for as long as the row lives. */
  readonly #versions = new WeakMap<object, string>();
  readonly #recent = new Map<object, Uint8Array>();
  #recentBytes = 0;

  resource<Row extends object>(row: Row, encode: (row: Row) => Uint8Array): VersionedResource {
    const bytesOf = (): Uint8Array => this.#bytesOf(row, encode);
    let version = this.#versions.get(row);
    if (version === undefined) {
      version = versionOf(bytesOf());
      this.#versions.set(row, version);
    }
    return {
      version,
      get bytes() {
        return bytesOf();
      },
    };
  }

  #bytesOf<Row extends object>(row: Row, encode: (row: Row) => Uint8Array): Uint8Array {
    const recent = this.#recent.get(row);
    if (recent !== undefined) return recent;
    const made = encode(row);
    this.#recent.set(row, made);
    this.#recentBytes += made.length;
    for (const [oldest, { length }] of this.#recent) {
      if (this.#recentBytes <= recentBytesMax) break;
      this.#recent.delete(oldest);
      this.#recentBytes -= length;
    }
    return made;
  }
}
