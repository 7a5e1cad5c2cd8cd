/** A whole talk over streams: commands, answers, Ctrl-C, and what reaches a terminal, a pipe or a program. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/cli/chat-commands.ts';
import { ChatSession } from '../../src/cli/chat-session.ts';
import { changeSetting, DEFAULT_CHAT_SETTINGS, SETTING_NAMES } from '../../src/cli/chat-settings.ts';
import { type TalkOptions, talk } from '../../src/cli/chat-terminal.ts';
import { GENERATION_FLAGS } from '../../src/cli/generate/generation-flags.ts';
import { visibleText } from '../../src/cli/terminal/visible-text.ts';
import type { LanguageModel } from '../../src/decode/language-model.ts';
import { loadLanguageModel } from '../../src/decode/load-model.node.ts';
import { plinth, temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { TINY_CONTEXT, writeTinyChatFolder } from '../fixtures/cli/tiny-chat-folder.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
let model: LanguageModel;

beforeAll(async () => {
  await writeTinyChatFolder(at('tiny'));
  model = await loadLanguageModel(at('tiny'));
});
afterAll(async () => {
  await model.dispose();
  folder.remove();
});

const SHORT = { flags: { maxTokens: 6 } };

/** A talk whose other end is this test. */
function startTalk(isTTY: boolean, options: TalkOptions = {}, session = new ChatSession(model, SHORT)) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const shown = { out: '', errors: '' };
  const sink = (name: keyof typeof shown) => {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 });
    stream.setEncoding('utf8').on('data', (text: string) => {
      shown[name] += text;
    });
    return stream;
  };
  const streams = {
    input,
    output: sink('out'),
    errors: sink('errors'),
    environment: { XDG_STATE_HOME: at('state'), TERM: 'xterm-256color', NO_COLOR: '1' },
  };
  const ended = talk(session, options, streams);
  const until = async (isDone: () => boolean) => {
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { input, shown, ended, session, until };
}

async function piped(lines: readonly string[], options: TalkOptions = {}, session?: ChatSession) {
  const before = process.exitCode;
  const run = startTalk(false, options, session);
  run.input.end(lines.map((line) => `${line}\n`).join(''));
  await run.ended;
  const code = process.exitCode ?? 0;
  process.exitCode = before;
  return { ...run.shown, code, session: run.session };
}

describe('lines from a program', () => {
  test('give an answer each, and nothing else on stdout', async () => {
    const { out, errors, session, code } = await piped(['hi', '', '/history']);
    const answer = session.messages[1]!.content;
    expect(out.startsWith(`${visibleText(answer)}\n`)).toBe(true);
    expect(out).toContain('1  you: hi\n2  model: ');
    expect(errors).toContain('/continue goes on');
    expect(code).toBe(0);
  });

  test('with JSON each line gives one object', async () => {
    const { out, code } = await piped(['hi', '/set temperature 1', '/set top-q 3', '/retry', '/nope'], {
      asJson: true,
    });
    const objects = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects.map((one) => Object.keys(one))).toEqual([
      ['text', 'tokens', 'finishReason', 'usage'],
      ['command', 'text'],
      ['error'],
      ['text', 'tokens', 'finishReason', 'usage', 'seed'],
      ['error'],
    ]);
    expect(objects[1]).toEqual({ command: '/set', text: 'temperature 1' });
    expect(code).toBe(1);
  });

  test('a question that fails is told on stderr and the talk goes on', async () => {
    const { out, errors, session, code } = await piped(['x'.repeat(TINY_CONTEXT), 'hi']);
    expect(errors).toContain(`the model's context is ${TINY_CONTEXT}`);
    expect(session.messages).toHaveLength(2);
    expect(out.split('\n').length).toBeGreaterThan(1);
    expect(code).toBe(1);
  });

  test('the program itself answers them, and Ctrl-D or /quit ends it', async () => {
    const args = [
      'chat',
      '--model',
      'tiny',
      '--threads',
      '1',
      '--max-tokens',
      '4',
      '--json',
      '--history',
      'off',
    ];
    const { code, stdout } = await plinth(folder.path, args, { input: 'hi\nhi\n/quit\nhi\n' });
    const lines = stdout.trim().split('\n');
    expect(code).toBe(0);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe(lines[1]);
  });
});

