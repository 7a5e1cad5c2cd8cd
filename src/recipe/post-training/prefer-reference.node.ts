/**
 * The reference's log-probabilities of a preference training's answers, computed once and kept in the training's
 * folder. A stopped or killed computation goes on from the answers that it had.
 */
import { createHash, type Hash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { referenceLogprobs } from '../../align/preference/preference-batches.ts';
import type { PreferenceItem } from '../../align/preference/preference-items.ts';
import type { PreferenceShape } from '../../align/preference/preference-objective.ts';
import { SequenceScorer } from '../../align/sequence-logprobs.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { CancelledError, FormatError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { ChatModel } from './chat-model.node.ts';

/** What a kill can cost at most. */
const SAVE_SECONDS = 10;

export interface ReferenceOptions extends PreferenceShape {
  /** Of the file. */
  readonly path: string;
  readonly model: Pick<ChatModel, 'config' | 'weights'>;
  readonly device: Device;
  /** Named in progress events. */
  readonly stage: string;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

interface Stored {
  /** Of the model, the answers and the shape: another key is another reference. */
  readonly key: string;
  /** Two for each item from the first on; fewer than all in a file that was not finished. */
  readonly logprobs: readonly number[];
}

/** Two log-probabilities for each item, in nats. Throws CancelledError when stopped, with what was done saved. */
export async function cachedReference(
  items: readonly PreferenceItem[],
  options: ReferenceOptions,
): Promise<Float32Array> {
  const { path, model, device, batchSize, length, stage, onEvent, signal } = options;
  const key = keyOf(model.weights, items, options);
  const logprobs = [...(await storedLogprobs(path, key))];
  let numDone = logprobs.length / 2;
  if (numDone === items.length) return Float32Array.from(logprobs);
  await mkdir(dirname(path), { recursive: true });
  const save = () => writeFileAtomic(path, JSON.stringify({ key, logprobs } satisfies Stored));
  const scorer = await SequenceScorer.compile(device, model.config, { batchSize: 2 * batchSize, length });
  try {
    const [start, before] = [performance.now(), numDone];
    let savedAt = start;
    // In steps of a batch from the first item on, so that a computation that was stopped groups them alike.
    while (numDone < items.length) {
      if (signal?.aborted) {
        await save();
        throw new CancelledError(
          `Stopped after ${numDone} of ${items.length} references. The same command goes on from here.`,
        );
      }
      const some = items.slice(numDone, numDone + batchSize);
      logprobs.push(...(await referenceLogprobs(scorer, model.weights, some)));
      numDone += some.length;
      const seconds = (performance.now() - start) / 1000;
      const ratePerSecond = (numDone - before) / seconds;
      onEvent({
        type: 'progress',
        stage,
        done: numDone,
        total: items.length,
        unit: 'preferences',
        ratePerSecond,
        secondsLeft: (items.length - numDone) / ratePerSecond,
      });
      if (performance.now() - savedAt < SAVE_SECONDS * 1000) continue;
      await save();
      savedAt = performance.now();
    }
    await save();
  } finally {
    await scorer.dispose();
  }
  return Float32Array.from(logprobs);
}

/** Those of the same key; none where the file holds another reference. Throws FormatError for a damaged file. */
async function storedLogprobs(path: string, key: string): Promise<readonly number[]> {
  const advice = 'Delete it; it is computed again.';
  const stored = (await readJsonFile(path, advice)) as Partial<Stored> | null | undefined;
  if (stored === undefined) return [];
  const { logprobs } = stored ?? {};
  if (typeof stored?.key !== 'string' || !Array.isArray(logprobs) || !logprobs.every(Number.isFinite)) {
    throw new FormatError(`${path} is damaged (it holds no "logprobs"). ${advice}`);
  }
  return stored.key === key ? logprobs : [];
}

function keyOf(
  weights: Weights,
  items: readonly PreferenceItem[],
  { batchSize, length }: PreferenceShape,
): string {
  const hash = createHash('sha256').update(`${batchSize} ${length} ${digestWeights(weights)}`);
  for (const { first, second } of items) {
    for (const { tokens, actions } of [first, second]) {
      addBytes(hash, Int32Array.from([tokens.length, ...Array.from(tokens), ...Array.from(actions)]));
    }
  }
  return hash.digest('hex');
}

/** A name for a model's values: equal weights, equal digests. */
export function digestWeights(weights: Weights): string {
  const hash = createHash('sha256');
  for (const [name, { shape, data }] of weights) {
    hash.update(`${name} ${shape.join('x')} `);
    addBytes(hash, data);
  }
  return hash.digest('hex').slice(0, 16);
}

function addBytes(hash: Hash, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
  hash.update(new Uint8Array(buffer, byteOffset, byteLength));
}
