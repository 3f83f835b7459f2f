/** Times as Kubernetes writes them (RFC 3339). Pure; here because only this room may know the calendar. */

/** `2026-01-31T10:20:30Z`. */
export const isoSeconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");

/** `2026-01-31T10:20:30.123000Z`, the form of leases and events. */
export const isoMicros = (ms: number): string => new Date(ms).toISOString().replace(/Z$/, "000Z");

/** Milliseconds since the epoch, or undefined when the text is no time. */
export function msOfIso(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
