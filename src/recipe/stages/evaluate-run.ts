/**
 * The evaluation stage of a run: the model's answers to every evaluation question, and where preferences were trained,
 * the same questions put to the model before them.
 */
import type { EventSink } from '../../core/events.ts';
import type { LanguageModel } from '../../decode/language-model.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { generationWork } from '../accounting.ts';
import type { AnswerForms } from '../facts/answer-form.ts';
import type { FactCorpus } from '../facts/index.ts';
import { evaluateFacts, type RunEvaluation } from './evaluate-facts.ts';
import { behaviourChanges, measureBehaviour, numBehaviourAnswers } from './measure-behaviour.ts';

export interface EvaluateRunOptions {
  readonly config: TransformerConfig;
  readonly corpus: FactCorpus;
  readonly forms: AnswerForms;
  readonly weights: Weights;
  /** Of the model before the preference stage, where there was one. */
  readonly before: Weights | undefined;
  readonly open: (weights: Weights) => Promise<LanguageModel>;
  readonly seed: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

/** Answers of all evaluations together. */
export function numEvaluationAnswers(corpus: FactCorpus, hasPreferences: boolean): number {
  const numQuestions = corpus.evaluation.heldOutPhrasing.length + corpus.evaluation.unknown.length;
  return hasPreferences ? 2 * (numQuestions + numBehaviourAnswers(corpus)) : numQuestions;
}

/** Throws CancelledError when the signal fires. */
export async function evaluateRun(options: EvaluateRunOptions): Promise<Omit<RunEvaluation, 'prose'>> {
  const { config, corpus, forms, weights, before, seed, onEvent, signal } = options;
  const common = { ...(signal && { signal }) };
  const measured = async (of: Weights) => {
    const model = await options.open(of);
    try {
      const facts = await evaluateFacts(model, corpus, { onEvent, ...common });
      if (!before) return { facts };
      return { facts, behaviour: await measureBehaviour(model, corpus, forms, facts, { seed, ...common }) };
    } finally {
      await model.dispose();
    }
  };
  const first = before && (await measured(before)).behaviour;
  const { facts, behaviour } = await measured(weights);
  const { graded, ...evaluation } = facts;
  const completions = [
    ...(first?.completions ?? []),
    ...(behaviour?.completions ?? graded.map(({ completion }) => completion)),
  ];
  return {
    ...evaluation,
    ...(first && behaviour && { changes: behaviourChanges(first, behaviour) }),
    generated: generationWork(
      config,
      completions.map(({ usage }) => usage),
    ),
  };
}
