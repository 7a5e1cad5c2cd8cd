/**
 * Reinforcement as batches of a training. An iteration asks the policy as it is for answers, judges them, and learns
 * from them in some updates; it begins at a step after which the training can be taken up again, and what it makes
 * hangs on the state at that step, the seed and the figures of the iterations before alone.
 */
import { DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import type { TokenBatch } from '../../data/tokens/token-batch.ts';
import type { LanguageModel } from '../../decode/language-model.ts';
import { createLanguageModel } from '../../decode/onnx-language-model.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { ChatFormat, Tokenizer } from '../../tokenizer/index.ts';
import type { Objective } from '../../train/objective.ts';
import { type Trainable, withHead } from '../../train/trainable.ts';
import { readState, type TrainingState } from '../../train/training-step.ts';
import type { RewardFunction } from '../reward-function.ts';
import { SequenceScorer } from '../sequence-logprobs.ts';
import type { RowShape } from '../sequence-row.ts';
import {
  COLLAPSE_LIMITS,
  type CollapseLimits,
  checkCollapseLimits,
  type IterationFigures,
} from './collapse-guard.ts';
import { criticSpecs, initialCritic } from './critic.ts';
import { nextKlWeight } from './divergence.ts';
import {
  type ExperienceRow,
  experienceOf,
  figuresOf,
  isFlat,
  type JudgedRollout,
  minibatchOf,
} from './experience.ts';
import { type PolicyBatch, type PretrainingMix, policyObjective } from './policy-objective.ts';
import { PolicyScorer } from './policy-scorer.ts';
import { PromptDeck, type RlPrompt, type RolloutGroup, sampleRollouts } from './rollouts.ts';
import { checkRlSettings, type RlSettings } from './settings.ts';

/** What is told of an iteration after its answers were judged and before they are learned from. */
export interface Iteration {
  /** 0, 1, ... */
  readonly number: number;
  /** Steps taken before it. */
  readonly step: number;
  readonly groups: readonly RolloutGroup[];
  /** Of this iteration and all before it. */
  readonly history: readonly IterationFigures[];
  /** The policy that gave the answers: the whole model. */
  readonly policy: Weights;
}

export interface ReinforcementOptions {
  readonly device: Device;
  /** The policy. A critic is added to what is trained of it. */
  readonly trainable: Trainable;
  /** The model that the policy's KL is measured from. */
  readonly reference: Weights;
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  readonly padId: number;
  readonly prompts: readonly RlPrompt[];
  readonly reward: RewardFunction;
  readonly settings: RlSettings;
  /** Batches of other texts that every update also learns; number `index` belongs to step index + 1. */
  readonly pretraining?: (PretrainingMix & { batch(index: number): TokenBatch }) | undefined;
  readonly limits?: CollapseLimits;
  /** Figures of the iterations that were taken before the training was stopped; asked for once, at the first step. */
  history?(): Promise<readonly IterationFigures[]>;
  /** Told of every iteration; what it throws ends the training before the answers are learned from. */
  onIteration?(iteration: Iteration): Promise<void> | void;
  readonly signal?: AbortSignal | undefined;
}

/** Answers decoded together. */
const MAX_BATCH_SIZE = 256;

type Figures = Readonly<Record<string, number>>;

export class Reinforcement {
  /** What is trained: the policy and, for PPO, its critic. */
  readonly trainable: Trainable;
  /** On the model's parameters, and the critic's. */
  readonly objective: Objective<PolicyBatch>;
  readonly stepsPerIteration: number;
  readonly limits: CollapseLimits;
  readonly #options: ReinforcementOptions;
  readonly #shape: RowShape;
  readonly #deck: PromptDeck;
  readonly #policyScorer: PolicyScorer;
  readonly #referenceScorer: SequenceScorer;
  #history: IterationFigures[] | undefined;
  #klWeight: number;
  #current: { iteration: number; rows: readonly ExperienceRow[]; figures: Figures } | undefined;

  private constructor(
    options: ReinforcementOptions,
    fields: {
      trainable: Trainable;
      shape: RowShape;
      policyScorer: PolicyScorer;
      referenceScorer: SequenceScorer;
    },
  ) {
    const { settings, pretraining } = options;
    const { trainable, shape } = fields;
    this.#options = options;
    this.trainable = trainable;
    this.#shape = shape;
    this.#policyScorer = fields.policyScorer;
    this.#referenceScorer = fields.referenceScorer;
    this.objective = policyObjective(trainable.config, { shape, settings, pretraining });
    this.stepsPerIteration = settings.epochs * settings.minibatches;
    this.limits = options.limits ?? COLLAPSE_LIMITS;
    this.#klWeight = settings.klWeight;
    const rounds = settings.method === 'grpo' ? 1 + settings.resampleRounds : 1;
    this.#deck = new PromptDeck(options.prompts, settings.promptsPerStep, rounds, settings.seed);
  }

  /** Throws ConfigError for settings out of range. */
  static async compile(options: ReinforcementOptions): Promise<Reinforcement> {
    const { device, settings, prompts, reference } = options;
    checkRlSettings(settings);
    checkCollapseLimits(options.limits ?? COLLAPSE_LIMITS);
    const { config } = options.trainable;
    const { temperature } = settings;
    const critic = settings.method === 'ppo' ? settings.critic : undefined;
    const trainable = critic
      ? withHead(options.trainable, criticSpecs(config, critic), initialCritic(config, critic, reference))
      : options.trainable;
    const longest = prompts.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const length = Math.min(config.maxPositionEmbeddings, longest + settings.maxTokens) - 1;
    const batchSize = (settings.promptsPerStep * settings.groupSize) / settings.minibatches;
    const shape = { batchSize, length };
    return new Reinforcement(options, {
      trainable,
      shape,
      policyScorer: await PolicyScorer.compile(device, trainable, { shape, temperature, critic }),
      referenceScorer: await SequenceScorer.compile(device, config, shape, temperature),
    });
  }

  /** Steps between which no answers are pending. */
  isBoundary(step: number): boolean {
    return step % this.stepsPerIteration === 0;
  }

  /** The batch of step index + 1. @param state before that step. */
  async batch(index: number, state: TrainingState): Promise<PolicyBatch> {
    const { settings, padId, pretraining } = this.#options;
    const iteration = Math.floor(index / this.stepsPerIteration);
    if (this.#current?.iteration !== iteration) this.#current = await this.#iterate(iteration, state);
    const { rows, figures } = this.#current;
    const update = index % this.stepsPerIteration;
    const batch = minibatchOf(this.#minibatchRows(rows, iteration, update), {
      shape: this.#shape,
      padId,
      normaliser: settings.lossNormaliser,
      maxTokens: settings.maxTokens,
      klWeight: this.#klWeight,
      figures,
    });
    return pretraining ? { ...batch, pretraining: pretraining.batch(index) } : batch;
  }

  /** Every pass in an order of its own. Rows that were left out are missing at the end of the last minibatches. */
  #minibatchRows(rows: readonly ExperienceRow[], iteration: number, update: number): ExperienceRow[] {
    const { minibatches, seed } = this.#options.settings;
    const epoch = Math.floor(update / minibatches);
    const order = new KeyedRandom(seed).fork(`updates ${iteration}.${epoch}`).permutation(rows.length);
    const minibatch = update % minibatches;
    // Dealt out in turn, so that each has its share.
    return Array.from(order, (row) => rows[row]!).filter((_, i) => i % minibatches === minibatch);
  }

  async #iterate(iteration: number, state: TrainingState) {
    const { settings, trainable, device, tokenizer, chatFormat, onIteration } = this.#options;
    this.#history ??= await this.#pastFigures(iteration);
    this.#klWeight = klWeightAfter(this.#history, settings);
    const policy = trainable.merge(await readState(state, 'parameter/'));
    // A new model each time: its programs hold the weights as constants, so that answers stay strict.
    const model = await createLanguageModel({
      config: trainable.config,
      weights: policy,
      tokenizer,
      chatFormat,
      device,
      maxBatchSize: Math.min(MAX_BATCH_SIZE, settings.promptsPerStep * settings.groupSize),
    });
    let groups: RolloutGroup[];
    try {
      groups = await this.#sample(model, iteration);
    } finally {
      await model.dispose();
    }
    const judged = await this.#judge(groups, state);
    const { promptsPerStep } = settings;
    const learned =
      judged.length > promptsPerStep ? judged.filter((group) => !isFlat(group, settings)) : judged;
    const { rows, ...more } = experienceOf(learned.slice(0, promptsPerStep), settings, this.#klWeight);
    const figures = {
      ...figuresOf(judged.slice(0, promptsPerStep), settings),
      klWeight: this.#klWeight,
      numLearned: rows.length,
      ...more,
    };
    this.#history.push(figures);
    const step = iteration * this.stepsPerIteration;
    await onIteration?.({ number: iteration, step, groups, history: this.#history, policy });
    return { iteration, rows, figures };
  }

  /** The answers to the prompts of the iteration, and to others in place of groups that all earned the same. */
  async #sample(model: LanguageModel, iteration: number): Promise<RolloutGroup[]> {
    const { settings, reward, signal } = this.#options;
    const { groupSize, temperature, maxTokens, promptsPerStep } = settings;
    const random = new KeyedRandom(settings.seed).fork('answers');
    const rounds = settings.method === 'grpo' ? settings.resampleRounds : 0;
    const groups: RolloutGroup[] = [];
    let numSpread = 0;
    for (let round = 0; round <= rounds && numSpread < promptsPerStep; round++) {
      const seed = random.uint32(iteration * (rounds + 1) + round);
      const options = { groupSize, temperature, maxTokens, seed, signal };
      const sampled = await sampleRollouts(model, this.#deck.draw(iteration, round), reward, options);
      const spread = sampled.filter((group) => !isFlat(group, settings));
      numSpread += spread.length;
      groups.push(...(round === 0 ? sampled : spread));
    }
    return groups;
  }

  async #judge(groups: readonly RolloutGroup[], state: TrainingState): Promise<JudgedRollout[][]> {
    const rows = groups.flatMap((group) => group.map(({ row }) => row));
    const scored = await this.#policyScorer.score(state, rows);
    const referenceLogprobs = await this.#referenceScorer.score(this.#options.reference, rows);
    let at = 0;
    return groups.map((group) =>
      group.map((rollout) => {
        const judged = { ...rollout, scored: scored[at]!, referenceLogprobs: referenceLogprobs[at]! };
        at++;
        return judged;
      }),
    );
  }

  async #pastFigures(iteration: number): Promise<IterationFigures[]> {
    const past = [...((await this.#options.history?.()) ?? [])];
    if (past.length === iteration) return past;
    throw new DataError(
      `The training stands after ${iteration} iterations, and the figures of ${past.length} were found. The guard and ` +
        'the KL weight need all of them: put metrics.jsonl back, or begin anew (--fresh).',
    );
  }

  async dispose(): Promise<void> {
    await this.#policyScorer.dispose();
    await this.#referenceScorer.dispose();
  }
}

/** As it was steered by the iterations so far. */
function klWeightAfter(history: readonly IterationFigures[], { klWeight, klTarget }: RlSettings): number {
  if (!klTarget) return klWeight;
  return history.reduce((weight, { kl }) => nextKlWeight(weight, kl, klTarget), klWeight);
}
