/** What a planned mixture does not give as asked, or what a reader should know of it, in sentences. */
import type { MixturePlan } from './plan-mixture.ts';

/** Up to about four epochs repeated text is worth nearly as much as new text (Muennighoff et al. 2023, section 5). */
export const NOTEWORTHY_EPOCHS = 4;
/** Achieved shares that are this far from the asked ones are noted; below it is the size of whole documents. */
const NOTEWORTHY_DIFFERENCE = 0.01;
const MAX_LISTED = 10;

type Planned = Pick<MixturePlan, 'sources' | 'unit' | 'budget' | 'size' | 'maxEpochs' | 'phases'>;

/** @param available size of each source in the unit of the budget. */
export function mixtureNotes(plan: Planned, available: readonly number[]): string[] {
  const { sources, unit, phases } = plan;
  const notes: string[] = [];
  const name = (i: number) => sources[i]!.name;
  const listed = (items: readonly string[]) =>
    items.slice(0, MAX_LISTED).join(', ') +
    (items.length > MAX_LISTED ? ` and ${items.length - MAX_LISTED} more` : '');

  const empty = sources.map((_, i) => i).filter((i) => available[i] === 0);
  if (empty.length > 0) notes.push(`Empty: ${listed(empty.map(name))}.`);
  for (const phase of phases) {
    const where = phases.length > 1 ? `Stage '${phase.name}': ` : '';
    const size = phase.takes.reduce((sum, take) => sum + take.size, 0);
    const filled = phase.takes.reduce((sum, take) => sum + take.target, 0);
    if (filled < phase.budget * (1 - 1e-9)) {
      notes.push(
        `${where}${Math.round(size)} of ${Math.round(phase.budget)} ${unit} could be filled: every source with a ` +
          'share has reached its cap. Raise maxEpochs, add text or lower the budget.',
      );
    }
    if (size === 0) continue;
    const moved = phase.takes
      .map((take) => ({ take, share: take.size / size }))
      .filter(({ take, share }) => Math.abs(share - take.askedShare) > NOTEWORTHY_DIFFERENCE);
    if (moved.length > 0) {
      const texts = moved.map(
        ({ take, share }) => `${name(take.source)} ${percent(take.askedShare)} -> ${percent(share)}`,
      );
      notes.push(`${where}Shares asked and achieved differ: ${listed(texts)}.`);
    }
  }
  const repeated = sources
    .map((_, i) => ({
      i,
      epochs: phases.reduce((sum, { takes }) => sum + takes[i]!.size, 0) / (available[i] || 1),
    }))
    .filter(({ epochs }) => epochs > NOTEWORTHY_EPOCHS);
  if (repeated.length > 0) {
    const texts = repeated.map(({ i, epochs }) => `${name(i)} ${epochs.toFixed(1)}`);
    notes.push(
      `Repeated more than ${NOTEWORTHY_EPOCHS} times: ${listed(texts)}. Text repeated so often is worth less and less.`,
    );
  }
  return notes;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
