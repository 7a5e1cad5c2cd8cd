/** Axes of the report's charts: round ticks and positions as shares of the length. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** 0 at `low`, 1 at `high`. */
  at(value: number): number;
  /** As many decimals as the ticks need. */
  label(tick: number): string;
}

/** A range that begins and ends on ticks of 1, 2 or 5 times a power of ten. */
export function roundScale(min: number, max: number, numTicks: number): Scale {
  const range = max - min || Math.abs(max) || 1;
  const step = roundStep(range / Math.max(1, numTicks));
  const low = Math.min(min, Math.floor(min / step + 1e-9) * step);
  const high = Math.max(max, low + step, Math.ceil(max / step - 1e-9) * step);
  return scaleOf(low, high, step);
}

/** From `min` to `max` exactly; ticks on round values inside. */
export function exactScale(min: number, max: number, numTicks: number): Scale {
  const high = max > min ? max : min + 1;
  return scaleOf(min, high, Math.max(1, roundStep((high - min) / Math.max(1, numTicks))));
}

function scaleOf(low: number, high: number, step: number): Scale {
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    low,
    high,
    ticks,
    at: (value) => (value - low) / (high - low),
    label: (tick) =>
      decimals > 4 ? Number(tick.toPrecision(2)).toExponential() : grouped(tick.toFixed(decimals)),
  };
}

function grouped(text: string): string {
  const [integer = '', fraction] = text.split('.');
  const left = integer.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? left : `${left}.${fraction}`;
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10) * power;
}
