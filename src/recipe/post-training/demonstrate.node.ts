/**
 * Synthetic demonstrations: answers of a model or of templates to many prompts, judged, chosen, and written as chats to
 * finetune on (rejection sampling, best-of-N distillation) or as pairs to prefer by. What was sampled is kept, so that a
 * stopped run goes on and another choice samples nothing again.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type BestOfOptions, sampleDraws } from '../../align/best-of/best-of.ts';
import type { AnsweredPrompt, RewardFunction } from '../../align/reward-function.ts';
import { appendWhole } from '../../core/append-file.node.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { CancelledError, ConfigError, DataError, messageOf } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { formatJsonLines } from '../../core/json-lines.ts';
import type { Completion, LanguageModel } from '../../decode/language-model.ts';
import { announceStages } from '../stages/announce.ts';
import { fileIdentity, TrainingFolder } from '../training-folder.node.ts';
import {
  chooseDemonstrations,
  choosePairs,
  type JudgedDemonstration,
  type JudgedPrompt,
  type Keep,
} from './choose-demonstrations.ts';
import { type DemonstrationPrompt, findPrompts, type PromptSource } from './demonstration-prompts.node.ts';

/** An answer is valid when each validator gives it at least its threshold. */
export interface Validator {
  readonly reward: RewardFunction;
  readonly threshold: number;
}

