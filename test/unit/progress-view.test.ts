import { describe, expect, test } from 'vitest';
import { brailleChart } from '../../src/cli/progress/loss-chart.ts';
import { plainLogLine } from '../../src/cli/progress/plain-log.ts';
import { renderView } from '../../src/cli/progress/render-view.ts';
import { emptyView, type JobView, reduceView } from '../../src/cli/progress/view-state.ts';
import { colored, uncolored } from '../../src/cli/terminal/style.ts';
import { textWidth } from '../../src/cli/terminal/text-width.ts';
import type { PlinthEvent, TrainStepEvent } from '../../src/core/events.ts';

function stage(
  name: string,
  state: 'start' | 'done' | 'skipped',
  index: number,
  detail?: string,
): PlinthEvent {
  return {
    type: 'stage',
    stage: name,
    state,
    index,
    numStages: 5,
    ...(state === 'done' && { seconds: 2 }),
    ...(detail !== undefined && { detail }),
  };
}

function step(number: number, loss: number, numSteps = 1000): TrainStepEvent {
  return {
    type: 'train-step',
    stage: 'pretrain',
    step: number,
    numSteps,
    loss,
    learningRate: 1e-3,
    gradientNorm: 1,
    tokens: number * 100,
    tokensPerSecond: 12_345,
    gflops: 50,
    shareOfPeak: 0.42,
    secondsLeft: 65,
  };
}

function viewAfter(events: readonly PlinthEvent[]): JobView {
  return events.reduce((view, event) => reduceView(view, event, 1000), emptyView(0));
}

const running = [
  stage('facts', 'start', 1),
  stage('facts', 'done', 1, '72 facts'),
  stage('tokenizer', 'skipped', 2),
  stage('pretrain', 'start', 3),
  step(1, 7.5),
  step(2, 6),
  { type: 'validation', stage: 'pretrain', step: 2, loss: 5, bitsPerByte: 1.234 },
  { type: 'sample', stage: 'pretrain', step: 2, prompt: 'Capital of Kenya?', completion: 'Nairobi' },
] as const satisfies PlinthEvent[];

const render = (view: JobView, columns = 80, rows = 40, style = uncolored) =>
  renderView('plinth run atlas', view, 61_000, { columns, rows, style });

describe('the reducer', () => {
  test('keeps stages in order with their state, and the latest of everything', () => {
    const view = viewAfter(running);
    expect(view.stages.map(({ name, state }) => [name, state])).toEqual([
      ['facts', 'done'],
      ['tokenizer', 'skipped'],
      ['pretrain', 'running'],
    ]);
    expect(view.step?.step).toBe(2);
    expect(view.validation?.bitsPerByte).toBe(1.234);
    expect(view.sample).toEqual({ prompt: 'Capital of Kenya?', completion: 'Nairobi' });
  });

  test('a new stage begins with an empty curve and no counts', () => {
    const view = viewAfter([...running, stage('pretrain', 'done', 3), stage('sft', 'start', 4)]);
    expect(view.losses.points).toEqual([]);
    expect(view.step).toBeUndefined();
    expect(view.validation).toBeUndefined();
  });

  test('the curve of a long run stays short and keeps its mean and its end', () => {
    const numSteps = 20_000;
    let view = emptyView(0);
    let sum = 0;
    for (let s = 1; s <= numSteps; s++) {
      const loss = 1 + 5 / s + (s % 2);
      sum += loss;
      view = reduceView(view, step(s, loss, numSteps), 0);
    }
    const { points, stepsPerPoint, numInLast } = view.losses;
    expect(points.length).toBeLessThanOrEqual(512);
    expect((points.length - 1) * stepsPerPoint + numInLast).toBe(numSteps);
    const weighted = points.reduce(
      (total, point, i) => total + point * (i === points.length - 1 ? numInLast : stepsPerPoint),
      0,
    );
    expect(weighted / numSteps).toBeCloseTo(sum / numSteps, 6);
  });

  test('a loss that is not finite leaves the curve as it was', () => {
    const view = viewAfter([...running, step(3, Number.NaN)]);
    expect(view.losses.points).toEqual([7.5, 6]);
  });

  test('never changes the view it is given', () => {
    const before = viewAfter(running);
    const copy = structuredClone(before);
    reduceView(before, step(3, 1), 5);
    reduceView(before, stage('pretrain', 'done', 3), 5);
    expect(before).toEqual(copy);
  });
});

