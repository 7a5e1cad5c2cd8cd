import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { plinth, temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const spawned = (...args: string[]) => plinth(folder.path, args);

describe('help', () => {
  test('of the program names every command; of a command it has an example', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    const commands = ['run', 'plan', 'new', 'train', 'sft', 'generate', 'chat', 'tokenizer'];
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    const lines = [
      ...commands.map((command) => [command]),
      ['tokenizer', 'train'],
      ['tokenizer', 'encode'],
      ['tokenizer', 'decode'],
    ];
    for (const words of lines) {
      const help = await run(...words, '--help');
      expect(help.code).toBe(0);
      expect(help.stdout).toMatch(/Examples?:\n {2}\$ plinth /);
      expect(help.stderr).toBe('');
    }
  });

  test('comes when nothing is asked', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: plinth');
  });
});

describe('the program as a shell starts it', () => {
  test('prints the version of the package and ends with 0', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await spawned('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('passes exit codes on', async () => {
    const [usage, failed] = await Promise.all([
      spawned('generate', '--top-k', '0', '--model', 'x', '--json'),
      spawned('chat', '--model', 'nowhere'),
    ]);
    expect(usage.code).toBe(2);
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'usage' } });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('config.json');
  });

  test('shows help without loading the runtime', async () => {
    const trace = await plinth(folder.path, ['generate', '--help'], {
      environment: { NODE_DEBUG: 'module' },
    });
    expect(trace.code).toBe(0);
    expect(trace.stderr).not.toContain('onnxruntime');
  });
});

describe('wrong usage ends with code 2, names the fault and points to help', () => {
  test.each([
    [['frobnicate'], "unknown command 'frobnicate'", 'plinth --help'],
    [['rum'], 'Did you mean run?', 'plinth --help'],
    [['run'], "missing required argument 'recipe'", 'plinth run --help'],
    [['run', 'atlas', '--minutes', '-3'], 'Expected a number above 0', 'plinth run --help'],
    [['run', 'atlas', '--minutes', 'NaN'], 'Expected a number above 0', 'plinth run --help'],
    [['run', 'atlas', '--device', 'tpu'], 'cpu, webgpu, cuda', 'plinth run --help'],
    [['run', 'atlas', '--set', 'vocabsize=9'], 'Did you mean "vocabSize"?', 'vocabSize'],
    [['run', 'atlas', '--set', 'vocabSize=many'], 'expected a number', 'vocabSize'],
    [['generate', '--prompt', 'x'], "'--model <folder>' not specified", 'plinth generate --help'],
    [['generate', '--model', 'x', 'a', '--chat', 'b'], 'exactly one of', 'plinth generate --help'],
    [['generate', '--model', 'x', 'a', '--top-p', '1.5'], 'above 0 and up to 1', 'plinth generate --help'],
    [
      ['tokenizer', 'decode', '1', 'x2', '--tokenizer', 't'],
      'whole number',
      'plinth tokenizer decode --help',
    ],
    [['train'], '--data is missing', 'plinth train --help'],
    [
      ['sft', '--model', 'm', '--data', 'd', '--out', 'o', '--steps', '1', '--epochs', '1'],
      'not both',
      '--steps',
    ],
    [['new', '../escape', '--from', 'x.csv'], 'letters, digits', '../escape'],
  ])('%j', async (args, fault, pointer) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(fault);
    expect(stderr).toContain(pointer);
    expect(stderr).not.toContain('    at ');
  });
});

describe('what cannot be done ends with code 1 and the next step, without a stack', () => {
  test.each([
    [['run', 'atlass'], 'Did you mean "atlas"?'],
    [['run', './nowhere.ts'], 'plinth new'],
    [['generate', '--model', 'nowhere', '--prompt', 'x'], 'plinth run atlas'],
    [['chat', '--model', 'nowhere'], 'config.json'],
    [['new', 'fruit', '--from', 'nowhere.csv'], 'nowhere.csv'],
    [['tokenizer', 'encode', 'x', '--tokenizer', 'nowhere'], 'tokenizer.json'],
    [['tokenizer', 'encode', '--file', 'nowhere.txt', '--tokenizer', 'x'], 'nowhere.txt'],
    [['train', '--config', 'nowhere.json'], 'nowhere.json'],
  ])('%j', async (args, hint) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(/^ {4}at |This is a bug/m);
  });

  test('with --json the error is one line on stdout', async () => {
    const results = [
      await run('generate', '--model', 'nowhere', '--prompt', 'x', '--json'),
      await run('generate', '--json', '--top-k', '0', '--model', 'x'),
      await run('frobnicate', '--json'),
    ];
    expect(results.map(({ code }) => code)).toEqual([1, 2, 2]);
    const errors = results.map(({ stdout }) => {
      expect(stdout.trim().split('\n')).toHaveLength(1);
      return (JSON.parse(stdout) as { error: { code: string; message: string } }).error;
    });
    expect(errors.map(({ code }) => code)).toEqual(['data', 'usage', 'usage']);
    for (const { message } of errors) expect(message.length).toBeGreaterThan(10);
  });
});

