/** The text of web pages: what stays, how blocks become lines, which encoding is taken, which pages are refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { LimitError } from '../../src/core/errors.ts';
import { decodePage } from '../../src/data/readers/html-charset.ts';
import { measurePage } from '../../src/data/readers/html-measure.ts';
import { mainText, maxPageDepth } from '../../src/data/readers/html-text.ts';
import { openReader } from '../../src/data/readers/open-reader.node.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-html-'));
afterAll(() => rmSync(folder, { recursive: true }));

const sentence = 'This is a sentence of the article, with some words in it, that goes on for a while. ';
const article = `<!doctype html><html><head><title>The  title</title><style>p { color: red }</style>
  <script>var notText = 1;</script></head><body>
  <nav><ul><li><a href="/">Home</a><li><a href="/b">Blog</a></ul></nav>
  <div class="sidebar"><a href="/x">Related</a> <a href="/y">links</a></div>
  <article><h1>Heading</h1><p>First. ${sentence.repeat(6)}</p>
  <p>Second with <b>bold</b>, <a href="/l">a link</a> and<br>a break. ${sentence.repeat(6)}</p>
  <ul><li>One item, and more</li><li>Two items, and more</li></ul>
  <table><tr><th>a</th><th>b</th></tr><tr><td>1, one</td><td>2</td></tr></table>
  <pre>code {\n    indented\n}</pre></article>
  <footer>Copyright, all rights, and so on</footer></body></html>`;

describe('mainText', () => {
  it('keeps the article, with paragraphs, lines and cells, and drops what is around it', () => {
    const page = mainText(article);
    expect(page!.title).toBe('The title');
    const text = page!.text;
    expect(text).toContain('First. This is a sentence');
    expect(text).toMatch(/\.\n\nSecond with bold, a link and\na break\./);
    expect(text).toContain('One item, and more\nTwo items, and more');
    expect(text).toContain('a\tb\n1, one\t2');
    expect(text).toContain('code {\n    indented\n}');
    for (const gone of ['Home', 'Related', 'notText', 'color', 'Copyright']) expect(text).not.toContain(gone);
  });

  it('takes the visible text of a page without an article', () => {
    expect(mainText('Just <i>some</i> words')).toEqual({ title: '', text: 'Just some words' });
    const short =
      '<title>T</title><body><nav>menu</nav><p hidden>no<p>A<p style="display: none">no<p>B&nbsp;&amp; C';
    expect(mainText(short)).toEqual({ title: 'T', text: 'A\n\nB & C' });
    expect(mainText('<p>a<br><br>b<br>c')!.text).toBe('a\n\nb\nc');
  });

  it('gives null where there is no text', () => {
    for (const html of [
      '',
      '   ',
      '<html></html>',
      '<script>x()</script>',
      '<!-- only -->',
      '<p></p>',
      '<svg>',
    ]) {
      expect(mainText(html)).toBeNull();
    }
  });

  it('refuses pages that are too deep, too large or have too many parts, without parsing them', () => {
    const start = performance.now();
    for (const html of [
      '<div>'.repeat(100_000),
      '<b><i>'.repeat(50_000),
      `${'<div>'.repeat(maxPageDepth + 1)}text`,
      '<p>word'.repeat(300_000),
      '&amp;'.repeat(300_000),
      '<'.repeat(300_000),
      'x'.repeat(11 * 1024 * 1024),
    ]) {
      expect(() => mainText(html, 'https://example.com')).toThrow(LimitError);
      expect(() => mainText(html, 'https://example.com')).toThrow('The page https://example.com');
    }
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('takes seconds at most for pages just below the limits', () => {
    const deep = `${'<div>'.repeat(maxPageDepth - 10)}deep text`;
    expect(mainText(deep)!.text).toBe('deep text');
    const start = performance.now();
    expect(mainText('<p>word'.repeat(30_000))!.text.startsWith('word\n\nword')).toBe(true);
    expect(mainText(`<p>${'&nbsp;x'.repeat(30_000)}`)!.text.length).toBe(59_999);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('survives what is hardly HTML', () => {
    for (const html of [
      '<p <p <p',
      '<!doctype',
      '</p></div>',
      '<a href="',
      '<![CDATA[x]]>',
      '<table><tr><td>',
      '\0<p>',
    ]) {
      expect(() => mainText(html)).not.toThrow();
    }
    expect(mainText('<p>a</p></html></body><p>b')!.text).toContain('b');
  });
});

describe('measurePage', () => {
  const measure = (html: string) => measurePage(html, { maxNodes: 1e6, maxDepth: 1e6 });

  it('follows implied ends, raw text and quotes', () => {
    expect(measure('<ul><li>a<li>b<li>c</ul>').maxDepth).toBe(2);
    expect(measure('<p>a<p>b<div>c').maxDepth).toBe(1);
    expect(measure('<table><tr><td>1<td>2<tr><td>3</table>').maxDepth).toBe(3);
    expect(measure('<script>"<div><div><div>"</script><p>').maxDepth).toBe(1);
    expect(measure('<!-- <div><div> --><br><img src="a>b<div><div>"><p>').maxDepth).toBe(1);
    expect(measure('<div><div></div><div></div></div>')).toEqual({ numNodes: 6, maxDepth: 2 });
  });
});

describe('decodePage', () => {
  const latin = (text: string): Buffer => Buffer.from(text, 'latin1');

  it('asks the mark, the header, the page, and then the bytes', () => {
    expect(decodePage(Buffer.from('\uFEFFhé', 'utf16le'), 'text/html; charset=utf-8').charset).toBe(
      'utf-16le',
    );
    expect(decodePage(latin('é'), 'text/html; charset="ISO-8859-1"')).toEqual({
      text: 'é',
      charset: 'windows-1252',
    });
    expect(decodePage(Buffer.from('<meta charset=koi8-r>\xd0', 'latin1')).text).toBe(
      '<meta charset=koi8-r>п',
    );
    expect(
      decodePage(latin('<meta http-equiv="x" content="text/html; charset=iso-8859-2">\xb1')).text,
    ).toContain('ą');
    expect(decodePage(latin('<?xml version="1.0" encoding="iso-8859-1"?>é')).text).toContain('é');
    expect(decodePage(Buffer.from('é 日本')).charset).toBe('utf-8');
    expect(decodePage(latin('é')).charset).toBe('windows-1252');
    expect(decodePage(Buffer.from('<meta charset=utf-16>é')).text).toContain('é');
    expect(decodePage(Buffer.from('é'), 'text/html; charset=no-such').text).toBe('é');
  });
});

describe('HTML files', () => {
  it('are one document each, with their title, or their source when asked', async () => {
    const path = join(folder, 'page.html');
    writeFileSync(path, article);
    const documents = [];
    for await (const document of openReader(path).read()) documents.push(document);
    expect(documents).toMatchObject([{ id: 'page.html', source: path, meta: { title: 'The title' } }]);
    const raw = [];
    for await (const document of openReader(path, { html: 'raw' }).read()) raw.push(document);
    expect(raw).toEqual([{ id: 'page.html', text: article, source: path, meta: { mediaType: 'text/html' } }]);
  });

  it('that are too deep or without text are counted', async () => {
    for (const [html, reason] of [
      ['<div>'.repeat(1000), 'nests elements more than 512 deep'],
      ['<script></script>', 'the page has no text'],
    ] as const) {
      const path = join(folder, 'odd.htm');
      writeFileSync(path, html);
      const reader = openReader(path);
      for await (const _ of reader.read()) throw new Error('a document');
      expect(reader.report.skipped[0]!.reason).toContain(reason);
    }
  });
});
