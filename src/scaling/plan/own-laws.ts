/** Laws of small models that this project fitted on its own runs, for texts of which no law is known. */
import { ConfigError } from '../../core/errors.ts';
import type { DataLaw } from './data-law.ts';

/**
 * English prose (speeches) in a vocabulary of 2,048 tokens: 38 models of 79 k to 403 k parameters from two sweeps,
 * 1.5 % rms. E and alpha are not seen at these sizes and were set: 0.63 bits a byte, and between what such ladders
 * show (0.75) and what is published for large models (0.35). Other texts are easier or harder, hence the spread.
 */
export const UNKNOWN_TEXT: DataLaw = {
  law: {
    name: 'unknown text',
    E: 1.6,
    A: 178.98,
    alpha: 0.45,
    B: 149.85,
    beta: 0.3127,
    source: 'own sweeps on English prose, vocabulary of 2,048 (docs/planning.md)',
  },
  spread: 0.4,
  countsRepeats: false,
};

/** Bytes that a token stood for in the runs behind UNKNOWN_TEXT. */
const UNKNOWN_TEXT_BYTES_PER_TOKEN = 3.645;

/**
 * The law for a text in any vocabulary: what it says a byte holds for other tokens too, so tokens of more bytes cost
 * more nats each. Loss L a token is (L / bytes a token) a byte.
 */
export function textLaw(bytesPerToken: number): DataLaw {
  if (!(bytesPerToken > 0 && Number.isFinite(bytesPerToken))) {
    throw new ConfigError(`bytesPerToken must be a number above 0, got ${bytesPerToken}.`);
  }
  const { law } = UNKNOWN_TEXT;
  const ratio = bytesPerToken / UNKNOWN_TEXT_BYTES_PER_TOKEN;
  return {
    ...UNKNOWN_TEXT,
    law: { ...law, E: law.E * ratio, A: law.A * ratio, B: law.B * ratio ** (1 - law.beta) },
  };
}

const ATLAS_TOKENS = 514_797;

/**
 * Facts from tables written as statements and questions; fitted on validations of four pre-trainings of the atlas of
 * 0.24 to 1.07 M parameters over 200 to 1,164 steps (2 to 9 passes), 2.6 % rms. E was set: the fits from 0.5 to 0.65
 * are equally good.
 */
export const ATLAS_LAW: DataLaw = {
  law: {
    name: 'atlas',
    E: 0.5,
    A: 508.35,
    alpha: 0.5874,
    B: 1.1844e6,
    beta: 1.0607,
    source: 'own runs on the facts of the atlas with a tenth of prose, vocabulary of 2,048',
  },
  spread: 0.05,
  countsRepeats: true,
};

/**
 * The atlas's law for other tables of facts: what counts is how often each fact was seen, so tokens are measured in
 * passes. A guess with a wide interval; a law of one's own comes from a sweep.
 */
export function factsLaw(uniqueTokens: number): DataLaw {
  const { law } = ATLAS_LAW;
  return {
    law: { ...law, name: 'facts like the atlas', B: law.B * (uniqueTokens / ATLAS_TOKENS) ** law.beta },
    spread: 0.4,
    countsRepeats: true,
  };
}
