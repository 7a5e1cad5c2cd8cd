/** Rewards for answers in JSON Lines files, and how they agree with what the lines say of the answers' order. */
import { type Answer, preferenceOf } from '../../align/preference/preference-data.ts';
import { comparisonRecord } from '../../align/reward/comparisons.ts';
import { loadRewardModel } from '../../align/reward/reward-checkpoint.node.ts';
import { CancelledError, DataError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { chatRecordOf } from '../../data/chats/chat-record.ts';
import { ReadReport } from '../../data/index.ts';
import { jsonlRecords } from '../../data/readers/jsonl-reader.node.ts';
import type { Device } from '../../runtime/device.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';
import { evaluateRewards, type RewardEvaluation, type ScoredComparison } from './reward-evaluation.ts';

export interface ScoreFilesOptions {
  /** The folder of a reward model. */
  readonly model: string;
  readonly files: readonly string[];
  readonly device: Device;
  /** The field of a line that names the part of the data which it belongs to. Default: its file. */
  readonly groupBy?: string;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

export interface ScoredFiles {
  /** The lines as they were, with "reward" or "rewards". */
  readonly lines: Record<string, unknown>[];
  /** Over lines that compare answers; absent when none does. */
  readonly evaluation?: RewardEvaluation;
  readonly numSkipped: number;
  readonly firstSkipped?: string;
}

/** Lines that are scored together. */
const BATCH_LINES = 64;

interface Scorable {
  readonly record: Record<string, unknown>;
  readonly group: string;
  readonly messages: readonly ChatMessage[];
  readonly answers: readonly Answer[];
  /** Undefined where nothing is compared. */
  readonly ranks: readonly number[] | undefined;
}

interface ScorableLine extends Scorable {
  /** File and line. */
  readonly place: string;
}

/** Throws DataError when no line holds an answer, ConfigError for a folder that is no reward model. */
export async function scoreFiles(options: ScoreFilesOptions): Promise<ScoredFiles> {
  const { files, groupBy, signal, onEvent } = options;
  const model = await loadRewardModel(options.model, { device: options.device });
  const skipped: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const compared: ScoredComparison[] = [];
  const scoreSome = async (some: readonly ScorableLine[]) => {
    const fitting = some.flatMap(({ messages, answers, ...line }) => {
      const rows = answers.map((answer) => model.rowOf(messages, answer));
      const fault = rows.find((row) => typeof row === 'string');
      if (fault === undefined) return [{ ...line, rows: rows as ArrayLike<number>[] }];
      skipped.push(`${line.place}: ${fault}`);
      return [];
    });
    const all = await model.scoreRows(fitting.flatMap(({ rows }) => rows));
    let at = 0;
    for (const { record, rows, ranks, group } of fitting) {
      const rewards = all.slice(at, at + rows.length);
      at += rows.length;
      lines.push({ ...record, ...(rewards.length === 1 ? { reward: rewards[0] } : { rewards }) });
      if (ranks) compared.push({ rewards, ranks, group });
    }
  };
  try {
    const started = performance.now();
    let pending: ScorableLine[] = [];
    for (const path of files) {
      const report = new ReadReport(path);
      for await (const { record, position } of jsonlRecords(path, report)) {
        if (signal?.aborted) throw new CancelledError('Stopped. Nothing was written.');
        const line = scorable(
          record,
          groupBy === undefined ? path : String(record[groupBy] ?? `no ${groupBy}`),
        );
        if (typeof line === 'string') skipped.push(`${path}, ${position}: ${line}`);
        else pending.push({ ...line, place: `${path}, ${position}` });
        if (pending.length < BATCH_LINES) continue;
        await scoreSome(pending);
        pending = [];
        const ratePerSecond = (1000 * lines.length) / (performance.now() - started);
        onEvent({
          type: 'progress',
          stage: 'score',
          done: lines.length,
          total: lines.length,
          unit: 'lines',
          ratePerSecond,
          secondsLeft: 0,
        });
      }
      skipped.push(...report.skipped.map(({ position, reason }) => `${path}, ${position}: ${reason}`));
    }
    await scoreSome(pending);
  } finally {
    await model.dispose();
  }
  if (lines.length === 0) {
    throw new DataError(
      `No answer in ${files.join(', ')} could be scored. ${skipped[0] ? `The first line: ${skipped[0]}. ` : ''}` +
        'Expected {"prompt":"...","completion":"..."}, {"messages":[...]} or preferences.',
    );
  }
  return {
    lines,
    ...(compared.length > 0 && { evaluation: evaluateRewards(compared) }),
    numSkipped: skipped.length,
    ...(skipped[0] !== undefined && { firstSkipped: skipped[0] }),
  };
}

/** The answers of a line, or why it has none. */
function scorable(record: Record<string, unknown>, group: string): Scorable | string {
  if ('chosen' in record || 'rejected' in record || 'completions' in record) {
    const found = preferenceOf(record);
    if (typeof found === 'string') return found;
    const { answers, ranks } = comparisonRecord(found)!;
    return { record, group, messages: found.messages, answers, ranks };
  }
  const chat = chatRecordOf(record);
  if (typeof chat === 'string') return chat;
  if (chat.tools) return 'a chat with tools, which reward models are not trained on';
  const last = chat.messages.findLastIndex(({ role }) => role === 'assistant');
  const messages = chat.messages.slice(0, last);
  return { record, group, messages, answers: [[chat.messages[last]!]], ranks: undefined };
}
