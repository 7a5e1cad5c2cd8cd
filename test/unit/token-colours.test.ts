/** Probabilities as colours and brackets: the scale, joined characters, alternatives, and nothing that steers a terminal. */
import { describe, expect, test } from 'vitest';
import {
  markedText,
  percent,
  probabilityTable,
  tokenPieces,
} from '../../src/cli/generate/probability-view.ts';
import {
  colourDepth,
  luminance,
  NUM_STEPS,
  okLab,
  paletteColour,
  paletteIndex,
  probabilityColour,
  probabilityStep,
  STEP_COLOURS,
} from '../../src/cli/terminal/token-colours.ts';
import { visibleLine, visibleText } from '../../src/cli/terminal/visible-text.ts';
import type { Completion, PositionLogprobs } from '../../src/decode/language-model.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is removed.
const withoutColours = (text: string) => text.replaceAll(/\u001b\[[\d;]*m/g, '');
const contrast = (light: number) => [(light + 0.05) / 0.05, 1.05 / (light + 0.05)];

describe('the scale', () => {
  test('every colour has a contrast of 4.5 against black and against white', () => {
    expect(STEP_COLOURS).toHaveLength(NUM_STEPS);
    for (const colour of STEP_COLOURS) {
      for (const ratio of contrast(luminance(colour))) expect(ratio).toBeGreaterThan(4.5);
    }
  });

  test('its steps differ visibly and no two by much more than the others', () => {
    const steps = STEP_COLOURS.slice(1).map((colour, i) => {
      const [a, b] = [okLab(colour), okLab(STEP_COLOURS[i]!)];
      return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    });
    // 0.02 is about the least difference that eyes notice side by side.
    expect(Math.min(...steps)).toBeGreaterThan(0.03);
    expect(Math.max(...steps)).toBeLessThan(2.5 * Math.min(...steps));
  });

  test('luminance and OKLab agree with their definitions at white and red', () => {
    // W3C, WCAG 2.2, relative luminance; Ottosson 2020, table of sRGB primaries.
    expect(luminance([255, 255, 255])).toBeCloseTo(1, 6);
    expect(luminance([255, 0, 0])).toBeCloseTo(0.2126, 4);
    expect(okLab([255, 0, 0]).map((value) => Number(value.toFixed(3)))).toEqual([0.628, 0.225, 0.126]);
  });

  test('less probable never looks more certain', () => {
    const steps = [1, 0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0].map(probabilityStep);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect([steps[0], steps.at(-1)]).toEqual([0, NUM_STEPS - 1]);
  });

  test('of the 256 colours only legible ones are taken, all different enough to tell both ends', () => {
    const indices = STEP_COLOURS.map((_, step) => paletteIndex(step));
    for (const index of indices) {
      for (const ratio of contrast(luminance(paletteColour(index)))) expect(ratio).toBeGreaterThan(3);
    }
    expect(new Set(indices).size).toBeGreaterThan(5);
    expect(paletteColour(16)).toEqual([0, 0, 0]);
    expect(paletteColour(231)).toEqual([255, 255, 255]);
  });

  test('uncertain tokens are underlined whatever the colours', () => {
    for (const depth of ['basic', 'palette', 'true'] as const) {
      expect(probabilityColour(0.4, depth)('x')).toContain('\u001b[4;');
      expect(probabilityColour(0.6, depth)('x')).not.toContain('\u001b[4');
    }
    expect(probabilityColour(0.01, 'none')('x')).toBe('x');
  });

  test.each([
    [{ isTTY: true }, { TERM: 'xterm', COLORTERM: 'truecolor' }, true, 'true'],
    [{ isTTY: true }, { TERM: 'xterm-256color' }, true, 'palette'],
    [{ isTTY: true }, { TERM: 'xterm' }, true, 'basic'],
    [{ isTTY: true }, { TERM: 'dumb' }, true, 'none'],
    [{ isTTY: true }, { TERM: 'xterm', NO_COLOR: '1' }, true, 'none'],
    [{ isTTY: true }, { TERM: 'xterm' }, false, 'none'],
    [{}, { TERM: 'xterm-256color' }, true, 'none'],
  ] as const)('a stream %j with %j gets %s', (stream, environment, isAllowed, depth) => {
    expect(colourDepth(stream, environment, isAllowed)).toBe(depth);
  });
});

describe('text of others', () => {
  test('cannot steer the terminal: control characters appear as escapes', () => {
    const text = 'a\u001b[2J\u0007\r\u009b31m\u202eb\tc\nd\u2028';
    expect(visibleText(text)).toBe('a\\x1b[2J\\x07\\r\\x9b31m\\u202eb\tc\nd\\u2028');
    expect(visibleLine(text)).toBe('a\\x1b[2J\\x07\\r\\x9b31m\\u202eb\\tc\\nd\\u2028');
    expect(visibleText('Grüße 你好 👋')).toBe('Grüße 你好 👋');
  });
});

const tokenizer = trainBpe([], { vocabSize: 259 });
const ids = (text: string) => tokenizer.encode(text);

/** A completion of these texts, each token with its probability; `top` gives alternatives of the first byte. */
function completion(
  parts: readonly (readonly [string, ...number[]])[],
  top: Record<string, number> = {},
  text = parts.map(([part]) => part).join(''),
): Completion {
  const logprobs = parts.flatMap(([part, ...probabilities]) =>
    ids(part).map((token, i): PositionLogprobs => {
      const probability = probabilities[i] ?? probabilities[0]!;
      const others = Object.entries(top).map(([other, p]) => ({
        token: ids(other)[0]!,
        logprob: Math.log(p),
      }));
      return {
        token,
        logprob: Math.log(probability),
        top: [...others, { token, logprob: Math.log(probability) }],
      };
    }),
  );
  return {
    text,
    tokens: logprobs.map(({ token }) => token),
    finishReason: 'stop',
    usage: { promptTokens: 1, completionTokens: logprobs.length },
    seed: 0,
    logprobs,
  };
}

describe('an answer with its probabilities', () => {
  test('joins tokens that hold parts of one character, with their joint probability', () => {
    const { logprobs } = completion([
      ['a', 0.9],
      ['你', 0.5, 0.8, 0.5],
      ['!', 1],
    ]);
    const pieces = tokenPieces(tokenizer, logprobs!);
    expect(pieces.map(({ text, places }) => [text, places.length])).toEqual([
      ['a', 1],
      ['你', 3],
      ['!', 1],
    ]);
    expect(pieces[1]!.probability).toBeCloseTo(0.2, 10);
  });

  test('marks uncertain tokens by brackets where there are no colours', () => {
    const marked = markedText(
      tokenizer,
      completion([
        ['a', 0.9],
        ['b', 0.34],
        ['\n', 0.04],
        ['你', 0.5],
      ]),
      'none',
    );
    expect(marked).toBe('a[b 34 %][\\n 4 %]\n[你 13 %]');
  });

  test('colours each line by itself and gives the same text without the colours', () => {
    const marked = markedText(
      tokenizer,
      completion([
        ['a', 0.9],
        ['\n', 0.2],
        ['b', 0.2],
      ]),
      'true',
    );
    expect(withoutColours(marked)).toBe('a\nb');
    expect(marked.split('\n')[0]?.endsWith('\u001b[0m')).toBe(true);
  });

  test('a token that would steer the terminal is harmless in text, brackets and table', () => {
    const evil = completion(
      [
        ['\u001b', 0.3],
        ['c', 0.9],
        ['\u202e', 0.5],
      ],
      { '\u0007': 0.6 },
    );
    for (const depth of ['none', 'true'] as const) {
      const shown = `${markedText(tokenizer, evil, depth)}${probabilityTable(tokenizer, evil, { depth })}`;
      const plain = withoutColours(shown);
      expect(plain).not.toMatch(/(?!\n)\p{Cc}|\p{Bidi_Control}/u);
      expect(plain).toContain('\\x1b');
      expect(plain).toContain('"\\x07"');
    }
  });

  test('lists uncertain tokens with the others, aligned, without the token itself', () => {
    const table = probabilityTable(
      tokenizer,
      completion(
        [
          ['a', 0.9],
          ['b', 0.34],
          ['c', 0.05],
        ],
        { x: 0.5, y: 0.12 },
      ),
      {
        depth: 'none',
        numAlternatives: 2,
      },
    );
    expect(table.split('\n')).toEqual([
      '3 tokens, perplexity 4.03',
      '#  token  chance  instead',
      '2  "b"      34 %  "x"      50 %  "y"  12 %',
      '3  "c"       5 %  "x"      50 %  "y"  12 %',
    ]);
  });

  test('shows bytes of a character split over tokens, and which it is', () => {
    const table = probabilityTable(tokenizer, completion([['你', 0.3, 0.9, 0.9]]), { depth: 'none' });
    expect(table).toContain('1  \\xe4 of "你"    30 %');
  });

  test('gives up alternatives until a line fits', () => {
    const wide = completion([['b', 0.34]], { u: 0.1, v: 0.1, w: 0.1, x: 0.1 });
    const lines = (width: number) =>
      probabilityTable(tokenizer, wide, { depth: 'none', numAlternatives: 4, width }).split('\n').slice(1);
    expect(lines(80)[1]).toContain('"x"');
    for (const width of [40, 25, 20]) {
      for (const line of lines(width)) expect(line.length).toBeLessThanOrEqual(width);
    }
    expect(lines(25)[1]).toContain('"b"');
  });

  test('leaves the tokens of a stop string out', () => {
    const stopped = completion(
      [
        ['ab', 0.4],
        ['cd', 0.4],
      ],
      {},
      'abc',
    );
    expect(markedText(tokenizer, stopped, 'none')).toBe('[a 40 %][b 40 %][c 40 %]');
  });

  test('says so when nothing is uncertain or nothing was generated', () => {
    expect(probabilityTable(tokenizer, completion([['a', 0.9]]), { depth: 'none' })).toContain(
      'No token had less',
    );
    expect(probabilityTable(tokenizer, completion([]), { depth: 'none' })).toBe('No token was generated.');
  });

  test('shows at most twenty tokens, the least probable, and counts the others', () => {
    const many = completion(Array.from({ length: 30 }, (_, i) => ['a', 0.1 + i / 100] as const));
    const lines = probabilityTable(tokenizer, many, { depth: 'none' }).split('\n');
    expect(lines).toHaveLength(1 + 1 + 20 + 1);
    expect(lines.at(-1)).toBe('and 10 more below 50 %');
    expect(lines.at(-2)).toMatch(/^20 /);
  });

  test('without a tokenizer shows ids', () => {
    const { logprobs, ...rest } = completion([['b', 0.34]]);
    const shown = markedText(undefined, { ...rest, text: '', logprobs }, 'none');
    expect(shown).toBe(`[${logprobs![0]!.token}  34 %]`);
  });

  test.each([
    [1, '100 %'],
    [0.9994, '99 %'],
    [0.5, '50 %'],
    [0.0994, '9.9 %'],
    [0.03, '3 %'],
    [0.0004, '<0.1 %'],
  ])('%d is written %s', (probability, text) => {
    expect(percent(probability)).toBe(text);
  });
});
