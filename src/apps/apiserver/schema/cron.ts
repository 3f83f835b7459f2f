/**
 * Schedules of CronJobs: five fields, their short forms (`@hourly`) and `@every 90s`. Pure; the API server checks with it,
 * the controller asks it when a run was due.
 */
import { isoSeconds } from "../../../io/host/iso-time.ts";

export interface Cron {
  /** Accepted values of minute, hour, day of month, month and day of week; absent with `everyMs`. */
  readonly fields: readonly ReadonlySet<number>[];
  /** Both days restricted: a day that matches either is one. */
  readonly isEitherDay: boolean;
  readonly everyMs?: number;
}

const minuteMs = 60_000;
/** A run that was missed longer ago than this is not made up for. */
const lookBackMsMax = 24 * 60 * minuteMs;

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

interface FieldForm {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const forms: readonly FieldForm[] = [
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day of month", min: 1, max: 31 },
  { name: "month", min: 1, max: 12, names: months },
  { name: "day of week", min: 0, max: 6, names: weekdays },
];

const shortForms: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** The schedule, or a sentence that says what is wrong with the text. */
export function cronOf(text: string): Cron | string {
  if (text.startsWith("@every ")) return everyOf(text.slice("@every ".length).trim());
  const words = (shortForms[text.trim()] ?? text).trim().split(/\s+/);
  if (words.length !== forms.length) return `expected exactly 5 fields, found ${words.length}: [${text}]`;
  const fields: ReadonlySet<number>[] = [];
  for (const [position, form] of forms.entries()) {
    const values = valuesOf(words[position] ?? "", form);
    if (typeof values === "string") return values;
    fields.push(values);
  }
  const isOpen = (word: string | undefined): boolean => /^[*?](\/1)?$/.test(word ?? "");
  return { fields, isEitherDay: !isOpen(words[2]) && !isOpen(words[4]) };
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: minuteMs, s: 1_000 };

function everyOf(text: string): Cron | string {
  const parts = [...text.matchAll(/(\d+)(h|m|s)/g)];
  const everyMs = parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (unitMs[unit] ?? 0), 0);
  if (parts.map(([whole]) => whole).join("") !== text || everyMs < 1_000) {
    return `failed to parse duration @every ${text}: give hours, minutes and seconds, such as 1h30m`;
  }
  return { fields: [], isEitherDay: false, everyMs };
}

function valuesOf(word: string, form: FieldForm): ReadonlySet<number> | string {
  const values = new Set<number>();
  for (const part of word.split(",")) {
    const found = /^([*?]|[a-z0-9]+)(?:-([a-z0-9]+))?(?:\/(\d+))?$/i.exec(part);
    const [, first = "", last, step] = found ?? [];
    const isAny = first === "*" || first === "?";
    const from = isAny ? form.min : numberOf(first, form);
    // A single value with a step runs to the end of the range.
    const to = last === undefined ? (isAny || step !== undefined ? form.max : from) : numberOf(last, form);
    const by = step === undefined ? 1 : Number(step);
    const isWithin = from !== undefined && to !== undefined && from >= form.min && to <= form.max && from <= to;
    if (found === null || !isWithin || by < 1 || (isAny && last !== undefined)) {
      return `failed to parse "${part}" as ${form.name}: values are ${form.min} to ${form.max}`;
    }
    for (let value = from; value <= to; value += by) values.add(value);
  }
  return values;
}

function numberOf(word: string, { names, min }: FieldForm): number | undefined {
  const named = names?.indexOf(word.toLowerCase()) ?? -1;
  if (named >= 0) return named + min;
  return /^\d+$/.test(word) ? Number(word) : undefined;
}

/** Latest moment after `sinceMs` and not after `nowMs` at which a run was due. */
export function lastDueMs(
  cron: Cron,
  timeZone: string | undefined,
  sinceMs: number,
  nowMs: number,
): number | undefined {
  if (cron.everyMs !== undefined) {
    const times = Math.floor((nowMs - sinceMs) / cron.everyMs);
    return times < 1 ? undefined : sinceMs + times * cron.everyMs;
  }
  const fieldsAt = timeZone === undefined || timeZone === "" ? utcFields : zonedFields(timeZone);
  const endMs = Math.max(sinceMs, nowMs - lookBackMsMax);
  for (let ms = Math.floor(nowMs / minuteMs) * minuteMs; ms > endMs; ms -= minuteMs) {
    if (matches(cron, fieldsAt(ms))) return ms;
  }
  return undefined;
}

/** When to look again: schedules of five fields can only be due at the start of a minute. */
export const nextLookMs = ({ everyMs }: Cron, sinceMs: number, nowMs: number): number =>
  everyMs === undefined ? minuteMs - (nowMs % minuteMs) : everyMs - (Math.max(0, nowMs - sinceMs) % everyMs);

function matches({ fields, isEitherDay }: Cron, at: readonly number[]): boolean {
  const [minute, hour, day, month, weekday] = fields.map((values, position) => values.has(at[position] ?? -1));
  const isDay = isEitherDay ? day === true || weekday === true : day === true && weekday === true;
  return minute === true && hour === true && month === true && isDay;
}

type FieldsAt = (ms: number) => readonly number[];

const dayMs = 86_400_000;
/** The first day of the epoch was a Thursday. */
const firstWeekday = 4;

const utcFields: FieldsAt = (ms) => {
  const [, month, day, hour, minute] = (isoSeconds(ms).match(/\d+/g) ?? []).map(Number);
  return [minute ?? 0, hour ?? 0, day ?? 0, month ?? 0, (Math.floor(ms / dayMs) + firstWeekday) % 7];
};

function zonedFields(timeZone: string): FieldsAt {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    weekday: "short",
  });
  return (ms) => {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
    const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    const weekday = weekdays.indexOf((parts.get("weekday") ?? "").toLowerCase());
    return [number("minute"), number("hour"), number("day"), number("month"), weekday];
  };
}

export function isTimeZone(name: string): boolean {
  try {
    zonedFields(name);
    return true;
  } catch {
    return false;
  }
}
