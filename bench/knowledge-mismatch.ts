/**
 * Finetuning on facts that a model does not know teaches it to make answers up (Schulman 2023; Gekhman et al. 2024),
 * reproduced where what is known is known for certain. A small model is pre-trained on a part of the atlas's countries
 * and finetuned in three ways, refusals of invented names among the data each time:
 *   known       on countries that pre-training told of
 *   mismatched  also on countries that it did not, with their true answers, until they are learnt
 *   honest      as before, but what a probe of the pre-trained model finds unknown is labelled with a refusal (R-Tuning)
 * Then it is asked about countries that were in no training at all. Wrong is an answer that is neither right nor a
 * refusal. Intervals are 95 % over countries (bootstrap); each seed is another model and order of data.
 *
 *   npx tsx bench/knowledge-mismatch.ts [--seeds 3] [--pretrain 400] [--finetune 250] [--width 64] [--threads 2]
 *
 * One JSON line. `undone` is the share of what `mismatched` adds to the wrong answers of `known` that `honest` takes
 * back. About ten minutes on two cores.
 */
import { parseArgs } from 'node:util';
import { countrySheet } from '../recipes/atlas-countries.ts';
import { countryTable } from '../recipes/atlas-facts.ts';
import { abstentionData, countKnowledge, probeKnowledge, sampleAnswers } from '../src/align/honesty/index.ts';
import { KeyedRandom } from '../src/core/random.ts';
import { ConversationBatches, MemoryTokenDataset, tokenizeText, WindowBatches } from '../src/data/index.ts';
import type { BatchSource } from '../src/data/tokens/token-batch.ts';
import { createLanguageModel, type LanguageModel } from '../src/decode/index.ts';
import { type DocumentMeasurement, estimateBitsPerByte, estimateDifference } from '../src/evaluate/index.ts';
import { parameterSpecs } from '../src/model/config.ts';
import { initializeWeights, type Weights } from '../src/model/initialize.ts';
import { factChat, gradeExact, type QuestionAnswer, writeFacts } from '../src/recipe/facts/index.ts';
import { modelConfig, planModel } from '../src/recipe/plan.ts';
import { nodeDeviceByName } from '../src/runtime/index.node.ts';
import { chatMl, encodeChat, trainBpe } from '../src/tokenizer/index.ts';
import { initialState, languageModelObjective, readState, train } from '../src/train/index.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    pretrain: { type: 'string', default: '400' },
    finetune: { type: 'string', default: '250' },
    width: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
  },
});

const REFUSAL = "I don't know.";
/** Answers that cannot be read off a name, as a demonym or a domain can. */
const COLUMNS = ['capital', 'currency', 'languages', 'callingCode'];
const SHARES = { known: 0.5, new: 0.25 };
const UNKNOWN_SHARE = 0.25;
const MAX_ANSWER_TOKENS = 32;
/** Phrasings of a fact that the probe asks, and that countries of no training are asked about. */
const NUM_PROBED = 2;
const ARMS = ['known', 'mismatched', 'honest'] as const;

// Which countries are in which part is one draw for all seeds, so that intervals can go over countries.
const sheet = {
  ...countrySheet,
  attributes: countrySheet.attributes.filter(({ column }) => COLUMNS.includes(column)),
  reverse: [],
};
const table = countryTable();
const order = new KeyedRandom(1).fork('countries').permutation(table.rows.length);
const rowsOf = (from: number, to: number) =>
  Array.from(
    order.slice(Math.round(from * order.length), Math.round(to * order.length)),
    (i) => table.rows[i]!,
  );
const factsOf = (rows: typeof table.rows, unknownShare: number) =>
  writeFacts([{ sheet, table: { ...table, rows } }], { seed: 1, unknownShare, numUnknownPerPhrasing: 0 });
const known = factsOf(rowsOf(0, SHARES.known), UNKNOWN_SHARE);
const added = factsOf(rowsOf(SHARES.known, SHARES.known + SHARES.new), 0);
const never = factsOf(rowsOf(SHARES.known + SHARES.new, 1), 0);
const asked = byFact(never.questions).flatMap((questions) => questions.slice(0, NUM_PROBED));
const invented = known.unknownQuestions.map(({ question }) => ({ question, answer: REFUSAL }));
const pretrainingTexts = [
  ...known.statements.map(({ text }) => text),
  ...known.questions.map(({ question, answer }) => `${question} ${answer}`),
];

