/** Tables as kubectl prints them. */

/** Columns are three spaces apart; the last one is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], indent = ""): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - cell.length + 3),
      );
      return `${indent}${cells.join("")}\n`;
    })
    .join("");
}

/** What stands in a cell for nothing. */
export const orDash = (text: string): string => (text === "" ? "-" : text);
