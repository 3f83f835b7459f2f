/** When schedules of CronJobs are due, and what is said about wrong ones. */
import { describe, expect, it } from "vitest";
import { cronOf, isTimeZone, lastDueMs, type Cron } from "./cron.ts";

const read = (text: string): Cron => {
  const cron = cronOf(text);
  if (typeof cron === "string") throw new Error(cron);
  return cron;
};
const ms = (text: string): number => Date.parse(text);
const last = (schedule: string, now: string, zone?: string): string | undefined => {
  const due = lastDueMs(read(schedule), zone, ms(now) - 86_000_000, ms(now));
  return due === undefined ? undefined : new Date(due).toISOString().slice(0, 16);
};

describe("the last time that was due", () => {
  it.each([
    ["* * * * *", "2026-03-10T12:34:56Z", "2026-03-10T12:34"],
    ["*/15 * * * *", "2026-03-10T12:34:56Z", "2026-03-10T12:30"],
    ["5-7,40 9 * * *", "2026-03-10T12:34:56Z", "2026-03-10T09:40"],
    ["0 22 * * mon-fri", "2026-03-10T12:34:56Z", "2026-03-09T22:00"],
    // Sunday the 8th is not within a day.
    ["0 22 * * sun", "2026-03-10T12:34:56Z", undefined],
    // Either day counts when both are restricted.
    ["0 1 10 * sun", "2026-03-10T12:34:56Z", "2026-03-10T01:00"],
    ["0 1 11 mar *", "2026-03-10T12:34:56Z", undefined],
    ["@hourly", "2026-03-10T12:34:56Z", "2026-03-10T12:00"],
  ])("of %s at %s is %s", (schedule, now, due) => {
    expect(last(schedule, now)).toBe(due);
  });

  it("follows a time zone", () => {
    expect(last("0 9 * * *", "2026-03-10T12:34:56Z", "Asia/Tokyo")).toBe("2026-03-10T00:00");
    expect([isTimeZone("Europe/Berlin"), isTimeZone("Middle/Earth")]).toEqual([true, false]);
  });

  it("is after the last run, and counts durations from it", () => {
    const every = read("@every 1h30m");
    const start = ms("2026-03-10T12:00:00Z");
    expect(lastDueMs(every, undefined, start, start + 5_399_000)).toBeUndefined();
    expect(lastDueMs(every, undefined, start, start + 5_400_000)).toBe(start + 5_400_000);
    expect(lastDueMs(read("* * * * *"), undefined, start, start + 59_000)).toBeUndefined();
  });
});

it.each([
  ["* * * *", "expected exactly 5 fields, found 4"],
  ["60 * * * *", 'failed to parse "60" as minute'],
  ["* * * * 5-1", 'failed to parse "5-1" as day of week'],
  ["*/0 * * * *", 'failed to parse "*/0" as minute'],
  ["@every soon", "failed to parse duration @every soon"],
  ["@often", "expected exactly 5 fields, found 1"],
])("refuses %s", (schedule, sentence) => {
  expect(cronOf(schedule)).toContain(sentence);
});
