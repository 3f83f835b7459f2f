/** Counters, gauges and histograms, written in the text form that Prometheus reads. A registry belongs to one process. */

export type Labels = Readonly<Record<string, string>>;

/** Series of one metric; more than this many label sets are a mistake and fall into one series. */
const maxSeries = 2_000;

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? "" : `{${pairs.map(([key, value]) => `${key}="${escaped(value)}"`).join(",")}}`;
};

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly lines: () => string[];
}

export interface Counter {
  add(labels?: Labels, by?: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

export class Metrics {
  private readonly metrics: Metric[] = [];

  counter(name: string, help: string): Counter {
    const values = new Map<string, number>();
    const lines = () => [...values].map(([labels, value]) => `${name}${labels} ${value}`);
    this.metrics.push({ name, help, kind: "counter", lines });
    return {
      add: (labels = {}, by = 1) => {
        const text = labelText(labels);
        const key = values.has(text) || values.size < maxSeries ? text : labelText({ overflow: "true" });
        values.set(key, (values.get(key) ?? 0) + by);
      },
    };
  }

  /** Read when the page is. */
  gauge(name: string, help: string, read: () => Iterable<readonly [labels: Labels, value: number]>): void {
    const lines = () =>
      [...read()].slice(0, maxSeries).map(([labels, value]) => `${name}${labelText(labels)} ${value}`);
    this.metrics.push({ name, help, kind: "gauge", lines });
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const counts = bounds.map(() => 0);
    let total = 0;
    let sum = 0;
    const lines = () => [
      ...bounds.map((bound, index) => `${name}_bucket{le="${bound}"} ${counts[index] ?? 0}`),
      `${name}_bucket{le="+Inf"} ${total}`,
      `${name}_sum ${sum}`,
      `${name}_count ${total}`,
    ];
    this.metrics.push({ name, help, kind: "histogram", lines });
    return {
      observe: (value) => {
        total += 1;
        sum += value;
        bounds.forEach((bound, index) => {
          if (value <= bound) counts[index] = (counts[index] ?? 0) + 1;
        });
      },
    };
  }

  text(): string {
    const parts = this.metrics.map(({ name, help, kind, lines }) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines()].join("\n"),
    );
    return `${parts.join("\n")}\n`;
  }
}
