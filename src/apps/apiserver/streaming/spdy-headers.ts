/**
 * Header blocks of SPDY/3: name-value pairs in one zlib stream per direction and connection. Owns that stream; blocks
 * must go through it in the order in which they are on the wire.
 */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import { spdyDictionary } from "./spdy-dictionary.ts";

export type SpdyHeaders = Readonly<Record<string, string>>;

const pairsMax = 256;
const blockBytesMax = 64 * 1024;

export const encodePairs = (headers: SpdyHeaders): Buffer => {
  const parts: Buffer[] = [];
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const entries = Object.entries(headers);
  parts.push(number(entries.length));
  for (const text of entries.flat()) {
    const bytes = Buffer.from(text);
    parts.push(number(bytes.length), bytes);
  }
  return Buffer.concat(parts);
};

/** Names in lower case. Throws on a block that ends too early or holds too much. */
export const decodePairs = (block: Buffer): SpdyHeaders => {
  let at = 0;
  const number = (): number => {
    const value = block.readUInt32BE(at);
    at += 4;
    return value;
  };
  const text = (): string => {
    const length = number();
    if (at + length > block.length) throw new Error("a SPDY header block ends too early");
    at += length;
    return block.toString("utf8", at - length, at);
  };
  const count = number();
  if (count > pairsMax) throw new Error(`a SPDY header block has ${count} pairs; ${pairsMax} are allowed`);
  return Object.fromEntries(Array.from({ length: count }, () => [text().toLowerCase(), text()]));
};

/** What a zlib stream has put out so far, once `done` was called for the last input. */
const drained = (stream: Deflate | Inflate): Buffer => {
  const parts: Buffer[] = [];
  let size = 0;
  for (let part: unknown = stream.read(); part !== null; part = stream.read()) {
    // Without an encoding, zlib streams give buffers.
    parts.push(part as Buffer);
    size += (part as Buffer).length;
    if (size > blockBytesMax) throw new Error(`a SPDY header block is larger than ${blockBytesMax} bytes`);
  }
  return Buffer.concat(parts);
};

export class HeaderWriter {
  readonly #deflate = createDeflate({ dictionary: spdyDictionary, flush: constants.Z_SYNC_FLUSH });
  #last: Promise<unknown> = Promise.resolve();

  /** Blocks come out in the order of the calls. */
  compress(headers: SpdyHeaders): Promise<Buffer> {
    const mine = this.#last.then(
      () =>
        new Promise<Buffer>((resolve, reject) => {
          this.#deflate.once("error", reject);
          this.#deflate.write(encodePairs(headers), (error) => {
            this.#deflate.off("error", reject);
            if (error) return reject(error);
            try {
              resolve(drained(this.#deflate));
            } catch (cause) {
              reject(cause instanceof Error ? cause : new Error(String(cause)));
            }
          });
        }),
    );
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  close(): void {
    this.#deflate.destroy();
  }
}

export class HeaderReader {
  readonly #inflate = createInflate({ dictionary: spdyDictionary });

  /** The caller waits for one block before it gives the next. */
  async expand(block: Buffer): Promise<SpdyHeaders> {
    const expanded = await new Promise<Buffer>((resolve, reject) => {
      this.#inflate.once("error", reject);
      this.#inflate.write(block, (error) => {
        this.#inflate.off("error", reject);
        if (error) return reject(error);
        try {
          resolve(drained(this.#inflate));
        } catch (cause) {
          reject(cause instanceof Error ? cause : new Error(String(cause)));
        }
      });
    });
    return decodePairs(expanded);
  }

  close(): void {
    this.#inflate.destroy();
  }
}
