/**
 * Markdown reduced to its words, line by line: front matter, heading marks, emphasis, link targets, quote marks,
 * rules, tags and comments go; the text of links and images, list marks and code stay. Works on one line at a
 * time, so a link whose text spans lines keeps its brackets. (CommonMark 0.31 for the marks; front matter and
 * tables as GitHub writes them.)
 */

/** Front matter that does not end within so many lines was none. */
const maxFrontMatterLines = 200;
/** Longer lines are taken as they are: prose has none, and patterns would take their time over them. */
const maxLineCharacters = 20_000;

export class MarkdownText {
  #isFirst = true;
  /** The lines since a first line that may begin front matter. */
  #frontMatter: string[] | null = null;
  #fence: { char: string; length: number } | null = null;
  #isInComment = false;
  #isAfterText = false;

  /** The words of the file's next line (of several, when these had to wait); null when all of it is markup. */
  line(source: string): string | null {
    if (this.#isFirst) {
      this.#isFirst = false;
      if (/^(?:---|\+\+\+)\s*$/.test(source)) {
        this.#frontMatter = [source];
        return null;
      }
    }
    if (this.#frontMatter === null) return this.#body(source);
    const closes = this.#frontMatter[0]!.startsWith('-') ? /^(?:---|\.\.\.)\s*$/ : /^\+\+\+\s*$/;
    if (closes.test(source)) {
      this.#frontMatter = null;
      return null;
    }
    this.#frontMatter.push(source);
    const canBe = /^(?:$|[\s#\-[\]{}]|[\w"'.-]+\s*[:=])/.test(source);
    return canBe && this.#frontMatter.length <= maxFrontMatterLines ? null : this.end();
  }

  /** What still waits at the end of the file: lines taken for front matter that was never closed. */
  end(): string | null {
    const lines = (this.#frontMatter ?? []).map((line) => {
      this.#frontMatter = null;
      return this.#body(line);
    });
    const kept = lines.filter((line) => line !== null);
    return kept.length === 0 ? null : kept.join('\n');
  }

  #body(source: string): string | null {
    if (source.length > maxLineCharacters) return source;
    const fenced = this.#fenced(source);
    return fenced === undefined ? this.#prose(source) : fenced;
  }

  /** Lines of a fenced code block as they are, without the fences; undefined outside of one. */
  #fenced(source: string): string | null | undefined {
    const mark = /^ {0,3}(?:> ?)*(`{3,}|~{3,})(.*)$/.exec(source);
    if (this.#fence !== null) {
      const { char, length } = this.#fence;
      const [, run = '', rest = ''] = mark ?? [];
      const closes = run.startsWith(char) && run.length >= length && rest.trim() === '';
      if (!closes) return source;
      this.#fence = null;
      return '';
    }
    if (mark === null || this.#isInComment || (mark[1]!.startsWith('`') && mark[2]!.includes('`')))
      return undefined;
    this.#fence = { char: mark[1]![0]!, length: mark[1]!.length };
    this.#isAfterText = false;
    return '';
  }

  #prose(source: string): string | null {
    let text = this.#withoutComments(source);
    if (text.trim() === '') {
      this.#isAfterText = false;
      // A line that held nothing but a comment is no paragraph's end.
      return source.trim() === '' ? '' : null;
    }
    // Indented code stays as it is, unless it continues a paragraph.
    if (/^(?: {4}|\t)/.test(text) && !this.#isAfterText && !/^\s+(?:[-*+]|\d+[.)])\s/.test(text)) return text;
    text = text.replace(/^ {0,3}(?:> ?)+/, '');
    const isUnderline = this.#isAfterText && /^ {0,3}(?:=+|-+)\s*$/.test(text);
    const isRule = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/.test(text);
    const isDefinition = /^ {0,3}\[[^\]]+\]:\s*\S/.test(text);
    const isTableRule = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$/.test(text);
    if (isUnderline || isRule || isDefinition || isTableRule) {
      this.#isAfterText = isTableRule;
      return isRule && !isUnderline ? '' : null;
    }
    this.#isAfterText = true;
    const heading = /^ {0,3}#{1,6}(?:\s+|$)/.exec(text);
    if (heading !== null) {
      this.#isAfterText = false;
      text = text.slice(heading[0].length).replace(/\s+#+\s*$/, '');
    } else if (/^\s*\|.*\|\s*$/.test(text)) {
      text = text
        .trim()
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim())
        .join('\t');
    }
    return inlineText(text);
  }

  #withoutComments(source: string): string {
    let text = source;
    if (this.#isInComment) {
      const end = text.indexOf('-->');
      if (end === -1) return '';
      text = text.slice(end + 3);
      this.#isInComment = false;
    }
    for (let start = text.indexOf('<!--'); start !== -1; start = text.indexOf('<!--')) {
      const end = text.indexOf('-->', start + 4);
      this.#isInComment = end === -1;
      text = text.slice(0, start) + (end === -1 ? '' : text.slice(end + 3));
    }
    return text;
  }
}

/** Code spans are kept out of the way of the other marks and put back at the end. */
function inlineText(text: string): string {
  if (!/[`*_[\]<\\~&]/.test(text)) return text;
  const parts: string[] = [];
  let last = 0;
  for (const match of text.matchAll(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/g)) {
    parts.push(withoutMarks(text.slice(last, match.index)), match[2]!.replace(/^ (.+) $/, '$1'));
    last = match.index + match[0].length;
  }
  parts.push(withoutMarks(text.slice(last)));
  return parts.join('');
}

const escapedMark = /\\([!-/:-@[-`{-~])/g;

function withoutMarks(text: string): string {
  // Escaped marks are plain characters: they sit out the patterns in the private use area.
  const shielded = text.replace(escapedMark, (_, mark: string) =>
    String.fromCharCode(0xf700 + mark.charCodeAt(0)),
  );
  return shielded
    .replace(/!\[([^[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)?\)|\[[^[\]]*\])/g, '$1')
    .replace(/\[\^[^[\]]+\]/g, '')
    .replace(/\[([^[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)?\)|\[[^[\]]*\])/g, '$1')
    .replace(/<((?:https?|mailto|ftp):[^<>\s]*)>/gi, '$1')
    .replace(/<br\s*\/?>/gi, ' ')
    .replace(/<\/?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?\/?>/g, '')
    .replace(/(\*{1,3}|~~)(?=\S)([^*~]*[^*~\s])\1/g, '$2')
    .replace(/(?<![\p{L}\p{N}_])(_{1,3})(?=\S)([^_]*[^_\s])\1(?![\p{L}\p{N}_])/gu, '$2')
    .replace(/\*\*(?=\S)([^*]*(?:\*[^*]+\*[^*]*)*)\*\*/g, (_, inner: string) => inner.replaceAll('*', ''))
    .replace(/[\uf721-\uf77e]/g, (mark) => String.fromCharCode(mark.charCodeAt(0) - 0xf700));
}