describe('a tokenizer', () => {
  beforeAll(async () => {
    writeFileSync(
      join(folder.path, 'corpus.txt'),
      readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8'),
    );
    const trained = await run(
      'tokenizer',
      'train',
      'corpus.txt',
      '--vocab-size',
      '280',
      '--out',
      'tok',
      '--json',
    );
    expect(trained.code).toBe(0);
    expect(JSON.parse(trained.stdout)).toMatchObject({ out: 'tok', vocabSize: 280, numDocuments: 1 });
  });

  test('decodes what it encoded, whatever the text', async () => {
    const text = 'permission is granted 👋 é <|im_end|>\tend';
    const encoded = await run('tokenizer', 'encode', text, '--tokenizer', 'tok', '--json');
    const { tokens, numTokens } = JSON.parse(encoded.stdout) as { tokens: number[]; numTokens: number };
    expect(numTokens).toBe(tokens.length);
    expect(tokens.length).toBeLessThan(new TextEncoder().encode(text).length);
    const decoded = await run('tokenizer', 'decode', tokens.join(','), '--tokenizer', 'tok', '--json');
    expect(JSON.parse(decoded.stdout)).toEqual({ text });
    const plain = await run('tokenizer', 'decode', ...tokens.map(String), '--tokenizer', 'tok');
    expect(plain.stdout).toBe(`${text}\n`);
  });

  test('names in a text become special tokens only when asked', async () => {
    const asText = await run('tokenizer', 'encode', '<|im_end|>', '--tokenizer', 'tok');
    const parsed = await run('tokenizer', 'encode', '<|im_end|>', '--tokenizer', 'tok', '--parse-special');
    expect(asText.stdout.trim().split(' ').length).toBeGreaterThan(1);
    expect(parsed.stdout.trim()).toBe('279');
  });

  test('reads a file and shows pieces', async () => {
    writeFileSync(join(folder.path, 'one.txt'), 'the');
    const { stdout } = await run(
      'tokenizer',
      'encode',
      '--file',
      'one.txt',
      '--tokenizer',
      'tok',
      '--pieces',
    );
    const pieces = [...stdout.matchAll(/^ +\d+ {2}(".*")$/gm)].map(
      (match) => JSON.parse(match[1]!) as string,
    );
    expect(pieces.join('')).toBe('the');
    expect(pieces.length).toBeLessThan(3);
  });

  test('refuses an id that it does not have', async () => {
    const { code, stderr } = await run('tokenizer', 'decode', '99999', '--tokenizer', 'tok');
    expect(code).toBe(1);
    expect(stderr).toContain('0 to 279');
  });
});

describe('a config file', () => {
  test.each([
    ['{"stepz": 3}', 'Did you mean "steps"?'],
    ['{"steps": "many"}', 'steps'],
    ['[1]', 'one JSON object'],
    ['{', 'could not be read as JSON'],
  ])('%s is refused with the key named', async (text, hint) => {
    writeFileSync(join(folder.path, 'config.json'), text);
    const { code, stderr } = await run('train', '--config', 'config.json');
    expect(code).toBe(1);
    expect(stderr).toContain(hint);
  });
});

describe('a recipe file', () => {
  beforeAll(() => mkdirSync(join(folder.path, 'recipes'), { recursive: true }));

  test.each([
    ['export default 3;', 'does not export a recipe'],
    ['export default { name: "x y", description: "", minutes: 1, sources: () => [] };', 'Recipe name "x y"'],
    ['export default {{', 'broken.ts'],
    ['throw new Error("no luck");', 'no luck'],
    ['import "plinth/nothing"; export default {};', 'plinth/nothing'],
    [
      'export default { name: "x", description: "", minutes: 1, sources: () => { throw new Error("table gone"); } };',
      'table gone',
    ],
  ])('%s is reported as its own fault', async (source, hint) => {
    writeFileSync(join(folder.path, 'recipes', 'broken.ts'), source);
    const { code, stderr } = await spawned('run', 'broken', '--no-chat');
    expect(code).toBe(1);
    expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(/This is a bug/);
  });
});