describe('the picture', () => {
  test('shows what is done, what runs, what comes, and every number', () => {
    const text = render(viewAfter(running)).join('\n');
    for (const part of [
      'plinth run atlas',
      '1 min 1 s',
      '✓ facts',
      '72 facts',
      'kept from before',
      '● pretrain',
      'step 2 of 1,000',
      '2 more stages',
      'validation 1.234 bits/byte',
      '12.3 k tokens/s',
      '42 % of peak',
      '1 min 5 s left',
      'Capital of Kenya?',
      '› Nairobi',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/[\u2801-\u28ff]/);
  });

  test.each([
    [200, 60],
    [80, 24],
    [40, 20],
    [24, 10],
    [10, 5],
    [1, 1],
  ])('fits a terminal of %i by %i', (columns, rows) => {
    const long = { ...running[7], prompt: '長い質問'.repeat(60), completion: 'x'.repeat(500) };
    const lines = render(viewAfter([...running, long]), columns, rows);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(Math.max(10, columns - 1));
  });

  test('what a model or a file wrote cannot steer the terminal', () => {
    const hostile = '\u001b[2J\u001b]0;title\u0007red\u0000\u202eevil\r\n';
    const view = viewAfter([
      ...running,
      { type: 'sample', stage: 'pretrain', step: 2, prompt: hostile, completion: hostile },
      stage('sft', 'start', 4),
      stage('sft', 'done', 4, hostile),
    ]);
    const text = render(view).join('');
    expect(text).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
    expect(text).toContain('redevil');
  });

  test('colours only when the style has them', () => {
    expect(render(viewAfter(running)).join('')).not.toContain('\u001b');
    expect(render(viewAfter(running), 80, 40, colored).join('')).toContain('\u001b[');
  });

  test('an empty view is a title', () => {
    expect(render(emptyView(0))).toHaveLength(1);
  });
});

describe('the chart', () => {
  const dots = (line: string) =>
    [...line].map((character) => (character === ' ' ? 0 : character.charCodeAt(0) - 0x2800));

  test('a falling curve begins at the top left and ends at the bottom right', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    const { lines, bottom } = brailleChart(values, 20, 4);
    expect(lines).toHaveLength(4);
    expect(lines.every((line) => line.length === 20)).toBe(true);
    expect(lines[0]?.trimEnd()).not.toBe('');
    expect(lines[0]?.slice(-5).trim()).toBe('');
    expect(lines[3]?.slice(0, 5).trim()).toBe('');
    expect(dots(lines[3]!).at(-1)).toBeGreaterThan(0);
    expect(bottom).toBe(1);
  });

  test('a constant curve is one line', () => {
    const { lines } = brailleChart([3, 3, 3, 3], 10, 3);
    expect(lines.filter((line) => line.trim() !== '')).toHaveLength(1);
  });

  test('fills only its place on the axis', () => {
    const { lines } = brailleChart([3, 2, 1], 40, 4, { from: 0.5, to: 0.75 });
    for (const line of lines) {
      expect(line.slice(0, 20).trim()).toBe('');
      expect(line.slice(30).trim()).toBe('');
    }
    expect(lines.join('').trim()).not.toBe('');
  });

  test('has no holes: neighbouring columns touch', () => {
    const values = Array.from({ length: 40 }, (_, i) => (i < 20 ? 10 : 0));
    const { lines } = brailleChart(values, 20, 5);
    expect(lines.every((line) => line.trim() !== '')).toBe(true);
  });
});

describe('log lines without a terminal', () => {
  test('a line for each change of stage and for notes, and one every ten seconds between', () => {
    const view = viewAfter(running);
    const line = (event: PlinthEvent, nowMs: number, lastMs: number) =>
      plainLogLine(event, view, nowMs, lastMs);
    expect(line(running[3], 1000, 900)).toBe('[1.0 s] pretrain (3 of 5)');
    expect(line({ type: 'note', level: 'warning', message: 'careful' }, 0, 0)).toContain('Warning: careful');
    expect(line(running[5], 12_000, 5_000)).toBeUndefined();
    const due = line(running[5], 15_000, 5_000);
    for (const part of [
      'pretrain',
      'step 2 of 1,000',
      'loss 6.000',
      '1.234 bits/byte',
      '12.3 k tokens/s',
      'left',
    ]) {
      expect(due).toContain(part);
    }
  });
});

describe('what an objective tells beside its loss', () => {
  const told = (numSteps: number): PlinthEvent[] => [
    stage('rl', 'start', 1),
    ...Array.from({ length: numSteps }, (_, i) => ({
      ...step(i + 1, 1, numSteps),
      stage: 'rl',
      metrics: { reward: i / numSteps, kl: 0.00001234, entropy: 2 - i / numSteps },
    })),
  ];

  test('each metric has a line with its name, its latest value and a course as long as the run so far', () => {
    const lines = render(viewAfter(told(100)));
    const reward = lines.find((line) => line.includes('reward'))!;
    expect(reward).toContain('0.99');
    expect(reward).toMatch(/[\u2801-\u28ff]{20,}/u);
    expect(lines.find((line) => line.includes('kl'))).toContain('1.2e-5');
    expect(lines.every((line) => textWidth(line) < 80)).toBe(true);
    // Half of the steps, half of the width.
    const half = viewAfter(told(100).slice(0, 51));
    const course = (line: string) => line.replaceAll(/[^\u2801-\u28ff]/gu, '').length;
    expect(course(render(half).find((line) => line.includes('reward'))!)).toBeCloseTo(course(reward) / 2, -1);
  });

  test('the next stage begins without them, and a narrow or low terminal leaves them out or cuts them', () => {
    expect(render(viewAfter([...told(9), stage('sft', 'start', 2)])).join('\n')).not.toContain('entropy');
    expect(render(viewAfter(told(9)), 80, 10).join('\n')).not.toContain('entropy');
    for (const columns of [30, 36, 44]) {
      expect(render(viewAfter(told(9)), columns).every((line) => textWidth(line) < columns)).toBe(true);
    }
  });

  test('a log line names them', () => {
    const events = told(9);
    const line = plainLogLine(events.at(-1)!, viewAfter(events), 30_000, 0);
    expect(line).toContain('reward 0.8889, kl 1.2e-5, entropy 1.111');
  });
});
