/**
 * Our inference beside fastText's own (npm fasttext.wasm.js 1.0.0, the same lid.176.ftz): same label, same
 * probability. fastText reads one line and appends the end-of-line token, so texts go to it with their line breaks
 * as spaces and one at the end.
 */
import { getLIDModel } from 'fasttext.wasm.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Paragraph, udhrParagraphs } from '../../bench/udhr-paragraphs.ts';
import { type LanguageIdentifier, loadLanguageIdentifier } from '../../src/data/language/index.node.ts';

type Peer = Awaited<ReturnType<Awaited<ReturnType<typeof getLIDModel>>['load']>>;

let identifier: LanguageIdentifier;
let peer: Peer;

beforeAll(async () => {
  identifier = await loadLanguageIdentifier();
  peer = await (await getLIDModel()).load();
});

function fastText(text: string, k: number): { language: string; score: number }[] {
  const found = peer.predict(`${text.replace(/[\n\r\v\f\0]/g, ' ')}\n`, k, 0);
  const guesses = Array.from({ length: found.size() }, (_, i) => {
    const [score, label] = found.get(i) as unknown as [number, string];
    return { language: label.replace('__label__', ''), score: Math.min(1, score) };
  });
  found.delete();
  return guesses;
}

function expectSame(text: string): void {
  const theirs = fastText(text, 3);
  const ours = identifier.top(text, 3);
  for (const [i, { language, score }] of theirs.entries()) {
    expect(Math.abs(ours[i]!.score - score), `${JSON.stringify(text)}, rank ${i}`).toBeLessThan(1e-4);
    // Neighbours closer than the tolerance may change places.
    const next = theirs[i + 1];
    const before = theirs[i - 1];
    if (i < 2 && score - next!.score > 2e-4 && (before === undefined || before.score - score > 2e-4)) {
      expect(ours[i]!.language, JSON.stringify(text)).toBe(language);
    }
  }
}

describe('labels and probabilities equal those of fastText', () => {
  test('on declarations of human rights: all that the model knows, a fifth of the others', () => {
    let numTexts = 0;
    for (const [i, paragraphs] of [...byDeclaration().values()].entries()) {
      if (paragraphs[0]!.language === undefined && i % 5 !== 0) continue;
      const { text } = paragraphs[Math.min(3, paragraphs.length - 1)]!;
      for (const part of [text, text.slice(0, 25), text.slice(5, 12).replace(/\p{Surrogate}/gu, '')]) {
        expectSame(part);
        numTexts++;
      }
    }
    expect(numTexts).toBeGreaterThan(600);
  });

  test('on short, odd and mixed texts', () => {
    const texts = [
      '',
      ' ',
      '\n\n',
      'a',
      'x y z',
      'Hello',
      'hello, World!',
      '12345 67.89',
      '!!! ??? ...',
      '🙂🙂 👍🏽 family: 👨‍👩‍👧',
      'tab\tseparated\vwords\fand\r\nlines',
      'NUL\0inside',
      'no-break\u00a0space and \u2028 line separator',
      'Hello мир 世界 ပုဂံ สวัสดี',
      'naïve café Ångström',
      '__label__en is a label and no word',
      `a very long word: ${'donaudampfschifffahrt'.repeat(40)}`,
      `中文没有空格${'的句子可以很长'.repeat(60)}`,
      '𝐌𝐚𝐭𝐡 𝔩𝔢𝔱𝔱𝔢𝔯𝔰 𠀀𠀁𠀂',
      '<html><body>Le texte</body></html>',
      'SELECT * FROM table WHERE id = 1;',
      'ñ',
      'ß',
      'ə ɛ ɔ',
    ];
    for (const text of texts) expectSame(text);
  });
});

function byDeclaration(): Map<string, Paragraph[]> {
  const groups = new Map<string, Paragraph[]>();
  for (const paragraph of udhrParagraphs(new Set(identifier.languages))) {
    const group = groups.get(paragraph.code);
    if (group) group.push(paragraph);
    else groups.set(paragraph.code, [paragraph]);
  }
  return groups;
}
