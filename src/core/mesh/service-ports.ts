/**
 * Makes the record `services` of a workload. Its keys are data: as a plain object each would give the JavaScript engine
 * another object shape to keep for ever, and after some hundred of them it gives every small object a shape of its own.
 * Objects without a prototype are kept as dictionaries from the start.
 */
import type { PortMapping, Workload } from "./model.ts";

export function servicePorts(entries: Iterable<readonly [string, readonly PortMapping[]]>): Workload["services"] {
  // Nothing is in it yet, so it is a record of anything.
  const made = Object.create(null) as Record<string, readonly PortMapping[]>;
  for (const [service, ports] of entries) made[service] = ports;
  return made;
}
