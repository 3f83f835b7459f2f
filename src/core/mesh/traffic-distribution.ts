/** Which endpoints are preferred (spec 1.8), as users write it. */
import type { TrafficDistribution } from "./model.ts";

const values: Readonly<Record<string, TrafficDistribution>> = {
  any: "Any",
  prefernetwork: "PreferNetwork",
  preferregion: "PreferRegion",
  preferclose: "PreferClose",
  prefersamezone: "PreferClose",
  prefersamenode: "PreferSameNode",
};

/** Nothing when the value is not one of the known ones, whatever its case. */
export const parseTrafficDistribution = (text: string): TrafficDistribution | undefined => values[text.toLowerCase()];

/** The first of several places that says something; an unknown value counts as Any (spec 1.8). */
export function firstDistribution(...texts: readonly (string | undefined)[]): TrafficDistribution | undefined {
  const text = texts.find((candidate) => candidate !== undefined && candidate !== "");
  return text === undefined ? undefined : (parseTrafficDistribution(text) ?? "Any");
}
