/** `plinth generate` on a tiny model: where prompts come from, what is printed, and what it refuses. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPrompts } from '../../src/cli/generate/prompt-source.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { plinth, temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { tinyTokenizer, writeTinyChatFolder } from '../fixtures/cli/tiny-chat-folder.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
const run = (...args: string[]) =>
  plinthInProcess(folder.path, ['generate', '--model', 'tiny', '--threads', '1', ...args]);
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const short = ['--max-tokens', '6'];

beforeAll(() => writeTinyChatFolder(at('tiny')));
afterAll(() => folder.remove());

describe('JSON', () => {
  test('has exactly four fields when nothing else is asked for', async () => {
    const { code, stdout, stderr } = await run('abc', ...short, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const [completion] = lines(stdout);
    expect(Object.keys(completion!)).toEqual(['text', 'tokens', 'finishReason', 'usage']);
    expect(completion!.usage).toEqual({ promptTokens: 3, completionTokens: 6 });
    expect(completion!.text).toBe(tinyTokenizer.decode(completion!.tokens as number[]));
  });

  test.each([
    [['--temperature', '1'], ['seed']],
    [['--seed', '5'], ['seed']],
    [['--stop-tokens', '9'], ['stopToken']],
    [['--logprobs', '1'], ['logprobs']],
    [['--prompt-logprobs', '1'], ['promptLogprobs']],
    [
      ['--top-k', '3', '--stop-tokens', '9', '--logprobs', '0'],
      ['stopToken', 'seed', 'logprobs'],
    ],
  ])('%j adds %j', async (args, fields) => {
    const [completion] = lines((await run('abc', ...short, '--json', ...args)).stdout);
    expect(Object.keys(completion!)).toEqual(['text', 'tokens', 'finishReason', 'usage', ...fields]);
  });

  test('log-probabilities have the token, its text and the likeliest ones', async () => {
    const [completion] = lines((await run('abc', ...short, '--json', '--logprobs', '2')).stdout);
    const { tokens, logprobs } = completion as { tokens: number[]; logprobs: Record<string, unknown>[] };
    expect(logprobs.map(({ token }) => token)).toEqual(tokens);
    for (const place of logprobs) {
      expect(Object.keys(place)).toEqual(['token', 'text', 'logprob', 'top']);
      const top = place.top as { token: number; logprob: number }[];
      expect(top).toHaveLength(2);
      // Greedy: the token chosen is the likeliest.
      expect(top[0]).toEqual({ token: place.token, text: place.text, logprob: place.logprob });
      expect(top[0]!.logprob).toBeGreaterThanOrEqual(top[1]!.logprob);
    }
  });

  test('--n gives choices of one seed, and each is what its number gives alone', async () => {
    const drawn = ['abc', ...short, '--temperature', '1', '--seed', '7', '--json'];
    const choices = lines((await run(...drawn, '--n', '3')).stdout);
    expect(choices.map(({ choice }) => choice)).toEqual([0, 1, 2]);
    expect(new Set(choices.map(({ seed }) => seed))).toEqual(new Set([7]));
    expect(new Set(choices.map(({ tokens }) => String(tokens))).size).toBe(3);
    const [alone] = lines((await run(...drawn)).stdout);
    expect({ choice: 0, ...alone }).toEqual(choices[0]);
    const [one] = lines((await run(...drawn, '--n', '1')).stdout);
    expect(one).toEqual(choices[0]);
  });

  test('--stream gives the pieces first, of each choice', async () => {
    const asked = ['abc', ...short, '--temperature', '1', '--seed', '7', '--json', '--n', '2'];
    const streamed = lines((await run(...asked, '--stream')).stdout);
    const whole = streamed.filter((line) => 'finishReason' in line);
    expect(whole).toEqual(lines((await run(...asked)).stdout));
    for (const { choice, tokens, text } of whole) {
      const pieces = streamed.filter((line) => !('finishReason' in line) && line.choice === choice);
      expect(Object.keys(pieces[0]!)).toEqual(['choice', 'text', 'tokens']);
      expect(pieces.flatMap((piece) => piece.tokens)).toEqual(tokens);
      expect(pieces.map((piece) => piece.text).join('')).toBe(text);
    }
  });
});

describe('many prompts', () => {
  test('give one line each in their order with their ids, each as if asked alone', async () => {
    writeFileSync(
      at('prompts.jsonl'),
      [
        { id: 'first', prompt: 'abc' },
        { prompt: tinyTokenizer.encode('abc') },
        { id: 'chat', messages: [{ role: 'user', content: 'hi' }], gold: 'x' },
        'abc',
      ]
        .map((line) => JSON.stringify(line))
        .join('\n\n'),
    );
    const { code, stdout, stderr } = await run('--prompts', 'prompts.jsonl', ...short);
    expect(code).toBe(0);
    const answers = lines(stdout);
    expect(answers.map(({ id }) => id)).toEqual(['first', 3, 'chat', 7]);
    expect(Object.keys(answers[0]!)).toEqual(['id', 'text', 'tokens', 'finishReason', 'usage', 'seed']);
    expect(stderr).toContain('"gold"');
    const [text] = lines((await run('abc', ...short, '--json')).stdout);
    const [chat] = lines((await run('--chat', 'hi', ...short, '--json')).stdout);
    for (const [i, alone] of [text, text, chat, text].entries()) expect(answers[i]).toMatchObject(alone!);
  });

  test('a prompt that cannot be answered does not stop the others', async () => {
    const long = 'x'.repeat(500);
    writeFileSync(at('mixed.jsonl'), `"abc"\n${JSON.stringify(long)}\n{"prompt":[9999]}\n"abd"\n`);
    const { code, stdout, stderr } = await run('--prompts', 'mixed.jsonl', ...short);
    expect(code).toBe(1);
    const answers = lines(stdout);
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(answers.map((line) => (line.error as { code: string } | undefined)?.code)).toEqual([
      undefined,
      'limit',
      'data',
      undefined,
    ]);
    expect(stderr).toContain('2 of 4 prompts could not be answered');
  });

  test('with --n each prompt has its choices', async () => {
    writeFileSync(at('two.jsonl'), '"abc"\n"abd"\n');
    const args = ['--prompts', 'two.jsonl', ...short, '--temperature', '1', '--n', '2'];
    const { stdout } = await run(...args);
    expect(lines(stdout).map(({ id, choice }) => [id, choice])).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
      [2, 1],
    ]);
    const seeds = lines(stdout).map(({ seed }) => seed as number);
    expect(new Set(seeds).size).toBe(1);
    expect((await run(...args, '--seed', String(seeds[0]))).stdout).toBe(stdout);
  });

  test.each([
    ['{"prompt":"a"}\n{"promt":"b"}', 'line 2: there is no field "promt". Did you mean "prompt"?'],
    ['{"prompt":"a","temperature":1}', 'line 1: "temperature" is an option'],
    ['{"prompt":"a","maxTokens":1}', '"maxTokens" is an option'],
    ['{"prompt":"a","messages":[]}', 'both'],
    ['{"messages":[{"role":"robot","content":"a"}]}', 'system, user, assistant'],
    ['{"id":1,"prompt":"a"}\n{"id":1,"prompt":"b"}', 'line 2: the id 1 stands twice'],
    ['{"id":[],"prompt":"a"}', '"id"'],
    ['{"prompt":5}', 'a text or a list of token ids'],
    ['{', 'line 1'],
    ['', 'has no prompts'],
  ])('%s is refused with its place', async (text, fault) => {
    writeFileSync(at('bad.jsonl'), text);
    const { code, stdout, stderr } = await run('--prompts', 'bad.jsonl');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(fault);
  });
});

describe('a prompt', () => {
  const piped = (text: string) => ({ isTTY: false, text: async () => text });
  const terminal = { isTTY: true, text: async () => '' };

  test('comes from a file or from stdin without the last line break', async () => {
    writeFileSync(at('prompt.txt'), 'a\nb\n\n');
    const file = at('prompt.txt');
    expect(await readPrompts(undefined, { promptFile: file }, terminal)).toEqual({
      kind: 'one',
      prompt: 'a\nb\n',
    });
    expect(await readPrompts(undefined, {}, piped('a\r\n'))).toEqual({ kind: 'one', prompt: 'a' });
    expect(await readPrompts(undefined, { promptFile: '-' }, piped('x'))).toEqual({
      kind: 'one',
      prompt: 'x',
    });
    await expect(readPrompts(undefined, {}, terminal)).rejects.toThrow('got none');
    await expect(readPrompts(undefined, {}, piped('\n'))).rejects.toThrow('stdin is empty');
  });

  test('may be a chat with a system message before it', async () => {
    const asked = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'hi' },
    ];
    const messages = at('messages.json');
    expect(await readPrompts(undefined, { chat: 'hi', system: 'Be brief.' }, terminal)).toEqual({
      kind: 'one',
      prompt: { messages: asked },
    });
    for (const value of [asked, { messages: asked }]) {
      writeFileSync(messages, JSON.stringify(value));
      expect(await readPrompts(undefined, { messages }, terminal)).toEqual({
        kind: 'one',
        prompt: { messages: asked },
      });
    }
    await expect(readPrompts(undefined, { messages, system: 'x' }, terminal)).rejects.toThrow('already');
    await expect(readPrompts('a', { system: 'x' }, terminal)).rejects.toThrow('--system');
  });

  test('piped into the program is continued as the argument would be', async () => {
    const args = ['generate', '--model', 'tiny', '--threads', '1', ...short, '--json'];
    const { code, stdout, stderr } = await plinth(folder.path, args, { input: 'abc\n' });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe((await run('abc', ...short, '--json')).stdout);
  });

  test('that is no text is refused with the file named', async () => {
    writeFileSync(at('latin1.txt'), Buffer.from([0xe9, 0x20]));
    const { code, stderr } = await run('--prompt-file', 'latin1.txt');
    expect(code).toBe(1);
    expect(stderr).toContain('latin1.txt is not UTF-8');
    mkdirSync(at('folder'), { recursive: true });
    expect((await run('--messages', 'folder')).stderr).toContain('--messages folder');
  });
});

describe('what would not be seen is refused as wrong usage', () => {
  test.each([
    [['a', '--logprobs', '1'], '--json or --show-probabilities'],
    [['a', '--prompt-logprobs', '1'], '--json'],
    [['a', '--json', '--logprobs-mode', 'raw'], '--logprobs'],
    [['a', '--show-probabilities', '--json'], '--logprobs'],
    [['a', '--show-probabilities', '--stream'], '--stream'],
    [['a', '--n', '2'], '--temperature'],
    [['a', '--n', '2', '--num-beams', '2'], 'a search draws nothing'],
    [['a', '--n', '2', '--temperature', '1', '--stream'], '--json'],
    [['--prompts', 'prompts.jsonl', '--stream'], '--stream'],
    [['a', '--chat', 'b'], 'got PROMPT and --chat'],
    [['a', '--dry', '0.5'], '--dry'],
  ])('%j', async (args, fault) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    // With --json the error stands on stdout, as a line of JSON.
    expect(args.includes('--json') ? stderr : stdout).toBe('');
    expect(`${stdout}${stderr}`).toContain(fault);
  });
});

describe('plain text', () => {
  test('of several choices is only the texts on stdout', async () => {
    const args = ['abc', ...short, '--temperature', '1', '--seed', '7', '--n', '2'];
    const { stdout, stderr } = await run(...args);
    const texts = lines((await run(...args, '--json')).stdout).map(({ text }) => `${text as string}\n`);
    expect(stdout).toBe(texts.join(''));
    expect(stderr).toBe('choice 0\nchoice 1\n');
  });

  test('with probabilities marks and lists what the JSON of --logprobs says', async () => {
    const { stdout } = await run('abc', ...short, '--show-probabilities');
    const [completion] = lines((await run('abc', ...short, '--json', '--logprobs', '3')).stdout);
    const { logprobs } = completion as { logprobs: { logprob: number }[] };
    const mean = logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / logprobs.length;
    expect(stdout).toContain(`6 tokens, perplexity ${Math.exp(-mean).toPrecision(3)}`);
    const numUncertain = logprobs.filter(({ logprob }) => logprob < Math.log(0.5)).length;
    expect(stdout.split('\n').filter((line) => /^\d +\S.* %$/.test(line))).toHaveLength(numUncertain);
  });
});
