/** The engine on a stand-in for llama.cpp whose scores are known. */
import type { LlamaContext } from 'node-llama-cpp';
import { describe, expect, it } from 'vitest';
import { GgufEngine } from '../../src/decode/gguf/gguf-engine.node.ts';
import type { WantedScores } from '../../src/decode/gguf/gguf-sampling.ts';
import type { Sequence } from '../../src/decode/sequence.ts';

interface Next {
  token?: boolean;
  logits?: true | { filter: { includeTop: number } };
}

/** A context of one slot in which every place has these scores; `read` lists what was asked of it. */
function contextOf(scores: readonly number[]) {
  const read: string[] = [];
  const best = scores.map((score, id) => [id, score] as const).sort((a, b) => b[1] - a[1]);
  const slot = {
    nextTokenIndex: 0,
    async clearHistory() {
      slot.nextTokenIndex = 0;
    },
    async evaluateWithoutGeneratingNewTokens(tokens: number[]) {
      slot.nextTokenIndex += tokens.length;
    },
    async eraseContextTokenRanges([range]: [{ start: number; end: number }]) {
      read.push('erase');
      expect(range).toEqual({ start: slot.nextTokenIndex - 1, end: slot.nextTokenIndex });
      slot.nextTokenIndex = range.start;
    },
    async controlledEvaluate(input: [number, { generateNext: Next }][]) {
      return input.map(([, { generateNext }]) => {
        slot.nextTokenIndex++;
        const { token, logits } = generateNext;
        if (token) {
          read.push('best');
          return { next: { token: best[0]![0] } };
        }
        const count = logits === true ? best.length : logits!.filter.includeTop;
        read.push(logits === true ? 'all' : `top ${count}`);
        return { next: { logits: new Map(best.slice(0, count)) } };
      });
    },
  };
  const context = { totalSequences: 1, getSequence: () => slot, dispose: async () => {} };
  return { read, context: context as unknown as LlamaContext };
}

/** What a sequence of three tokens sees at each, as ids of finite scores. */
async function seen(scores: readonly number[], wanted: WantedScores, numIds = scores.length) {
  const { read, context } = contextOf(scores);
  const engine = new GgufEngine(context, scores.length, numIds);
  const ids: number[][] = [];
  await new Promise<void>((resolve, reject) => {
    const sequence: Sequence = {
      prompt: Int32Array.of(1, 2, 3),
      maxTokens: 3,
      isCancelled: false,
      next(logits) {
        ids.push([...logits.keys()].filter((id) => Number.isFinite(logits[id])));
        if (ids.length < 3) return 0;
        resolve();
        return undefined;
      },
      cancel: () => reject(new Error('cancelled')),
      fail: reject,
    };
    engine.submit([{ sequence, wanted }]);
  });
  await engine.dispose();
  return { read, ids };
}

const falling = Array.from({ length: 100 }, (_, id) => -id);
const all = [...falling.keys()];

describe('scores read from llama.cpp', () => {
  it('are all of them at the first place, and what is wanted afterwards', async () => {
    expect(await seen(falling, 'all')).toEqual({ read: ['all', 'all', 'all'], ids: [all, all, all] });
    expect(await seen(falling, 'best')).toEqual({ read: ['all', 'best', 'best'], ids: [all, [0], [0]] });
    const top = await seen(falling, { top: 4 });
    expect(top.read).toEqual(['all', 'top 20', 'top 20']);
    expect(top.ids[2]).toEqual(all.slice(0, 20));
  });

  it('are read again in full when more tie with the last of the best than were read', async () => {
    const ties = falling.map((score, id) => (id >= 2 && id < 50 ? -2 : score));
    const { read, ids } = await seen(ties, { top: 4 });
    expect(read).toEqual(['all', 'top 20', 'erase', 'all', 'top 20', 'erase', 'all']);
    expect(ids[1]).toEqual(all);
    const few = falling.map((score, id) => (id >= 2 && id < 15 ? -2 : score));
    expect((await seen(few, { top: 4 })).read).toEqual(['all', 'top 20', 'top 20']);
  });

  it('are read again in full when padding of the vocabulary is among the best', async () => {
    const padded = falling.map((score, id) => (id >= 90 ? 100 + id : score));
    const best = await seen(padded, 'best', 90);
    expect(best.read).toEqual(['all', 'best', 'erase', 'all', 'best', 'erase', 'all']);
    // 10 of the 20 best are padding; the 10 others hold the 4 best tokens.
    const top = await seen(padded, { top: 4 }, 90);
    expect(top.ids[1]).toEqual(all.slice(0, 10));
    expect((await seen(padded, { top: 12 }, 90)).read[2]).toBe('top 28');
    expect((await seen(padded, { top: 3 }, 90)).ids[1]).toEqual(all.slice(0, 9));
    const wide = padded.map((score, id) => (id >= 70 ? 100 + id : score));
    expect((await seen(wide, { top: 4 }, 70)).read).toContain('erase');
  });

  it('of a vocabulary hardly larger than what is wanted are read in full at once', async () => {
    expect((await seen(falling.slice(0, 20), { top: 4 })).read).toEqual(['all', 'all', 'all']);
  });
});
