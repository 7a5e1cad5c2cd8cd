/** `plinth export`: what it prints, what it refuses by name, and that it never harms what is there. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportCommand } from '../../src/cli/commands/export.ts';
import { PlinthError } from '../../src/core/errors.ts';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { loadCheckpoint } from '../../src/model/index.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { exportModelOf, PROMPTS, saveExportModel } from '../fixtures/models/export-model.ts';

const folder = temporaryFolder();
const at = (...parts: string[]) => join(folder.path, ...parts);
const model = exportModelOf({ intermediateSize: 80 });
const source = at('runs', 'small', 'model');

beforeAll(() => saveExportModel(source, model));
afterAll(() => folder.remove());

/** Runs the command and gives what it printed, or the text of its refusal. */
async function run(...args: string[]): Promise<{ out: string; error?: string }> {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  const command = exportCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  program.addCommand(command);
  let out = '';
  const before = process.stdout.write;
  process.stdout.write = ((text: string) => {
    out += text;
    return true;
  }) as typeof process.stdout.write;
  try {
    await program.parseAsync(['export', ...args], { from: 'user' });
    return { out };
  } catch (error) {
    if (!(error instanceof PlinthError || error instanceof CommanderError)) throw error;
    return { out, error: error.message };
  } finally {
    process.stdout.write = before;
  }
}

interface Report {
  to: string;
  files: { path: string; sizeBytes: number }[];
  weights: { file: string; types: Record<string, number>; unquantized: string[] }[];
  notes: string[];
}