const tokenizer = trainBpe(
  [
    ...pretrainingTexts,
    ...[...known.questions, ...invented].map(
      ({ question, answer }) => `user\n${question}assistant\n${answer}`,
    ),
  ],
  { vocabSize: 1024 },
);
const settings = planModel(
  { minutes: 9 },
  { hiddenSize: Number(values.width), numLayers: 3, contextLength: 64, batchSize: 32 },
);
const specialId = (name: string) => tokenizer.specialTokens.get(name)!;
const endOfTextId = specialId('<|endoftext|>');
const config = modelConfig(settings, {
  vocabSize: tokenizer.vocabSize,
  endOfTextId,
  endOfTurnId: specialId('<|im_end|>'),
});
const device = await nodeDeviceByName('cpu', { numThreads: Number(values.threads) });

const start = performance.now();
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 1);
const runs: Awaited<ReturnType<typeof runSeed>>[] = [];
for (const seed of seeds) {
  runs.push(await runSeed(seed));
  console.error(JSON.stringify({ seed, ...runs.at(-1)!.told, seconds: secondsSince(start) }));
}
console.log(JSON.stringify(summary()));
process.exit(0);

async function runSeed(seed: number) {
  const pretrained = await trained(
    initializeWeights(config, seed),
    pretrainingBatches(seed),
    Number(values.pretrain),
  );
  const base = await modelOf(pretrained);
  const facts = byFact([...known.questions, ...added.questions]);
  const knowledge = await probeKnowledge(
    base,
    facts.map((questions) => ({
      phrasings: questions.slice(0, NUM_PROBED).map(({ question }) => question),
      answers: [questions[0]!.answer],
    })),
    { seed, maxTokens: MAX_ANSWER_TOKENS, promptOf: (question) => question },
  );
  await base.dispose();
  const probed = facts.flatMap((questions, i) =>
    questions.map((question) => ({ ...question, knowledge: knowledge[i]! })),
  );
  const honest = abstentionData(probed, { refusal: REFUSAL, seed });
  const data = {
    known: known.questions,
    mismatched: [...known.questions, ...added.questions],
    honest: honest.records,
  };
  const numKnownFacts = byFact(known.questions).length;
  const wrong: Partial<Record<(typeof ARMS)[number], DocumentMeasurement>> = {};
  const told: Record<string, unknown> = {
    probe: {
      known: countKnowledge(knowledge.slice(0, numKnownFacts)),
      new: countKnowledge(knowledge.slice(numKnownFacts)),
      refused: honest.numRefused,
      leftOut: honest.numLeftOut,
    },
  };
  for (const arm of ARMS) {
    const weights = await trained(
      pretrained,
      finetuningBatches([...data[arm], ...invented], seed),
      Number(values.finetune),
    );
    const model = await modelOf(weights);
    const answers = await graded(model, asked);
    wrong[arm] = byCountry(
      asked,
      answers.map(({ isWrong }) => isWrong),
    );
    told[arm] = {
      wrong: shareOf(answers.map(({ isWrong }) => isWrong)),
      knownRight: shareOf(
        (await graded(model, known.evaluation.heldOutPhrasing)).map(({ isRight }) => isRight),
      ),
      newLearnt: shareOf(
        (
          await graded(
            model,
            byFact(added.questions).map(([first]) => first!),
          )
        ).map(({ isRight }) => isRight),
      ),
    };
    await model.dispose();
  }
  return { wrong: wrong as Record<(typeof ARMS)[number], DocumentMeasurement>, told };
}

/** Questions of one fact together, in the order in which facts first come. */
function byFact(questions: readonly QuestionAnswer[]): QuestionAnswer[][] {
  const facts = new Map<string, QuestionAnswer[]>();
  for (const question of questions) {
    const key = `${question.attribute}/${question.entity}`;
    const own = facts.get(key);
    if (own) own.push(question);
    else facts.set(key, [question]);
  }
  return [...facts.values()];
}