describe('a person at a terminal', () => {
  test('sees answers without anything that steers the terminal', async () => {
    const evil = 'a\u001b]0;owned\u0007\u009b2Jb';
    const tokens = model.tokenizer!.encode(evil);
    const noisy = {
      ...model,
      contextLength: model.contextLength,
      tokenizer: model.tokenizer,
      chatFormat: model.chatFormat,
      capabilities: model.capabilities,
      stream: () => ({
        completion: Promise.resolve({
          text: evil,
          tokens,
          finishReason: 'stop',
          usage: { promptTokens: 1, completionTokens: tokens.length },
          seed: 0,
        }),
        async *[Symbol.asyncIterator]() {
          yield { text: evil.slice(0, 3), tokens: [] };
          yield { text: evil.slice(3), tokens };
        },
      }),
    } as unknown as LanguageModel;
    const { input, shown, ended, until } = startTalk(true, { keepLines: false }, new ChatSession(noisy));
    input.write('hi\r');
    await until(() => shown.out.includes('2Jb'));
    input.write('/history\r');
    await until(() => shown.out.includes('model: '));
    input.write('/quit\r');
    await ended;
    expect(shown.out).toContain('a\\x1b]0;owned\\x07\\x9b2Jb');
    expect(shown.out).not.toContain('\u001b]0;');
    expect(shown.out).not.toContain('\u009b');
  });

  test('stops an answer with Ctrl-C, and leaves with the next', async () => {
    const long = new ChatSession(model, { flags: { maxTokens: 140, ignoreStopTokens: true } });
    const { input, shown, ended, session, until } = startTalk(true, { keepLines: false }, long);
    input.write('hi\r');
    await until(() => shown.out.split('hi').length > 1 && shown.out.length > 120);
    input.write('\u0003');
    await until(() => session.messages.length === 2);
    await until(() => shown.out.includes('(stopped)'));
    input.write('\u0003');
    await ended;
    expect(session.messages[1]!.content.length).toBeLessThan(140);
  });

  test('clears a typed line with Ctrl-C and is asked before leaving', async () => {
    const { input, shown, ended, session, until } = startTalk(true, { keepLines: false });
    input.write('half a question\u0003');
    input.write('\u0003');
    await until(() => shown.out.includes('Ctrl-C again leaves.'));
    input.write('\u0003');
    await ended;
    expect(session.messages).toEqual([]);
  });

  test('writes several lines with a backslash, and finds them again in the next talk', async () => {
    const first = startTalk(true);
    first.input.write('one \\\r');
    first.input.write('two\r');
    await first.until(() => first.session.messages.length === 2);
    first.input.write('/quit\r');
    await first.ended;
    expect(first.session.messages[0]!.content).toBe('one \ntwo');
    const file = join(at('state'), 'plinth', 'chat-lines');
    expect(readFileSync(file, 'utf8')).toBe('one \\\ntwo\n/quit\n');
    expect(statSync(file).mode & 0o077).toBe(0);
    const second = startTalk(true);
    second.input.write('\u001b[A\u001b[A\r');
    await second.until(() => second.session.messages.length === 2);
    second.input.write('\u0004');
    await second.ended;
    expect(second.session.messages[0]!.content).toBe('two');
  });

  test('completes commands and settings with tab', async () => {
    const { input, shown, ended, session, until } = startTalk(true, { keepLines: false });
    input.write('/set tempera');
    input.write('\t');
    input.write('0.5\r');
    await until(() => shown.out.includes('temperature 0.5\n'));
    input.write('/quit\r');
    await ended;
    expect(session.settings.flags).toEqual({ maxTokens: 6, temperature: 0.5 });
  });
});

