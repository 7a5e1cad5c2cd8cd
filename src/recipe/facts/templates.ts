/** Fills a sheet's templates. Values are inserted once and never read as templates themselves. */
import type { FactSheet } from './fact-sheet.ts';

/** The name as it stands inside a sentence: with "the" and in lower case where the sheet says so. */
export function nameInText(name: string, sheet: FactSheet): string {
  const { article, lowerCaseInText } = sheet.entity;
  const text = lowerCaseInText ? name.toLowerCase() : name;
  const words = name.split(/[\s-]+/);
  const takesArticle = article?.some((word) => words.includes(word)) ?? false;
  return takesArticle && !/^the\s/i.test(text) ? `the ${text}` : text;
}

/** A sentence or question; a leading {entity} gets a capital, a name in -s a bare apostrophe, and a full stop is not doubled. */
export function renderTemplate(template: string, sheet: FactSheet, name: string, value: string): string {
  const text = template.replace(
    /\{(entity|name|value)\}('s\b)?/g,
    (_, key: string, genitive: string | undefined, offset: number) => {
      const inText = key === 'value' ? value : key === 'name' ? name : nameInText(name, sheet);
      const filled = key === 'entity' && offset === 0 ? capitalize(inText) : inText;
      if (genitive === undefined) return filled;
      return filled + (filled.endsWith('s') ? "'" : genitive);
    },
  );
  return text.replace(/\.\.$/, '.');
}

function capitalize(text: string): string {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('');
}
