// What the page of runs shows of a run, as series of its charts.

import type { Configuration, Run, RunCell, SelectionMetric } from '../../api/types';
import type { Series, XYPoint } from '../../charts/xy';

export const measures = ['fvu', 'delta_ce', 'kl', 'dead', 'excess', 'i_cdf', 'accepted'] as const;
export type Measure = (typeof measures)[number];

const shapes = ['circle', 'square', 'triangle'] as const;

/** The architectures in their order in the run, each with a colour and a shape of its own. */
export function styles(run: Run): Map<string, { colour: string; shape: (typeof shapes)[number] }> {
  const names = [...new Set(run.cells.map(({ architecture }) => architecture))];
  return new Map(
    names.map((name, i) => [
      name,
      { colour: `var(--series-${i % 6})`, shape: shapes[i % shapes.length] ?? 'circle' },
    ]),
  );
}

export const isOf = (cell: RunCell, configuration: Configuration | undefined) =>
  configuration !== undefined &&
  cell.architecture === configuration.architecture &&
  cell.k === configuration.k &&
  cell.n_features === configuration.n_features &&
  cell.seed === configuration.seed;

const mean = (values: readonly number[]) =>
  values.length === 0 ? NaN : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Domains hold their subclasses' pairs: a mean over both would count them twice. */
export const isSubclass = ({ concept }: SelectionMetric) => concept.includes('/');

/** L(0, t) beyond its null, a mean over the SAE's subclasses; NaN where it was not selected from. */
export function excess(metrics: readonly SelectionMetric[], sae: string, t: number): number {
  const values = metrics
    .filter((metric) => metric.sae === sae && isSubclass(metric))
    .flatMap(({ l0t }) => {
      const at = l0t.find((one) => Math.abs(one.t - t) < 1e-9);
      return at?.value != null && at.null != null ? [at.value - at.null] : [];
    });
  return mean(values);
}

export function measure(run: Run, cell: RunCell, what: Measure, t: number): Omit<XYPoint, 'x'> {
  const metrics = run.selection?.metrics ?? [];
  const own = () => metrics.filter(({ sae }) => sae === cell.sae);
  switch (what) {
    case 'fvu':
    case 'delta_ce':
    case 'kl': {
      const { value, low, high } = cell[what];
      return { y: value ?? NaN, low, high };
    }
    case 'dead':
      return { y: cell.dead_share ?? NaN };
    case 'excess':
      return { y: excess(metrics, cell.sae, t) };
    case 'i_cdf':
      return {
        y: mean(
          own()
            .filter(isSubclass)
            .map(({ i_cdf, null: chance }) => (i_cdf.value ?? NaN) - (chance.value ?? NaN)),
        ),
      };
    case 'accepted':
      return { y: own().reduce((sum, { n_accepted }) => sum + n_accepted, 0) };
  }
}

/** One site's SAEs: a line an architecture, from sparse to dense. */
export function frontier(run: Run, site: string, what: Measure, t: number): Series[] {
  return [...styles(run)].map(([architecture, style]) => ({
    id: architecture,
    label: architecture,
    ...style,
    line: true,
    dots: true,
    points: run.cells
      .filter((cell) => cell.site === site && cell.architecture === architecture)
      .sort((a, b) => (a.l0.value ?? 0) - (b.l0.value ?? 0))
      .map((cell) => ({
        x: cell.l0.value ?? NaN,
        ...measure(run, cell, what, t),
        label: cell.sae,
        mark: isOf(cell, run.selection?.chosen),
      })),
  }));
}

export type Curve = 'fvu' | 'loss' | 'l0';

export function trainingCurves(run: Run, site: string, what: Curve): Series[] {
  const style = styles(run);
  return run.cells
    .filter((cell) => cell.site === site)
    .flatMap((cell) => {
      const curve = run.curves.find(({ sae }) => sae === cell.sae);
      if (!curve) return [];
      return {
        id: cell.sae,
        label: cell.sae,
        colour: style.get(cell.architecture)?.colour ?? 'var(--accent)',
        line: true,
        points: curve.tokens.map((tokens, i) => ({ x: tokens, y: curve[what][i] ?? NaN })),
      };
    });
}

/** L(0, t) of one concept and the band of its null. */
export function thresholdCurves(metric: SelectionMetric, labels: [string, string]): Series[] {
  const atLeastNone = (value: number | null) => (value === null ? null : Math.max(0, value));
  return [
    {
      id: 'null',
      label: labels[1],
      colour: 'var(--muted)',
      line: true,
      dashed: true,
      band: true,
      points: metric.l0t.map((at) => ({
        x: at.t,
        y: at.null ?? NaN,
        low: at.null_low,
        high: at.null_high,
      })),
    },
    {
      id: 'value',
      label: labels[0],
      colour: 'var(--accent)',
      line: true,
      dots: true,
      // The bootstrap's normal interval may reach below zero; a count cannot.
      points: metric.l0t.map((at) => ({
        x: at.t,
        y: at.value ?? NaN,
        low: atLeastNone(at.low),
        high: at.high,
      })),
    },
  ];
}