describe('plinth export --to onnx', () => {
  it('writes a file for every type asked for, and tells sizes and what stayed unquantised', async () => {
    const { out } = await run(
      source,
      '--to',
      'onnx',
      '--dtype',
      'f32,f16',
      '--quantize',
      'q8,q4',
      '--out',
      at('web'),
      '--json',
    );
    const report = JSON.parse(out) as Report;
    expect(report.files.map(({ path }) => path.slice(at('web').length + 1))).toEqual([
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'onnx/model.onnx',
      'onnx/model_fp16.onnx',
      'onnx/model_quantized.onnx',
      'onnx/model_q4.onnx',
    ]);
    for (const { path, sizeBytes } of report.files) expect(statSync(path).size, path).toBe(sizeBytes);
    expect(readdirSync(at('web')).sort()).toContain('plinth-export.json');
    expect(report.weights[2]).toMatchObject({
      types: { q8: 13, float32: 11 },
      unquantized: ['model.layers.0.mlp.down_proj.weight', 'model.layers.1.mlp.down_proj.weight'],
    });
    const config = JSON.parse(readFileSync(at('web', 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config['transformers.js_config']).toEqual({ dtype: 'fp32' });
    const tokenizer = JSON.parse(readFileSync(at('web', 'tokenizer_config.json'), 'utf8')) as object;
    expect(tokenizer).toMatchObject({
      clean_up_tokenization_spaces: false,
      chat_template: model.tokenizerConfig.chatTemplate,
    });
  });

  it('prints the same for people', async () => {
    const { out } = await run(source, '--to', 'onnx', '--quantize', 'q8', '--out', at('shown'));
    expect(out).toMatch(/kB {2}.*shown\/onnx\/model_quantized\.onnx\n/);
    expect(out).toContain('13 q8, 11 float32 tensors');
    expect(out).toContain(
      'not quantised: model.layers.0.mlp.down_proj.weight, model.layers.1.mlp.down_proj.weight',
    );
  });
});

describe('plinth export --to safetensors', () => {
  it('writes a folder that Plinth loads again, with the same answers', async () => {
    await run(source, '--to', 'safetensors', '--dtype', 'bf16', '--out', at('bf16'));
    const { weights } = await loadCheckpoint(at('bf16'));
    const name = 'model.layers.0.self_attn.q_proj.weight';
    weights.get(name)!.data.forEach((value, i) => {
      expect(Math.abs(value - model.weights.get(name)!.data[i]!)).toBeLessThanOrEqual(Math.abs(value) / 256);
    });
    await run(source, '--to', 'safetensors', '--out', at('f32'));
    const answers = await Promise.all(
      [source, at('f32')].map(async (path) => {
        const loaded = await loadLanguageModel(path, { device: cpuDevice({ numThreads: 1 }) });
        const { tokens } = await loaded.generate(PROMPTS[0]!, { maxTokens: 12, temperature: 0 });
        await loaded.dispose();
        return tokens;
      }),
    );
    expect(answers[1]).toEqual(answers[0]);
  });

  it('with --quantize keeps embeddings as floats, and a file of it has the same blocks', async () => {
    const { out } = await run(source, '--to', 'safetensors', '--quantize', 'q4', '--out', at('q4'), '--json');
    expect((JSON.parse(out) as Report).weights[0]!.unquantized).toEqual([
      'model.embed_tokens.weight',
      'model.layers.0.mlp.down_proj.weight',
      'model.layers.1.mlp.down_proj.weight',
    ]);
    const again = await run(at('q4'), '--to', 'gguf', '--out', at('from-q4.gguf'), '--json');
    expect((JSON.parse(again.out) as Report).weights[0]!.types).toMatchObject({ Q4_0: 12 });
    const refused = await run(at('q4'), '--to', 'gguf', '--quantize', 'q8', '--out', at('no.gguf'));
    expect(refused.error).toMatch(/quantised to 4 bits already; make 8 bits from the unquantised model/);
  });
});

describe('what cannot be done is refused by name', () => {
  it.each([
    [['--to', 'onnx', '--dtype', 'bf16'], /no bf16 files/],
    [['--to', 'gguf', '--quantize', 'q8,q4'], /has one type, got q8, q4/],
    [['--to', 'safetensors', '--dtype', 'f32,f16'], /has one type, got f32, f16/],
    [['--to', 'onnx', '--quantize', 'q8,q8'], /"q8" is given twice/],
    [['--to', 'onnx', '--name', 'x'], /name is written into GGUF files only/],
    [['--to', 'onnx', '--quantize', 'q5'], /"q5" is none of q8, q4/],
    [['--to', 'pickle'], /Allowed choices are onnx, gguf, safetensors/],
  ])('%j', async (args, message) => {
    const { error } = await run(source, ...args, '--out', at('refused'));
    expect(error).toMatch(message);
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('a model without a tokenizer as GGUF; as ONNX it is noted', async () => {
    rmSync(at('bare'), { recursive: true, force: true });
    await run(source, '--to', 'safetensors', '--out', at('bare'));
    rmSync(at('bare', 'tokenizer.json'));
    const { error } = await run(at('bare'), '--to', 'gguf', '--out', at('bare.gguf'));
    expect(error).toMatch(/no tokenizer\.json, and llama\.cpp loads no model without/);
    const { out } = await run(at('bare'), '--to', 'onnx', '--out', at('bare-onnx'));
    expect(out).toContain('Note: The model has no tokenizer.json');
  });
});

describe('what is already there', () => {
  it('a folder of other things is never touched', async () => {
    mkdirSync(at('mine'));
    writeFileSync(at('mine', 'thesis.txt'), 'years of work');
    for (const overwrite of [[], ['--overwrite']]) {
      const { error } = await run(source, '--to', 'onnx', '--out', at('mine'), ...overwrite);
      expect(error).toMatch(/holds files that no export has written \(thesis\.txt\)/);
    }
    expect(readdirSync(at('mine'))).toEqual(['thesis.txt']);
  });

  it('an earlier export is replaced as a whole, when asked for', async () => {
    await run(source, '--to', 'onnx', '--dtype', 'f32', '--out', at('twice'));
    const { error } = await run(source, '--to', 'onnx', '--quantize', 'q8', '--out', at('twice'));
    expect(error).toMatch(/holds an earlier export.*--overwrite/);
    await run(source, '--to', 'onnx', '--quantize', 'q8', '--out', at('twice'), '--overwrite');
    expect(readdirSync(at('twice', 'onnx'))).toEqual(['model_quantized.onnx']);
  });

  it('a file is replaced only when asked for, and an empty folder is filled', async () => {
    writeFileSync(at('there.gguf'), 'old');
    const { error } = await run(source, '--to', 'gguf', '--out', at('there.gguf'));
    expect(error).toMatch(/is already there/);
    expect(readFileSync(at('there.gguf'), 'utf8')).toBe('old');
    await run(source, '--to', 'gguf', '--out', at('there.gguf'), '--overwrite');
    expect(readFileSync(at('there.gguf')).subarray(0, 4).toString()).toBe('GGUF');
    mkdirSync(at('empty'));
    expect((await run(source, '--to', 'safetensors', '--out', at('empty'))).error).toBeUndefined();
  });

  it('a disk that fills up leaves the old file and no part of the new one', async () => {
    writeFileSync(at('full.gguf'), 'old');
    // A process that may write no file above 64 KB stands for a full disk.
    const script = `
      import { exportModel } from ${JSON.stringify(new URL('../../src/model/export/index.node.ts', import.meta.url).pathname)};
      process.on('SIGXFSZ', () => {});
      await exportModel(${JSON.stringify(source)}, { to: 'gguf', out: ${JSON.stringify(at('full.gguf'))}, overwrite: true })
        .then(() => process.exit(0), (error) => { console.log(error.code); process.exit(1); });`;
    writeFileSync(at('full.mts'), script);
    const tsx = new URL('../../node_modules/.bin/tsx', import.meta.url).pathname;
    const child = spawn('bash', ['-c', `ulimit -f 64; exec ${tsx} --no-cache ${at('full.mts')}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect({ code, said: said.trim() }).toEqual({ code: 1, said: 'disk' });
    expect(readFileSync(at('full.gguf'), 'utf8')).toBe('old');
    expect(readdirSync(folder.path).filter((name) => name.includes('plinth-tmp'))).toEqual([]);
  });
});
