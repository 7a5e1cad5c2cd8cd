/**
 * General phrasings for a column of which only the label is known. They are written out in full into the
 * drafted sheet, so that its reader can make them natural.
 */

/** A column's name as words: 'atomicNumber' and 'atomic_number' -> 'atomic number'; capitals like GDP stay. */
export function labelOf(column: string): string {
  return column
    .normalize('NFC')
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')
    .replace(/[{}_\s.:?!]+/g, ' ')
    .trim()
    .split(' ')
    .map((word) => (/^\p{Lu}{2,}/u.test(word) ? word : word.toLowerCase()))
    .join(' ')
    .slice(0, 60)
    .trim();
}

export function draftStatements(label: string, isList: boolean): string[] {
  const be = isList && label.endsWith('s') ? 'are' : 'is';
  return [
    `The ${label} of {entity} ${be} {value}.`,
    `{entity}'s ${label} ${be} {value}.`,
    `For {entity}, the ${label} ${be} {value}.`,
    `${capital(label)} of {entity}: {value}.`,
    `{entity} has {value} as ${label}.`,
    `{entity} is listed with this ${label}: {value}.`,
  ];
}

export function draftYesNoStatements(label: string): { yes: string[]; no: string[] } {
  const forms = (answer: string, truth: string, counts: string): string[] => [
    `Is this so for {entity}: ${label}? ${answer}.`,
    `It is ${truth} of {entity}: ${label}.`,
    `{entity} ${counts} under "${label}".`,
    `${capital(label)} for {entity}: ${answer.toLowerCase()}.`,
    `Under "${label}", {entity} has the entry ${answer.toLowerCase()}.`,
  ];
  return { yes: forms('Yes', 'true', 'falls'), no: forms('No', 'not true', 'does not fall') };
}

export function draftQuestions(label: string, isList: boolean): string[] {
  const be = isList && label.endsWith('s') ? 'are' : 'is';
  return [
    `What ${be} the ${label} of {entity}?`,
    `What ${be} {entity}'s ${label}?`,
    `Which ${label} does {entity} have?`,
    `{name}: ${label}?`,
    `Give the ${label} of {entity}.`,
    `For {entity}, what ${be} the ${label}?`,
    `I want to know the ${label} of {entity}.`,
    `What does {entity} have as ${label}?`,
  ];
}

export function draftReverseQuestions(label: string, noun: string): string[] {
  return [
    `Which ${noun} has the ${label} {value}?`,
    `{value} is the ${label} of which ${noun}?`,
    `Whose ${label} is {value}?`,
    `Name the ${noun} with the ${label} {value}.`,
    `${capital(label)} {value}: which ${noun}?`,
    `Find the ${noun} whose ${label} is {value}.`,
    `To which ${noun} does the ${label} {value} belong?`,
  ];
}

function capital(text: string): string {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('');
}
