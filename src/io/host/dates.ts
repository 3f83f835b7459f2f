/** `Date` objects for libraries that insist on them; here because only this room may know the calendar. */

export const dateOf = (ms: number): Date => new Date(ms);
