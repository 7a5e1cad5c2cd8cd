/** Tables of the report: figures on the right, names on the left, every header cell marked as one. */
import { Markup, type MarkupValue, markup } from './markup.ts';

export interface Column {
  readonly title: string;
  /** Figures align on the right with digits of equal width; 'half' is text that takes half the table. */
  readonly kind?: 'text' | 'figure' | 'chart' | 'half';
}

export interface TableInput {
  readonly caption?: string;
  readonly columns: readonly Column[];
  /** The first cell names the row. */
  readonly rows: readonly (readonly MarkupValue[])[];
  /** The last row is a sum. */
  readonly hasTotal?: boolean;
}

export function table({ caption, columns, rows, hasTotal = false }: TableInput): Markup {
  const classOf = (i: number) => columns[i]?.kind ?? 'text';
  const head = columns.map(({ title }, i) => markup`<th scope="col" class="${classOf(i)}">${title}</th>`);
  const body = rows.map((cells, r) => {
    const total = hasTotal && r === rows.length - 1 ? new Markup(' class="total"') : undefined;
    const content = cells.map((cell, i) =>
      i === 0
        ? markup`<th scope="row" class="${classOf(0)}">${cell}</th>`
        : markup`<td class="${classOf(i)}">${cell}</td>`,
    );
    return markup`<tr${total}>${content}</tr>\n`;
  });
  return markup`<div class="scroll" tabindex="0" role="group"${caption ? markup` aria-label="${caption}"` : undefined}><table>${
    caption ? markup`<caption>${caption}</caption>` : undefined
  }<thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`;
}

/** Names and values, two columns. */
export function pairs(rows: readonly (readonly [name: string, value: MarkupValue])[]): Markup {
  return markup`<dl class="pairs">${rows.map(
    ([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>\n`,
  )}</dl>`;
}

export function section(id: string, title: string, ...content: MarkupValue[]): Markup {
  return markup`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${content}</section>
`;
}
