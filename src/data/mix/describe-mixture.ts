/** The record of a mixture, as `mix.json` keeps it beside the run: what was asked for, what came of it, and why. */
import type { MixtureOrder, MixturePlan, MixtureSource, MixtureUnit } from './plan-mixture.ts';
import { SourceSequence } from './source-sequence.ts';

export interface MixtureAmounts {
  documents: number;
  /** UTF-8 bytes of the texts. */
  bytes: number;
  /** Null when they were not counted. */
  tokens: number | null;
}

export interface MixtureSourceRecord extends MixtureAmounts {
  name: string;
  part: string;
  available: MixtureAmounts;
  /** Of the unit, over the whole run (stages by their share of the budget). */
  askedShare: number;
  /** Achieved. */
  share: number;
  distinctDocuments: number;
  /** Size given over size available, in the unit. */
  epochs: number;
  /** Null: no cap. */
  maxEpochs: number | null;
  /** Documents given at least `maxEpochs` times over, or all of an empty source: it could give no more. */
  atCap: boolean;
}

export interface MixtureStageRecord {
  name: string;
  alpha: number;
  order: MixtureOrder;
  budget: number;
  size: number;
  documents: number;
  askedShares: Record<string, number>;
  shares: Record<string, number>;
}

export interface MixtureRecord {
  plinth: 'mixture';
  seed: number;
  unit: MixtureUnit;
  order: 'shuffled' | 'easy-to-hard' | 'staged';
  asked: { budget: number; shares: Record<string, number> };
  achieved: MixtureAmounts & { size: number; shares: Record<string, number> };
  sources: MixtureSourceRecord[];
  stages: MixtureStageRecord[];
  notes: readonly string[];
}

export function describeMixture(plan: MixturePlan): MixtureRecord {
  const names = plan.sources.map(({ name }) => name);
  const byName = (values: readonly number[]) =>
    Object.fromEntries(names.map((name, i) => [name, values[i]!]));
  const over = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  const sources = plan.sources.map((source, i) => sourceRecord(plan, source, i));
  const tokens = sources.map((source) => source.tokens);
  return {
    plinth: 'mixture',
    seed: plan.seed,
    unit: plan.unit,
    order: plan.phases.length > 1 ? 'staged' : plan.phases[0]!.order.kind,
    asked: { budget: plan.budget, shares: byName(sources.map(({ askedShare }) => askedShare)) },
    achieved: {
      size: plan.size,
      documents: plan.numDocuments,
      bytes: sum(sources.map(({ bytes }) => bytes)),
      tokens: tokens.some((count) => count === null) ? null : sum(tokens as number[]),
      shares: byName(sources.map(({ share }) => share)),
    },
    sources,
    stages: plan.phases.map((phase) => {
      const size = sum(phase.takes.map((take) => take.size));
      return {
        name: phase.name,
        alpha: phase.alpha,
        order: phase.order,
        budget: phase.budget,
        size,
        documents: sum(phase.takes.map(({ start, end }) => end - start)),
        askedShares: byName(phase.takes.map(({ askedShare }) => askedShare)),
        shares: byName(phase.takes.map((take) => over(take.size, size))),
      };
    }),
    notes: plan.notes,
  };
}

function sourceRecord(plan: MixturePlan, source: MixtureSource, index: number): MixtureSourceRecord {
  const takes = plan.phases.map(({ takes }) => takes[index]!);
  const documents = takes.at(-1)!.end;
  const numAvailable = source.sizeBytes.length;
  const available = {
    documents: numAvailable,
    bytes: sum(source.sizeBytes),
    tokens: source.numTokens ? sum(source.numTokens) : null,
  };
  const given = (values: ArrayLike<number>) => sumOfFirst(source.name, values, documents, plan.seed);
  const size = sum(takes.map((take) => take.size));
  const availableSize = available[plan.unit] ?? 0;
  const maxEpochs = plan.maxEpochs[index]!;
  return {
    name: source.name,
    part: source.part ?? source.name,
    available,
    askedShare:
      sum(plan.phases.map((phase) => phase.takes[index]!.askedShare * phase.budget)) / plan.budget || 0,
    share: plan.size > 0 ? size / plan.size : 0,
    documents,
    distinctDocuments: Math.min(documents, numAvailable),
    bytes: given(source.sizeBytes),
    tokens: source.numTokens ? given(source.numTokens) : null,
    epochs: availableSize > 0 ? size / availableSize : 0,
    maxEpochs: Number.isFinite(maxEpochs) ? maxEpochs : null,
    atCap:
      takes.some((take) => take.askedShare > 0) &&
      size >= availableSize * (availableSize > 0 ? maxEpochs : 1),
  };
}

/** Sum of a figure over the first documents of a source's sequence. */
function sumOfFirst(name: string, values: ArrayLike<number>, count: number, seed: number): number {
  if (count === 0) return 0;
  const sequence = new SourceSequence(name, values, seed);
  const numEpochs = Math.floor(count / sequence.numDocuments);
  let total = numEpochs * sequence.epochSize;
  for (let at = numEpochs * sequence.numDocuments; at < count; at++)
    total += values[sequence.documentAt(at)]!;
  return total;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
