/**
 * Runs `Sequence`s on llama.cpp: each takes one of the context's slots, and llama.cpp decodes the slots that
 * wait at the same time in one batch. Tokens are chosen by the sequences themselves, from the model's raw
 * scores; one that looks only at the best is spared the copy of all others. It knows neither text nor sampling.
 */
import type { LlamaContext, LlamaContextSequence, Token } from 'node-llama-cpp';
import { PlinthError } from '../../core/errors.ts';
import { disposedError } from '../language-model-calls.ts';
import type { Sequence } from '../sequence.ts';
import type { WantedScores } from './gguf-sampling.ts';

export interface GgufRun {
  readonly sequence: Sequence;
  readonly wanted: WantedScores;
}

/** Tokens of a prompt that are read before a cancelled sequence is noticed. */
const CHUNK_LENGTH = 512;
/** The same where the scores of every place are read: bounds their memory. */
const SCORED_CHUNK_LENGTH = 32;
/** More of the best scores than asked for, so that ties at the border are seen. */
const MARGIN = 16;
/** With temperature 0 llama.cpp's chain leaves all scores as they are. */
const RAW = { temperature: 0 };
/** The context is never left: prompts and answers are cut to fit before. */
const contextShift = {
  strategy: () => {
    throw new PlinthError('runtime', 'The context of llama.cpp was overrun; this is a bug in Plinth.');
  },
};

export class GgufEngine {
  readonly #context: LlamaContext;
  readonly #vocabSize: number;
  readonly #numIds: number;
  readonly #queue: GgufRun[] = [];
  readonly #freeSlots: LlamaContextSequence[];
  readonly #loops = new Set<Promise<void>>();
  #disposed = false;

  /** Of the model's `vocabSize` scores only the first `numIds` mean a token. */
  constructor(context: LlamaContext, vocabSize: number, numIds: number) {
    this.#context = context;
    this.#vocabSize = vocabSize;
    this.#numIds = numIds;
    this.#freeSlots = Array.from({ length: context.totalSequences }, () =>
      context.getSequence({ contextShift, checkpoints: { interval: false } }),
    );
  }

  /** Queues sequences; each is told of its own end. */
  submit(runs: readonly GgufRun[]): void {
    if (this.#disposed) {
      for (const { sequence } of runs) sequence.fail(disposedError());
      return;
    }
    this.#queue.push(...runs);
    // Serving takes its first run at once, so the queue shrinks with every slot.
    while (this.#queue.length > 0 && this.#freeSlots.length > 0) {
      const loop = this.#serve(this.#freeSlots.pop()!);
      this.#loops.add(loop);
      void loop.then(() => this.#loops.delete(loop));
    }
  }

  /** Ends everything that runs or waits with an error, and frees the context. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const { sequence } of this.#queue.splice(0)) sequence.fail(disposedError());
    await Promise.all(this.#loops);
    await this.#context.dispose();
  }

  async #serve(slot: LlamaContextSequence): Promise<void> {
    for (let run = this.#queue.shift(); run; run = this.#queue.shift()) {
      try {
        await slot.clearHistory();
        await this.#decode(slot, run);
      } catch (error) {
        run.sequence.fail(error);
      }
    }
    this.#freeSlots.push(slot);
  }

  /** Whether the sequence may go on; one that may not has been told. */
  #goesOn(sequence: Sequence): boolean {
    if (this.#disposed) sequence.fail(disposedError());
    else if (sequence.isCancelled) sequence.cancel();
    else return true;
    return false;
  }

  async #decode(slot: LlamaContextSequence, { sequence, wanted }: GgufRun): Promise<void> {
    const prompt = Array.from(sequence.prompt) as Token[];
    const last = prompt.length - 1;
    const length = sequence.readsPrompt ? SCORED_CHUNK_LENGTH : CHUNK_LENGTH;
    for (let at = 0; at < last; at += length) {
      if (!this.#goesOn(sequence)) return;
      const chunk = prompt.slice(at, Math.min(at + length, last));
      if (sequence.readsPrompt) await this.#readPlaces(slot, chunk, sequence);
      else await slot.evaluateWithoutGeneratingNewTokens(chunk, { contextShift });
    }
    if (!this.#goesOn(sequence)) return;
    // All scores of the first place: damaged weights show here, also to a sequence that takes the best.
    let token = sequence.next(await this.#allScores(slot, prompt[last]!));
    while (token !== undefined && this.#goesOn(sequence)) {
      const scores =
        wanted === 'all'
          ? await this.#allScores(slot, token as Token)
          : wanted === 'best'
            ? await this.#bestScore(slot, token as Token)
            : await this.#topScores(slot, token as Token, wanted.top);
      token = sequence.next(scores);
    }
  }

  /** Scores [vocabSize] of the token that follows. */
  async #allScores(slot: LlamaContextSequence, token: Token): Promise<Float32Array> {
    const next = await this.#read(slot, token, { logits: true });
    return this.#scoresOf(next.logits!);
  }

  /** Gives the sequence the scores of these places of its prompt. */
  async #readPlaces(slot: LlamaContextSequence, tokens: readonly Token[], sequence: Sequence): Promise<void> {
    const input = tokens.map((token): [Token, object] => [
      token,
      { generateNext: { logits: true, options: RAW } },
    ]);
    const outputs = await slot.controlledEvaluate(input, { contextShift });
    for (const output of outputs) sequence.readPlace!(this.#scoresOf(output!.next.logits!));
  }

  /** A score for llama.cpp's choice, the first best, and -Infinity for all others. */
  async #bestScore(slot: LlamaContextSequence, token: Token): Promise<Float32Array> {
    const at = slot.nextTokenIndex;
    const next = await this.#read(slot, token, { token: true });
    if (next.token! < this.#numIds) return this.#scoresOf([[next.token!, 0]]);
    return this.#readAgain(slot, at, token);
  }

  /** The best scores, at least `count` and every one that ties with the last of them; -Infinity for the others. */
  async #topScores(slot: LlamaContextSequence, token: Token, count: number): Promise<Float32Array> {
    const includeTop = count + MARGIN;
    if (includeTop >= this.#vocabSize) return this.#allScores(slot, token);
    const at = slot.nextTokenIndex;
    const next = await this.#read(slot, token, { logits: { filter: { includeTop } } });
    const best = [...next.logits!];
    const usable = best.filter(([id]) => id < this.#numIds);
    const isEnough = usable.length >= count && usable[count - 1]![1] > best.at(-1)![1];
    return isEnough ? this.#scoresOf(usable) : this.#readAgain(slot, at, token);
  }

  /** The best were not enough: padding of the vocabulary, or more ties than the margin holds. */
  async #readAgain(slot: LlamaContextSequence, at: number, token: Token): Promise<Float32Array> {
    await slot.eraseContextTokenRanges([{ start: at, end: at + 1 }]);
    return this.#allScores(slot, token);
  }

  async #read(slot: LlamaContextSequence, token: Token, generateNext: object) {
    const [output] = await slot.controlledEvaluate(
      [[token, { generateNext: { ...generateNext, options: RAW } }]],
      { contextShift },
    );
    return output!.next;
  }

  #scoresOf(known: Iterable<readonly [number, number]>): Float32Array {
    const scores = new Float32Array(this.#vocabSize).fill(Number.NEGATIVE_INFINITY);
    for (const [id, score] of known) scores[id] = score;
    return scores;
  }
}
