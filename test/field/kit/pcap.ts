/** Reads what tcpdump wrote on Ethernet links: the TCP segments with payload, in order. */
import { readFileSync } from "node:fs";

export interface Segment {
  /** `address:port`. */
  readonly from: string;
  readonly to: string;
  readonly payload: Buffer;
}

const fileHeaderBytes = 24;
const recordHeaderBytes = 16;
const ethernetBytes = 14;
const ipv4Type = 0x0800;
const tcpProtocol = 6;

const addressAt = (packet: Buffer, at: number): string => [...packet.subarray(at, at + 4)].join(".");

function segmentOf(frame: Buffer): Segment | undefined {
  if (frame.length < ethernetBytes + 20 || frame.readUInt16BE(12) !== ipv4Type) return undefined;
  const packet = frame.subarray(ethernetBytes);
  if (packet.readUInt8(9) !== tcpProtocol) return undefined;
  const headerBytes = (packet.readUInt8(0) & 15) * 4;
  const segment = packet.subarray(headerBytes, packet.readUInt16BE(2));
  if (segment.length < 20) return undefined;
  const payload = segment.subarray((segment.readUInt8(12) >> 4) * 4);
  if (payload.length === 0) return undefined;
  return {
    from: `${addressAt(packet, 12)}:${segment.readUInt16BE(0)}`,
    to: `${addressAt(packet, 16)}:${segment.readUInt16BE(2)}`,
    payload,
  };
}

export function segmentsOf(path: string): readonly Segment[] {
  const bytes = readFileSync(path);
  const found: Segment[] = [];
  for (let at = fileHeaderBytes; at + recordHeaderBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 8);
    const segment = segmentOf(bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length));
    if (segment !== undefined) found.push(segment);
    at += recordHeaderBytes + length;
  }
  return found;
}
