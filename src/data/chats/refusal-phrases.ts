/**
 * How answers begin that do not answer: refusals ("I can't help with that") and admissions of not knowing. The only
 * list of them; lower case, with a plain apostrophe. Long answers that begin otherwise count as answers.
 */
export const REFUSAL_PHRASES: Readonly<Record<'refusal' | 'unknown', readonly string[]>> = {
  refusal: [
    "i'm sorry, but",
    'i am sorry, but',
    "i'm sorry, i can",
    'sorry, but i can',
    "sorry, i can't",
    "i can't help",
    'i cannot help',
    "i can't assist",
    'i cannot assist',
    "i can't provide",
    'i cannot provide',
    'i cannot fulfill',
    "i can't fulfill",
    "i won't",
    'i will not',
    "i'm not able to",
    'i am not able to',
    "i'm unable to",
    'i am unable to',
    'as an ai',
    'i must decline',
    'es tut mir leid, aber',
    'dabei kann ich nicht helfen',
    'je suis désolé, mais',
    'je ne peux pas',
    'lo siento, pero',
    'no puedo',
    'mi dispiace, ma',
    'sinto muito, mas',
  ],
  unknown: [
    "i don't know",
    'i do not know',
    "i'm not sure",
    'i am not sure',
    'i am unsure',
    "i'm unsure",
    "i don't have information",
    'i do not have information',
    'ich weiß es nicht',
    'das weiß ich nicht',
    'je ne sais pas',
    'no lo sé',
    'non lo so',
    'não sei',
  ],
};

/** Words before the phrase that still make it the beginning, in characters. */
const MAX_LEAD = 40;

/** Which kind of non-answer a text is; undefined for an answer. */
export function refusalKind(answer: string): 'refusal' | 'unknown' | undefined {
  const start = answer.slice(0, 200).replaceAll('’', "'").toLowerCase().trimStart();
  const isSaid = (phrase: string) => {
    const at = start.indexOf(phrase);
    return at >= 0 && at <= MAX_LEAD;
  };
  return (['refusal', 'unknown'] as const).find((kind) => REFUSAL_PHRASES[kind].some(isSaid));
}
