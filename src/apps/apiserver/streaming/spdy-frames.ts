/** Frames of SPDY/3.1 on the wire: how they are written, and a reader that cuts a byte stream into them. Pure. */

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
} as const;

export const flagFin = 1;
/** Reason in RST_STREAM: the other side does not want the stream any more. */
export const cancelled = 5;

/** Control frames are small; only header blocks have no fixed size. */
const controlBytesMax = 64 * 1024;
const headBytes = 8;
const version = 3;

export type Frame =
  | { readonly kind: "control"; readonly type: number; readonly flags: number; readonly payload: Buffer }
  /** Data frames come in pieces, as they arrive; `isLast` is on the piece that ends a frame with FIN. */
  | { readonly kind: "data"; readonly id: number; readonly piece: Buffer; readonly isLast: boolean };

export const controlFrame = (type: number, flags: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(headBytes);
  head.writeUInt16BE(0x8000 | version, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4);
  return Buffer.concat([head, payload]);
};

export const dataFrame = (id: number, payload: Buffer, isFin: boolean): Buffer => {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(id & 0x7fffffff, 0);
  head.writeUInt32BE((((isFin ? flagFin : 0) << 24) | payload.length) >>> 0, 4);
  return payload.length === 0 ? head : Buffer.concat([head, payload]);
};

export const words = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, index * 4));
  return bytes;
};

interface OpenData {
  readonly id: number;
  readonly isFin: boolean;
  left: number;
}

/** Owns the bytes that do not make a frame yet. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);
  #data: OpenData | undefined;

  /** Throws on what is not SPDY/3. */
  *read(chunk: Buffer): Generator<Frame> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const frame = this.#data === undefined ? this.#readHead() : this.#readData(this.#data);
      if (frame === undefined) return;
      yield frame;
    }
  }

  #take(size: number): Buffer {
    const taken = this.#pending.subarray(0, size);
    this.#pending = this.#pending.subarray(size);
    return taken;
  }

  #readHead(): Frame | undefined {
    if (this.#pending.length < headBytes) return undefined;
    const first = this.#pending.readUInt32BE(0);
    const second = this.#pending.readUInt32BE(4);
    const flags = second >>> 24;
    const length = second & 0xffffff;
    if (first >>> 31 === 0) {
      this.#take(headBytes);
      this.#data = { id: first, isFin: (flags & flagFin) !== 0, left: length };
      return this.#readData(this.#data);
    }
    if (((first >>> 16) & 0x7fff) !== version) throw new Error("the peer does not speak SPDY/3");
    if (length > controlBytesMax) throw new Error(`a SPDY control frame has ${length} bytes`);
    if (this.#pending.length < headBytes + length) return undefined;
    this.#take(headBytes);
    return { kind: "control", type: first & 0xffff, flags, payload: this.#take(length) };
  }

  #readData(open: OpenData): Frame | undefined {
    if (open.left > 0 && this.#pending.length === 0) return undefined;
    const piece = this.#take(Math.min(open.left, this.#pending.length));
    open.left -= piece.length;
    const isDone = open.left === 0;
    if (isDone) this.#data = undefined;
    return { kind: "data", id: open.id, piece, isLast: isDone && open.isFin };
  }
}
