// The two charts: load with its forecast, and capacity against demand, over the same time.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import type { Columns, Forecast, Part } from "./api";
import { amount, date, time, timeOfDay } from "./format";

/** A span that the charts can show: its length, how far ahead, and the seconds that one point stands for. */
export interface Span {
  label: string;
  back: number;
  ahead: number;
  step: number;
}

export const SPANS: Span[] = [
  { label: "12 hours", back: 43_200, ahead: 10_800, step: 60 },
  { label: "2 days", back: 172_800, ahead: 43_200, step: 300 },
  { label: "1 week", back: 604_800, ahead: 86_400, step: 900 },
  { label: "2 weeks", back: 1_209_600, ahead: 86_400, step: 1800 },
];

/** What both charts are drawn from. */
export interface Scene {
  now: number;
  span: Span;
  part: Part;
  columns: Columns;
  forecast: Forecast | undefined;
  /** When the decision that is looked at was taken. */
  mark: number | undefined;
}

const HEIGHT = 290;
const DAY_SECONDS = 86_400;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** One chart that keeps its size to its place. */
class Chart {
  private plot: uPlot | undefined;
  private scene: Scene | undefined;

  constructor(
    private readonly place: HTMLElement,
    private readonly series: () => uPlot.Series[],
    private readonly bands: () => uPlot.Band[],
    private readonly data: (scene: Scene) => uPlot.AlignedData,
  ) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
  }

  draw(scene: Scene): void {
    this.scene = scene;
    const data = this.data(scene);
    if (this.plot) {
      this.plot.setData(data);
    } else {
      this.plot = new uPlot(this.options(), data, this.place);
    }
  }

  /** Draws it anew, in the colours of now. */
  redraw(): void {
    this.plot?.destroy();
    this.plot = undefined;
    if (this.scene) this.draw(this.scene);
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(this.place.clientWidth, 200), height: HEIGHT };
  }

  private options(): uPlot.Options {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
    const values = (_: uPlot, ticks: number[]) => ticks.map(amount);
    return {
      ...this.size(),
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { sync: { key: "time" }, drag: { x: false, y: false } },
      scales: {
        x: { range: () => this.range() },
        y: { range: (_, __, most) => [0, (Number.isFinite(most) && most > 0 ? most : 1) * 1.08] },
      },
      axes: [
        { ...axis, values: (_, at, __, ___, step) => at.map((it) => tick(it, step)) },
        { ...axis, values, size: 56 },
      ],
      series: [{ value: (_, at) => (at ? time(at) : "–") }, ...this.series()],
      bands: this.bands(),
      hooks: { draw: [(plot) => this.lines(plot)] },
    };
  }

  private range(): [number, number] {
    const scene = this.scene;
    return scene ? [scene.now - scene.span.back, scene.now + scene.span.ahead] : [0, 1];
  }

  /** Where now is, and the decision that is looked at. */
  private lines(plot: uPlot): void {
    const scene = this.scene;
    if (!scene) return;
    this.line(plot, scene.now, colour("--muted"), [4, 4]);
    if (scene.mark !== undefined) this.line(plot, scene.mark, colour("--accent"), []);
  }

  private line(plot: uPlot, at: number, stroke: string, dash: number[]): void {
    const [from, to] = this.range();
    if (at < from || at > to) return;
    const x = Math.round(plot.valToPos(at, "x", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.setLineDash(dash);
    ctx.lineWidth = devicePixelRatio;
    ctx.strokeStyle = stroke;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/** A moment on the axis: the date where a day begins, else the time of day. */
function tick(at: number, step: number): string {
  return step >= DAY_SECONDS || at % DAY_SECONDS === 0 ? date(at) : timeOfDay(at);
}

const value = (_: uPlot, shown: number | null) => amount(shown);

function line(label: string, name: string, more: Partial<uPlot.Series> = {}): uPlot.Series {
  return { label, stroke: colour(name), width: 1.5, value, points: { show: false }, ...more };
}

/** The path at the level nearest to `q`. */
function path(forecast: Forecast | undefined, q: number): (number | null)[] {
  const paths = forecast?.quantiles ?? [];
  const nearest = [...paths].sort((a, b) => Math.abs(a.q - q) - Math.abs(b.q - q))[0];
  return nearest?.values ?? [];
}

/** What had been forecast, what is forecast now, and on top of both the load. */
function loadData({ columns, forecast, now, span }: Scene): uPlot.AlignedData {
  const { at, demand, expected_middle: middle, expected_high: high } = columns;
  const [next, nextHigh] = [path(forecast, 0.5), path(forecast, 0.9)];
  const start = forecast?.start ?? 0;
  const step = forecast?.step_seconds ?? 0;
  const times = next.map((_, i) => start + (i + 0.5) * step);
  const shown = times.flatMap((it, i) => (it >= now && it <= now + span.ahead ? [i] : []));
  return uPlot.join([
    [at, middle, high],
    [shown.map((i) => times[i] ?? 0), shown.map((i) => next[i] ?? null), shown.map((i) => nextHigh[i] ?? null)],
    [at, demand],
  ]);
}

function capacityData({ columns, part }: Scene): uPlot.AlignedData {
  const asked = columns.wanted.map((count) => (count === null ? null : count * part.capacity_per_replica));
  return [columns.at, columns.capacity, asked, columns.demand];
}

/** Both charts. */
export class Charts {
  private readonly all: Chart[];

  constructor(load: HTMLElement, capacity: HTMLElement) {
    const stepped = () => ({ paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder });
    this.all = [
      new Chart(
        load,
        () => [
          line("forecast for then", "--forecast", { width: 1 }),
          line("its P90", "--forecast", { width: 0.5 }),
          line("forecast from now", "--forecast", { width: 1, dash: [5, 3], spanGaps: true }),
          line("P90 from now", "--forecast", { width: 0.5, dash: [5, 3], spanGaps: true }),
          line("load", "--load"),
        ],
        () => [
          { series: [2, 1], fill: colour("--band") },
          { series: [4, 3], fill: colour("--band") },
        ],
        loadData,
      ),
      new Chart(
        capacity,
        () => [
          line("capacity ready", "--capacity", { ...stepped(), fill: colour("--capacity-fill") }),
          line("capacity asked for", "--asked", { ...stepped(), width: 1, dash: [3, 3] }),
          line("load", "--load"),
        ],
        () => [],
        capacityData,
      ),
    ];
    for (const query of ["(prefers-color-scheme: dark)", "(min-resolution: 1.5dppx)"]) {
      matchMedia(query).addEventListener("change", () => this.redraw());
    }
  }

  draw(scene: Scene): void {
    for (const chart of this.all) chart.draw(scene);
  }

  private redraw(): void {
    for (const chart of this.all) chart.redraw();
  }
}
