/** How the report names what was measured of a model's behaviour. */
import type { BehaviourName } from './report.ts';

export interface BehaviourText {
  readonly title: string;
  readonly unit: 'share' | 'nats';
}

const BEHAVIOUR_TEXTS: Readonly<Record<BehaviourName, BehaviourText>> = {
  right: { title: 'Known facts answered right', unit: 'share' },
  refusedInvented: { title: 'Invented names refused', unit: 'share' },
  refusedKnown: { title: 'Known facts refused', unit: 'share' },
  wrongForm: { title: 'Wrong form, drawn at temperature 1', unit: 'share' },
  wrongFormGreedy: { title: 'Wrong form, most likely answer', unit: 'share' },
  calibrationError: { title: 'Calibration error', unit: 'share' },
  distinct: { title: 'Distinct continuations of open prompts', unit: 'share' },
  entropy: { title: 'Entropy of continuations, nats', unit: 'nats' },
};

/** A name that this version does not know (of a later one's report) stands for itself. */
export function behaviourText(name: BehaviourName): BehaviourText {
  return Object.hasOwn(BEHAVIOUR_TEXTS, name) ? BEHAVIOUR_TEXTS[name] : { title: name, unit: 'share' };
}
