/** Cuts a byte stream into lines, holding no more than one line at a time. */

/** The last line counts even without a line feed. Throws when a line grows beyond `maxBytes`. */
export async function* linesOf(stream: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const take = (tail: Uint8Array): string => {
    const line = Buffer.concat([...parts, tail]).toString("utf8");
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start === chunk.length) continue;
    const rest = chunk.subarray(start);
    size += rest.length;
    if (size > maxBytes) throw new Error(`A line of more than ${maxBytes} bytes arrived.`);
    parts.push(rest);
  }
  if (parts.length > 0) yield take(new Uint8Array(0));
}
