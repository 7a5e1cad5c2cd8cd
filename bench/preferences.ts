/**
 * Every preference loss with its defaults on one task: right answers over answers to other questions, on the atlas's
 * chats. `npx tsx bench/preferences.ts [--run FOLDER] [--pairs 600] [--losses dpo,ipo ...]`
 *
 * One JSON line for each loss: its figures on questions kept aside after one pass, and milliseconds a step. FOLDER is
 * a run of `plinth run atlas` (made first where it is not there, 500 steps at width 128); by default a temporary one.
 */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import atlas from '../recipes/atlas.ts';
import { PREFERENCE_LOSS_NAMES } from '../src/align/preference/preference-settings.ts';
import { KeyedRandom } from '../src/core/random.ts';
import { openTokenShards } from '../src/data/index.node.ts';
import { runRecipe } from '../src/recipe/index.node.ts';
import { preferOnPairs } from '../src/recipe/post-training/prefer-on-pairs.node.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import { loadTokenizer } from '../src/tokenizer/index.node.ts';

const { values } = parseArgs({
  options: {
    run: { type: 'string' },
    pairs: { type: 'string', default: '600' },
    losses: { type: 'string', default: PREFERENCE_LOSS_NAMES.join(',') },
  },
});
const RUN = { hiddenSize: 128, numLayers: 4, pretrainSteps: 500, sftSteps: 30 };
const LENGTH = 64;
const CHAT = /<\|im_start\|>user\n(.*)<\|im_end\|>\n<\|im_start\|>assistant\n(.*)<\|im_end\|>/s;

const device = cpuDevice();
const temporary = await mkdtemp(join(tmpdir(), 'plinth-preferences-'));
const run = values.run ?? join(temporary, 'run');
if (!(await stat(join(run, 'model')).catch(() => undefined))) {
  await runRecipe(atlas, { folder: run, overrides: RUN });
}

/** The questions and answers that the run was finetuned on. */
async function answeredQuestions(): Promise<{ question: string; answer: string }[]> {
  const { tokenizer } = await loadTokenizer(join(run, 'model'));
  const set = await openTokenShards(join(run, 'data'), 'sft');
  return Array.from({ length: set.numDocuments }, (_, i) => {
    const start = set.documentStart(i);
    const tokens = set.readTokens(start, set.documentStart(i + 1) - start);
    const found = CHAT.exec(tokenizer.decode(Array.from(tokens), { special: 'keep' }));
    return found ? [{ question: found[1]!, answer: found[2]! }] : [];
  }).flat();
}

const answered = await answeredQuestions();
const random = new KeyedRandom(1).fork('pairs');
const pairs = Array.from({ length: Number(values.pairs) }, (_, i) => {
  const right = random.pick(2 * i, answered);
  const other = random.pick(2 * i + 1, answered);
  return { prompt: right.question, chosen: right.answer, rejected: other.answer };
}).filter(({ chosen, rejected }) => chosen !== rejected);
const file = join(temporary, 'pairs.jsonl');
await writeFile(file, pairs.map((pair) => JSON.stringify(pair)).join('\n'));

for (const loss of values.losses.split(',')) {
  const { steps, seconds, numItems, validationMetrics } = await preferOnPairs({
    model: join(run, 'model'),
    files: [file],
    folder: join(temporary, loss),
    device,
    loss,
    length: LENGTH,
  });
  const figures = Object.entries(validationMetrics ?? {}).map(([name, value]) => [
    name,
    Number(value.toFixed(3)),
  ]);
  console.log(
    JSON.stringify({
      bench: 'preferences',
      loss,
      numItems,
      steps,
      millisecondsPerStep: Number(((1000 * seconds) / steps).toFixed(1)),
      ...Object.fromEntries(figures),
    }),
  );
}
await rm(temporary, { recursive: true, force: true });
