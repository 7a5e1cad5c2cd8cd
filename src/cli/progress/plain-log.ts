/**
 * A job's progress where there is no terminal: one line when a stage begins or ends, at every note, and about
 * every ten seconds in between. Pure: says what line, if any, an event is worth.
 */
import type { PlinthEvent } from '../../core/events.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import { plainLine, plainText } from '../terminal/text-width.ts';
import { grouped, metricText, validationText, workOf } from './render-view.ts';
import type { JobView } from './view-state.ts';

export const PLAIN_LINE_EVERY_MS = 10_000;

/** @param view the state after the event; @param lastLineMs when the last line was written. */
export function plainLogLine(
  event: PlinthEvent,
  view: JobView,
  nowMs: number,
  lastLineMs: number,
): string | undefined {
  const text = textOf(event, view, nowMs - lastLineMs >= PLAIN_LINE_EVERY_MS);
  if (text === undefined) return undefined;
  return `[${formatDuration((nowMs - view.startedAtMs) / 1000)}] ${text}`;
}

function textOf(event: PlinthEvent, view: JobView, isDue: boolean): string | undefined {
  if (event.type === 'stage') {
    const place = `${event.stage} (${event.index} of ${event.numStages})`;
    const detail = event.detail ? `: ${plainLine(event.detail)}` : '';
    if (event.state === 'start') return `${place}${detail}`;
    if (event.state === 'skipped') return `${place} kept from before${detail}`;
    return `${event.stage} done${event.seconds === undefined ? '' : ` in ${formatDuration(event.seconds)}`}${detail}`;
  }
  if (event.type === 'note')
    return `${event.level === 'warning' ? 'Warning: ' : ''}${plainText(event.message)}`;
  if (!isDue || (event.type !== 'train-step' && event.type !== 'progress')) return undefined;
  const work = workOf(view);
  const parts = [event.stage, work ? `${work.text} (${Math.floor(work.share * 100)} %)` : ''];
  if (event.type === 'train-step') {
    parts.push(`loss ${event.loss.toFixed(3)}`);
    for (const [name, value] of Object.entries(event.metrics ?? {})) {
      parts.push(`${name} ${metricText(value)}`);
    }
    if (view.validation) parts.push(validationText(view.validation));
    parts.push(`${formatCount(event.tokensPerSecond)} tokens/s`);
    if (Number.isFinite(event.shareOfPeak)) parts.push(`${Math.round(event.shareOfPeak * 100)} % of peak`);
  } else if (event.ratePerSecond > 0) {
    parts.push(`${grouped(event.ratePerSecond)} ${event.unit}/s`);
  }
  if (Number.isFinite(event.secondsLeft)) parts.push(`${formatDuration(event.secondsLeft)} left`);
  return parts.filter((part) => part !== '').join(', ');
}