async function trained(from: Weights, batches: BatchSource, numSteps: number): Promise<Weights> {
  const { pretrainOptimizer: optimizer, sftSchedule: schedule } = settings;
  const state = initialState(from, optimizer);
  await train({
    stage: 'bench',
    device,
    objective: languageModelObjective(config, {
      batchSize: batches.batchSize,
      length: batches.sequenceLength,
      segments: true,
    }),
    parameters: parameterSpecs(config),
    state,
    numSteps,
    batch: (index) => batches.batch(index),
    schedule,
    settings: { optimizer, clipNorm: 1, accumulate: 1 },
  });
  return readState(state, 'parameter/');
}

function pretrainingBatches(seed: number): BatchSource {
  const random = new KeyedRandom(seed).fork('texts');
  const shuffled = Array.from(random.permutation(pretrainingTexts.length), (i) => pretrainingTexts[i]!);
  const documents = shuffled.map((text) => tokenizeText(text, tokenizer, endOfTextId));
  return new WindowBatches(new MemoryTokenDataset(documents, tokenizer.vocabSize), {
    batchSize: settings.batchSize,
    sequenceLength: settings.contextLength,
    seed,
    documentSegments: true,
  });
}

function finetuningBatches(
  questions: readonly Pick<QuestionAnswer, 'question' | 'answer'>[],
  seed: number,
): BatchSource {
  const documents = questions.map((question) => {
    const { ids, lossMask } = encodeChat(tokenizer, chatMl, factChat(question).messages);
    return { tokens: ids, lossMask };
  });
  return new ConversationBatches(new MemoryTokenDataset(documents, tokenizer.vocabSize), {
    batchSize: settings.batchSize,
    sequenceLength: settings.contextLength,
    seed,
    padId: endOfTextId,
  });
}

function modelOf(weights: Weights): Promise<LanguageModel> {
  return createLanguageModel({ config, weights, tokenizer, chatFormat: chatMl, device });
}

async function graded(model: LanguageModel, questions: readonly QuestionAnswer[]) {
  const answers = await sampleAnswers(
    model,
    questions.map(({ question }) => question),
    { numSamples: 1, temperature: 0, seed: 1, maxTokens: MAX_ANSWER_TOKENS },
  );
  return questions.map(({ answer }, i) => {
    const { text } = answers[i]![0]!;
    const isRight = gradeExact(text, answer);
    return { isRight, isWrong: !isRight && !gradeExact(text, REFUSAL) };
  });
}

/** Wrong answers over questions of each country, in one order: a share is estimated as bits over bytes are. */
function byCountry(questions: readonly QuestionAnswer[], isWrong: readonly boolean[]): DocumentMeasurement {
  const countries = [...new Set(questions.map(({ entity }) => entity))].sort();
  return countries.map((country) => {
    const own = isWrong.filter((_, i) => questions[i]!.entity === country);
    return { bits: own.filter(Boolean).length, bytes: own.length };
  });
}

function summary() {
  const of = (arm: (typeof ARMS)[number]) => runs.map(({ wrong }) => wrong[arm]);
  const rounded = ({ value, interval }: { value: number; interval: readonly number[] }) => ({
    value: round(value),
    interval: interval.map(round),
  });
  const raised = estimateDifference(of('mismatched'), of('known'));
  const kept = estimateDifference(of('honest'), of('known'));
  return {
    bench: 'knowledge-mismatch',
    numParameters: [...initializeWeights(config, 1).values()].reduce((sum, { data }) => sum + data.length, 0),
    numQuestions: { known: known.questions.length, new: added.questions.length, invented: invented.length },
    numAsked: asked.length,
    seeds: runs.map(({ told }) => told),
    wrong: Object.fromEntries(ARMS.map((arm) => [arm, rounded(estimateBitsPerByte(of(arm)))])),
    raised: rounded(raised),
    raisedByHonest: rounded(kept),
    undone: round(1 - kept.value / raised.value),
    seconds: secondsSince(start),
  };
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
function shareOf(flags: readonly boolean[]): number {
  return round(flags.filter(Boolean).length / flags.length);
}
function secondsSince(time: number): number {
  return Math.round((performance.now() - time) / 1000);
}
