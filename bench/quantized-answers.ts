/**
 * How well a recipe's model answers after it was exported in 8 and 4 bits: every evaluation question of the atlas
 * asked of the trained model and of the quantised ones, with the sizes of the files to ship.
 * `npm start`, then `npx tsx bench/quantized-answers.ts [runs/atlas]`
 *
 * One JSON line. `right` is the share of questions in held-out wordings answered exactly, `refused` that of invented
 * names refused; `bytes` is the ONNX file that `plinth export --to onnx` writes for transformers.js, `ggufBytes`
 * the GGUF file for llama.cpp. The GGUF models answer through llama.cpp, with its own arithmetic.
 */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import atlas from '../recipes/atlas.ts';
import { type LanguageModel, loadLanguageModel, openLanguageModel } from '../src/decode/index.node.ts';
import { exportModel } from '../src/model/index.node.ts';
import { writeFacts } from '../src/recipe/facts/index.ts';
import { evaluateFacts } from '../src/recipe/stages/evaluate-facts.ts';

const folder = join(process.argv[2] ?? 'runs/atlas', 'model');
// The settings of `npm start`: seed and share of questions about invented names.
const { seed, unknownShare } = JSON.parse(await readFile(join(folder, '..', 'recipe.json'), 'utf8')).resolved
  .settings;
const corpus = writeFacts(await atlas.sources(), { seed, unknownShare });
const temporary = await mkdtemp(join(tmpdir(), 'plinth-quantized-'));
try {
  console.log(JSON.stringify(await measure()));
} finally {
  await rm(temporary, { recursive: true, force: true });
}
process.exit(0);

async function measure() {
  const onnx = join(temporary, 'onnx');
  await exportModel(folder, { to: 'onnx', dtypes: ['f32'], quantize: ['q8', 'q4'], out: onnx });
  const files = { f32: 'model.onnx', q8: 'model_quantized.onnx', q4: 'model_q4.onnx' };
  const rows: Record<string, unknown> = {};
  for (const [precision, quantize] of [
    ['f32', undefined],
    ['q8', 8],
    ['q4', 4],
  ] as const) {
    const gguf = join(temporary, `${precision}.gguf`);
    await exportModel(folder, {
      to: 'gguf',
      out: gguf,
      ...(precision !== 'f32' && { quantize: [precision] }),
    });
    rows[precision] = {
      ...(await answers(await loadLanguageModel(folder, quantize ? { quantize } : {}))),
      bytes: await size(join(onnx, 'onnx', files[precision])),
      ggufBytes: await size(gguf),
      llama: await answers(await openLanguageModel(gguf, { gguf: { maxBatchSize: 4 } })),
    };
  }
  return { bench: 'quantized-answers', ...rows };
}

async function answers(model: LanguageModel) {
  try {
    const { heldOutPhrasing, unknown } = await evaluateFacts(model, corpus, { onEvent: () => {} });
    return {
      right: rounded(heldOutPhrasing.exactMatch),
      refused: rounded(unknown.abstention),
      falselyRefused: rounded(unknown.falseAbstention),
    };
  } finally {
    await model.dispose();
  }
}

async function size(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
