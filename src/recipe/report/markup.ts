/**
 * HTML from templates that escape by default: whatever is put into a `markup` template is text unless it came
 * out of another one. So nothing from a table, a model or a file name can become an element or a script.
 */

export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type MarkupValue = Markup | string | number | undefined | readonly MarkupValue[];

/** Also safe inside quoted attributes. */
export function escapeMarkup(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
      // Control characters have no meaning in HTML and lone surrogates no form in UTF-8.
      .replace(/(?![\t\n\r])\p{Cc}/gu, '\ufffd')
      .toWellFormed()
  );
}

function textOf(value: MarkupValue): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeMarkup(value);
  return value.map(textOf).join('');
}

export function markup(strings: TemplateStringsArray, ...values: readonly MarkupValue[]): Markup {
  let text = strings[0]!;
  values.forEach((value, i) => {
    text += textOf(value) + strings[i + 1]!;
  });
  return new Markup(text);
}