export interface DemonstrateOptions {
  readonly folder: string;
  readonly source: PromptSource;
  /** Absent where templates give the answers. */
  readonly model?: { readonly name: string; readonly model: LanguageModel };
  /** Answers to each prompt, default 1. */
  readonly numSamples?: number;
  readonly generation?: BestOfOptions['generation'];
  readonly seed?: number;
  readonly validators?: readonly Validator[];
  /** Orders the answers to one prompt. Default: the sum of the validators' scores. */
  readonly reward?: RewardFunction;
  /** Default: `best` where there is a reward, else `valid`. */
  readonly keep?: Keep;
  /** Write pairs, best against worst, instead of chats. */
  readonly asPairs?: boolean;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface DemonstrationReport {
  readonly folder: string;
  /** chats.jsonl or pairs.jsonl. */
  readonly file: string;
  readonly numPrompts: number;
  readonly numAnswers: number;
  /** Sampled by this call; the others were kept from before. */
  readonly numSampled: number;
  readonly numKept: number;
  /** Prompts that gave a chat or a pair at least. */
  readonly numPromptsKept: number;
  /** Mean scores of all answers and of those that were kept (of pairs the first only); absent where nothing judges. */
  readonly meanScore?: number;
  readonly meanKeptScore?: number;
  /** Answers and prompts that gave nothing, by reason, most first. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** Answers of a batch, between two entries in the samples' file. */
const BATCH_ANSWERS = 256;
/** One answer's scores are floating sums: 0.7 + 0.2 + 0.1 is a full score too. */
const THRESHOLD_SLACK = 1e-9;
const SAMPLES_FILE = ['data', 'samples.jsonl'] as const;
const STAGES = ['prompts', 'sample', 'choose'] as const;

/** A line of the samples' file. */
interface SampledLine {
  readonly prompt: number;
  readonly answers: readonly Completion[];
}

/** Throws ConfigError and DataError for what cannot be used, CancelledError (what was sampled is kept) when stopped. */
export async function demonstrate(options: DemonstrateOptions): Promise<DemonstrationReport> {
  const { source, model, signal, reward, validators = [], asPairs = false } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const numSamples = options.numSamples ?? 1;
  const keep = options.keep ?? (reward ? 'best' : 'valid');
  checkOptions(options);
  const folder = await TrainingFolder.open(
    options.folder,
    {
      kind: 'demonstrate',
      files: await Promise.all(
        [...(source.files ?? []), ...(source.table ? [source.table] : [])].map(fileIdentity),
      ),
      promptTemplates: source.promptTemplates ?? [],
      answerTemplates: source.answerTemplates ?? [],
      system: source.system ?? null,
      model: model?.name ?? null,
      samples: numSamples,
      seed: options.seed ?? 1,
      generation: JSON.stringify(options.generation ?? {}),
    },
    options.fresh ?? false,
  );

  const stage = announceStages(STAGES, onEvent);
  const { prompts, skipped } = await stage(
    'prompts',
    () => findPrompts(source),
    (found) => `${found.prompts.length} prompts`,
  );
  const { answers, numSampled } = await stage(
    'sample',
    async () => {
      if (!model) return { answers: prompts.map(({ written }) => written.map(writtenAnswer)), numSampled: 0 };
      const sampled = await sampleKept(folder.file(...SAMPLES_FILE), prompts, model.model, options);
      if (signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
      return sampled;
    },
    (result) => `${result.answers.flat().length} answers`,
  );
  return stage('choose', async () => {
    const judged = await judge(prompts, answers, validators, reward);
    const file = folder.file(asPairs ? 'pairs.jsonl' : 'chats.jsonl');
    const chosen = asPairs ? pairLines(judged) : chatLines(judged, keep);
    await writeFileAtomic(file, formatJsonLines(chosen.lines));
    const dropped = [...skipped, ...chosen.dropped].sort((a, b) => b[1] - a[1]);
    const scores = judged.flatMap((one) => one.answers.map(({ score }) => score));
    if (chosen.lines.length === 0) {
      const message =
        'Nothing was kept: no answer was good enough. The report says why; sample more, or ask for less.';
      onEvent({ type: 'note', level: 'warning', message });
    }
    const isJudged = reward !== undefined || validators.length > 0;
    const report: DemonstrationReport = {
      folder: folder.path,
      file,
      numPrompts: prompts.length,
      numAnswers: scores.length,
      numSampled,
      numKept: chosen.lines.length,
      numPromptsKept: new Set(chosen.lines.map((line) => JSON.stringify(promptOfLine(line)))).size,
      ...(isJudged && {
        meanScore: meanOf(scores),
        ...(chosen.scores && chosen.scores.length > 0 && { meanKeptScore: meanOf(chosen.scores) }),
      }),
      dropped: Object.fromEntries(dropped),
    };
    await writeFileAtomic(folder.file('report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return report;
  });
}

function checkOptions({
  source,
  model,
  numSamples = 1,
  validators = [],
  reward,
  asPairs,
}: DemonstrateOptions): void {
  const { files = [], table, promptTemplates = [], answerTemplates = [] } = source;
  if (files.length > 0 === (table !== undefined)) {
    throw new ConfigError('Demonstrations need prompts: either files of prompts, or a table with templates.');
  }
  if (table === undefined ? promptTemplates.length > 0 : promptTemplates.length === 0) {
    throw new ConfigError('Templates of prompts and a table need each other.');
  }
  if ((model !== undefined) === answerTemplates.length > 0) {
    throw new ConfigError('Answers come from a model or from templates of answers: give one of the two.');
  }
  if (!model && numSamples !== 1) {
    throw new ConfigError('A template gives one answer; several samples need a model.');
  }
  if (asPairs && validators.length === 0 && !reward) {
    throw new ConfigError('Pairs need something that tells better from worse: a reward or a validator.');
  }
}

/** Samples what the file does not hold yet, batch after batch, each kept before the next begins. */
async function sampleKept(
  path: string,
  prompts: readonly DemonstrationPrompt[],
  model: LanguageModel,
  options: DemonstrateOptions,
): Promise<{ answers: (readonly Completion[])[]; numSampled: number }> {
  const { numSamples = 1, seed = 1, generation, signal } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const answers = await readSamples(path, prompts.length);
  const missing = prompts.flatMap((_, i) => (answers[i] ? [] : [i]));
  const perBatch = Math.max(1, Math.floor(BATCH_ANSWERS / numSamples));
  const started = performance.now();
  for (let at = 0; at < missing.length; at += perBatch) {
    const some = missing.slice(at, at + perBatch);
    const draws = some.flatMap((i) =>
      Array.from({ length: numSamples }, (_, choice) => ({ prompt: prompts[i]!, choice })),
    );
    const completions = await sampleDraws(model, draws, {
      seed,
      ...(generation && { generation }),
      ...(signal && { signal }),
    });
    const lines = some.map(
      (prompt, k): SampledLine => ({
        prompt,
        answers: completions
          .slice(k * numSamples, (k + 1) * numSamples)
          .map(({ logprobs: _, ...rest }) => rest),
      }),
    );
    await appendWhole(path, formatJsonLines(lines));
    for (const line of lines) answers[line.prompt] = line.answers;
    const done = Math.min(missing.length, at + perBatch);
    const ratePerSecond = (1000 * done) / (performance.now() - started);
    const secondsLeft = (missing.length - done) / ratePerSecond;
    onEvent({
      type: 'progress',
      stage: 'sample',
      done,
      total: missing.length,
      unit: 'prompts',
      ratePerSecond,
      secondsLeft,
    });
  }
  return { answers: answers.map((own) => own!), numSampled: missing.length * numSamples };
}

async function readSamples(path: string, numPrompts: number): Promise<(readonly Completion[] | undefined)[]> {
  const answers = new Array<readonly Completion[] | undefined>(numPrompts).fill(undefined);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') {
      await mkdir(dirname(path), { recursive: true });
      return answers;
    }
    throw new DataError(`${path} could not be read: ${messageOf(error)}.`, { cause: error });
  }
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  // A line that a kill cut short would run into the next one.
  if (whole.length < text.length) await writeFileAtomic(path, whole);
  for (const line of whole.split('\n')) {
    if (line === '') continue;
    const { prompt, answers: own } = JSON.parse(line) as SampledLine;
    if (prompt < numPrompts) answers[prompt] = own;
  }
  return answers;
}

function writtenAnswer(text: string): Completion {
  const usage = { promptTokens: 0, completionTokens: 0 };
  return { text, tokens: [], finishReason: 'stop', usage, seed: 0 };
}

async function judge(
  prompts: readonly DemonstrationPrompt[],
  answers: readonly (readonly Completion[])[],
  validators: readonly Validator[],
  reward: RewardFunction | undefined,
): Promise<JudgedPrompt[]> {
  const asked = prompts.flatMap(({ messages, record }, i) =>
    answers[i]!.map((completion): AnsweredPrompt => ({ messages, record, completion })),
  );
  const rewards = [...validators.map((validator) => validator.reward), ...(reward ? [reward] : [])];
  const columns: (number | string)[][] = [];
  for (const one of rewards) columns.push(await scoresOrFaults(one, asked));
  let at = 0;
  return prompts.map(({ messages }, i) => {
    const own = answers[i]!.map(({ text, finishReason }): JudgedDemonstration => {
      const scores = columns.map((column) => column[at]!);
      at++;
      const broken = scores.find((score) => typeof score === 'string');
      const failed = validators.find(
        ({ threshold }, v) => !((scores[v] as number) >= threshold - THRESHOLD_SLACK),
      );
      const numbers = scores.map((score) => (typeof score === 'number' ? score : 0));
      return {
        text,
        isCut: finishReason === 'length',
        score: reward ? numbers.at(-1)! : numbers.reduce((sum, score) => sum + score, 0),
        fault: broken !== undefined ? `not judged: ${broken}` : failed && `not valid: ${failed.reward.name}`,
      };
    });
    return { messages, answers: own };
  });
}

/** A score for each answer, or why it has none; one that cannot be judged spoils no other. */
async function scoresOrFaults(
  reward: RewardFunction,
  asked: readonly AnsweredPrompt[],
): Promise<(number | string)[]> {
  const scores: (number | string)[] = [];
  for (let at = 0; at < asked.length; at += BATCH_ANSWERS) {
    const some = asked.slice(at, at + BATCH_ANSWERS);
    try {
      scores.push(...checkedScores(reward.name, await reward.score(some), some.length));
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      for (const answer of some) scores.push(await scoreOrFault(reward, answer));
    }
  }
  return scores;
}

async function scoreOrFault(reward: RewardFunction, answer: AnsweredPrompt): Promise<number | string> {
  try {
    return checkedScores(reward.name, await reward.score([answer]), 1)[0]!;
  } catch (error) {
    if (error instanceof DataError) return messageOf(error);
    throw error;
  }
}

function checkedScores(name: string, scores: readonly number[], count: number): readonly number[] {
  if (scores.length === count && scores.every(Number.isFinite)) return scores;
  throw new DataError(
    `the reward "${name}" gave ${scores.length} scores for ${count} answers, or one that is no number`,
  );
}

type OutputLine =
  | { readonly messages: JudgedPrompt['messages'] }
  | { readonly prompt: JudgedPrompt['messages']; readonly chosen: unknown };

function chatLines(judged: readonly JudgedPrompt[], keep: Keep) {
  const { kept, dropped } = chooseDemonstrations(judged, keep);
  const lines: OutputLine[] = kept.map(({ messages, text }) => ({
    messages: [...messages, { role: 'assistant' as const, content: text }],
  }));
  return { lines, dropped, scores: kept.map(({ score }) => score) };
}

function pairLines(judged: readonly JudgedPrompt[]) {
  const { kept, dropped } = choosePairs(judged);
  const said = (content: string) => [{ role: 'assistant' as const, content }];
  const lines: OutputLine[] = kept.map(({ messages, chosen, rejected }) => ({
    prompt: messages,
    chosen: said(chosen),
    rejected: said(rejected),
  }));
  return { lines, dropped, scores: undefined };
}

const promptOfLine = (line: OutputLine) => ('prompt' in line ? line.prompt : line.messages.slice(0, -1));

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
