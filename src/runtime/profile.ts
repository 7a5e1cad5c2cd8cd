/** Reads ONNX Runtime's profile (Chrome trace events) into time by operator. */
import type { OperatorTime } from './device.ts';

interface TraceEvent {
  cat?: string;
  name?: string;
  dur?: number;
  args?: { op_name?: string };
}

export function operatorTimes(text: string): OperatorTime[] {
  const events = JSON.parse(text) as TraceEvent[];
  const totals = new Map<string, { count: number; microseconds: number }>();
  let all = 0;
  for (const event of events) {
    if (event.cat !== 'Node' || !event.name?.endsWith('_kernel_time') || !event.args?.op_name) continue;
    const total = totals.get(event.args.op_name) ?? { count: 0, microseconds: 0 };
    total.count += 1;
    total.microseconds += event.dur ?? 0;
    all += event.dur ?? 0;
    totals.set(event.args.op_name, total);
  }
  return [...totals]
    .map(([operator, { count, microseconds }]) => ({
      operator,
      count,
      milliseconds: microseconds / 1000,
      share: all > 0 ? microseconds / all : 0,
    }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

/** The table as text, for `--profile`. */
export function formatOperatorTimes(times: readonly OperatorTime[]): string {
  const rows = times.map(
    ({ operator, count, milliseconds, share }) =>
      `${operator.padEnd(32)} ${String(count).padStart(8)} ${milliseconds.toFixed(1).padStart(12)} ${(100 * share).toFixed(1).padStart(7)}`,
  );
  return [
    `${'operator'.padEnd(32)} ${'count'.padStart(8)} ${'ms'.padStart(12)} ${'%'.padStart(7)}`,
    ...rows,
  ].join('\n');
}
