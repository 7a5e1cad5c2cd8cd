/** Markdown reduced to its words: which marks go, and that code and plain characters stay. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MarkdownText } from '../../src/data/readers/markdown-text.ts';
import { openReader } from '../../src/data/readers/open-reader.node.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-markdown-'));
afterAll(() => rmSync(folder, { recursive: true }));

function reduced(source: string): string {
  const markdown = new MarkdownText();
  const lines = source.split('\n').map((line) => markdown.line(line));
  return [...lines, markdown.end()].filter((line) => line !== null).join('\n');
}

describe('Markdown', () => {
  it.each([
    ['## A heading ##', 'A heading'],
    ['# C# and F#', 'C# and F#'],
    ['Title\n=====\ntext', 'Title\ntext'],
    ['a *soft* **strong** ***both*** ~~gone~~ word', 'a soft strong both gone word'],
    ['snake_case_name and _soft_ and __strong__', 'snake_case_name and soft and strong'],
    ['2 * 3 * 4 and a*b', '2 * 3 * 4 and a*b'],
    ['see [the *docs*](https://a.b/c_(d)) or [ref][1] now', 'see the docs or ref now'],
    ['![an image](a.png "title") here', 'an image here'],
    ['[![badge](b.svg)](https://x) text', 'badge text'],
    ['<https://example.com> and a <b>tag</b>', 'https://example.com and a tag'],
    ['a < b and c > d', 'a < b and c > d'],
    ['`code *stays* [x](y)` but *this* goes', 'code *stays* [x](y) but this goes'],
    ['`` a ` b ``', 'a ` b'],
    ['\\*not soft\\* and 1\\. one', '*not soft* and 1. one'],
    ['> quoted *text*\n> > twice', 'quoted text\ntwice'],
    ['- item *one*\n- two', '- item one\n- two'],
    ['a\n\n---\n\nb', 'a\n\n\n\nb'],
    ['[1]: https://example.com\ntext', 'text'],
    ['a note[^1] here', 'a note here'],
    ['| a | **b** |\n|---|:-:|\n| 1 | 2 |', 'a\tb\n1\t2'],
    ['before <!-- a comment --> after\n<!-- over\ntwo lines --> rest', 'before  after\n rest'],
    ['**bold *and soft* text**', 'bold and soft text'],
  ])('%s', (source, text) => {
    expect(reduced(source)).toBe(text);
  });

  it('keeps code blocks as they are', () => {
    const code = 'const a = **b**;\n  # no heading\n\n[x](y)';
    expect(reduced(`\`\`\`js\n${code}\n\`\`\`\n*after*`)).toBe(`\n${code}\n\nafter`);
    expect(reduced(`~~~\n\`\`\`\n${code}\n~~~`)).toBe(`\n\`\`\`\n${code}\n`);
    expect(reduced('text\n\n    indented *code*\n')).toBe('text\n\n    indented *code*\n');
  });

  it('drops front matter, but not a rule at the start', () => {
    expect(reduced('---\ntitle: x\ntags:\n  - a\n---\n# Text')).toBe('Text');
    expect(reduced('+++\ntitle = "x"\n+++\nText')).toBe('Text');
    expect(reduced('---\n\nNo front matter. Just a rule.\n\nEnd')).toContain(
      'No front matter. Just a rule.\n\nEnd',
    );
    expect(reduced('---\nkey: never closed')).toContain('key: never closed');
  });

  it('takes no time over hostile lines', () => {
    const start = performance.now();
    for (const line of [
      '*'.repeat(20_000),
      '[('.repeat(10_000),
      '**a *b '.repeat(2800),
      '`` ` '.repeat(4000),
      '<a '.repeat(6000),
      '> '.repeat(9000),
      '_a'.repeat(9000),
      '| - '.repeat(5000),
      '- '.repeat(9000),
      '![['.repeat(6000),
      'x'.repeat(1e6),
    ]) {
      new MarkdownText().line(line);
    }
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('files are read as text or as source', async () => {
    const path = join(folder, 'a.md');
    writeFileSync(path, '---\ntitle: x\n---\n# *Title*\n\nSome [link](x).\n');
    const texts = async (options = {}): Promise<string[]> => {
      const found: string[] = [];
      for await (const { text } of openReader(path, options).read()) found.push(text);
      return found;
    };
    expect(await texts()).toEqual(['Title\n\nSome link.']);
    expect(await texts({ by: 'paragraph' })).toEqual(['Title', 'Some link.']);
    expect(await texts({ markdown: 'source' })).toEqual(['---\ntitle: x\n---\n# *Title*\n\nSome [link](x).']);
  });
});