describe('commands', () => {
  const session = () => new ChatSession(model, SHORT);
  const text = async (chat: ChatSession, line: string) => {
    const result = await runCommand(chat, line);
    return typeof result === 'object' && 'text' in result ? result.text : result;
  };

  test('save and load give the same conversation and settings', async () => {
    const { session: chat } = await piped(
      [
        '/system Be brief.',
        '/set stop ["a","\\n"]',
        '/set logit-bias 5=-1,6=2',
        '/trim',
        '/set trim error',
        'hi',
      ],
      {},
      session(),
    );
    expect(await text(chat, `/save ${at('talk.json')}`)).toContain('2 messages');
    const again = session();
    expect(await text(again, `/load ${at('talk.json')}`)).toContain('2 messages');
    expect(again.messages).toEqual(chat.messages);
    expect(again.settings).toEqual(chat.settings);
    const saved = JSON.parse(readFileSync(at('talk.json'), 'utf8')) as { messages: unknown[] };
    expect(saved.messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
  });

  test('save keeps a file that is something else; load says what is wrong with one', async () => {
    writeFileSync(at('other.json'), '{"a":1}');
    mkdirSync(at('dir'), { recursive: true });
    expect(await text(session(), `/save ${at('other.json')}`)).toContain('not a saved chat');
    expect(readFileSync(at('other.json'), 'utf8')).toBe('{"a":1}');
    expect(await text(session(), `/load ${at('other.json')}`)).toContain('"messages"');
    expect(await text(session(), `/load ${at('none.json')}`)).toContain('There is no file');
    expect(await text(session(), `/load ${at('dir')}`)).toContain('could not be read');
    writeFileSync(
      at('set.json'),
      '{"messages":[{"role":"user","content":"a"}],"settings":{"generation":{"topK":0}}}',
    );
    expect(await text(session(), `/load ${at('set.json')}`)).toContain('top-k');
  });

  test('tokens says how much is used', async () => {
    const { session: chat } = await piped(['hi'], {}, session());
    const used = chat.numTokens()!;
    expect(await text(chat, '/tokens')).toMatch(
      new RegExp(
        `^${used} of ${TINY_CONTEXT} tokens; ${TINY_CONTEXT - used} left\\.\nLast answer: \\d tokens in`,
      ),
    );
  });

  test.each([
    ['/rest', 'Did you mean /reset?'],
    ['/frobnicate', '/help'],
    ['/reset now', 'takes nothing'],
    ['/edit one two', '/edit 1'],
    ['/save', '/save talk.json'],
    ['/set', '/set temperature 0.8'],
    ['/undo', 'nothing to take back'],
    ['/help', '/probabilities on|off'],
    ['/system', 'no system message'],
    ['/probabilities', 'probabilities on'],
  ])('%s', async (line, expected) => {
    expect(await text(session(), line)).toContain(expected);
  });
});

describe('settings', () => {
  test('are all flags of generation but those of log-probabilities, and three of the chat', () => {
    const flags = GENERATION_FLAGS.filter(({ group }) => group !== 'log-probabilities').map(
      ({ name }) => name,
    );
    expect(SETTING_NAMES).toEqual(['history', 'trim', 'probabilities', ...flags]);
  });

  test.each([
    ['temperature', '0.7', { temperature: 0.7 }],
    ['topK', '5', { topK: 5 }],
    ['--top-p', '0.5', { topP: 0.5 }],
    ['stop', 'x', { stop: ['x'] }],
    ['stop', '"\\n"', { stop: ['\n'] }],
    ['ignore-stop-tokens', 'on', { ignoreStopTokens: true }],
    ['ignore-stop-tokens', 'off', {}],
    ['logit-bias', '5=1', { logitBias: { 5: 1 } }],
    ['sampler', 'top-k=5', { chain: undefined, sampler: [{ stage: 'top-k', k: 5 }] }],
    ['max-tokens', '', {}],
  ])('%s %s', (name, value, flags) => {
    expect(changeSetting(DEFAULT_CHAT_SETTINGS, name, value).settings.flags).toEqual(flags);
  });

  test.each([
    ['temperature', 'hot', 'at least 0'],
    ['temprature', '1', 'Did you mean temperature?'],
    ['temp', '1', 'Did you mean temperature?'],
    ['history', 'maybe', 'on or off'],
    ['trim', 'newest', 'oldest or error'],
    ['dry', '0.8', 'llamacpp'],
    ['dry-base', '2', '--dry'],
    ['ignore-stop-tokens', 'yes', 'on or off'],
    ['stop', '[1]', 'Expected texts'],
    ['logprobs', '1', 'no setting'],
  ])('%s %s changes nothing and says why', (name, value, fault) => {
    const change = changeSetting(DEFAULT_CHAT_SETTINGS, name, value);
    expect(change.settings).toBe(DEFAULT_CHAT_SETTINGS);
    expect(change.text).toContain(fault);
  });
});
