/** `plinth data quality score`: documents under a classifier or a model of perplexity. */
import { Command } from 'commander';
import type { EventSink } from '../../core/events.ts';
import type { Document } from '../../data/document.ts';
import type { LanguageIdentifier } from '../../data/language/index.ts';
import type { LinearClassifier, PerplexityModel, PerplexitySample } from '../../data/quality/index.ts';
import {
  addInputOptions,
  INPUTS_HELP,
  type InputFlags,
  textTable,
  withDataSession,
} from '../data-session.ts';
import { type DocumentCounts, qualityDocuments } from './data-quality-documents.ts';

interface ScoreFlags extends InputFlags {
  model: string;
  scores?: string;
  json?: boolean;
}

/** Collects the scores of documents. */
interface Tally {
  /** What is written about the document with --scores. */
  add(document: Document): Record<string, string | number>;
  result(): Record<string, unknown>;
  text(): string;
}

export function scoreCommand(): Command {
  const command = new Command('score')
    .summary('score documents with a trained model')
    .description('Score documents with a trained model and print how the scores spread.')
    .argument('<inputs...>', INPUTS_HELP)
    .requiredOption('--model <file>', 'a file that "train" or "train-perplexity" wrote')
    .option('--scores <file>', 'also write a line of JSON for each document')
    .option('--json', 'print the result as one line of JSON');
  return addInputOptions(command)
    .addHelpText(
      'after',
      `
With --scores each line is {"id","source","label","score"} for a classifier and
{"id","source","language","bitsPerByte","perplexity"} for a model of perplexity.

Example:
  $ plinth data quality score crawl.jsonl --model quality.bin --scores scores.jsonl`,
    )
    .action(score);
}

async function score(paths: string[], flags: ScoreFlags): Promise<void> {
  const [
    { LinearClassifier, loadQualityModel, PerplexitySample },
    { loadLanguageIdentifier },
    { writeFileAtomic },
  ] = await Promise.all([
    import('../../data/quality/index.node.ts'),
    import('../../data/language/index.node.ts'),
    import('../../core/atomic-file.node.ts'),
  ]);
  const model = await loadQualityModel(flags.model);
  const tally =
    model instanceof LinearClassifier
      ? new LabelTally(model)
      : new PerplexityTally(model, await loadLanguageIdentifier(), new PerplexitySample());
  const counts: DocumentCounts = { numRead: 0, numSkipped: 0 };
  await withDataSession('plinth data quality score', async ({ onEvent }) => {
    const lines = scoredLines(paths, flags, tally, counts, onEvent);
    if (flags.scores !== undefined) await writeFileAtomic(flags.scores, lines);
    else for await (const _ of lines);
  });
  const { numRead: numDocuments, numSkipped } = counts;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ numDocuments, numSkipped, ...tally.result() })}\n`);
  } else {
    const skipped = numSkipped === 0 ? '' : `, ${numSkipped} skipped`;
    process.stdout.write(`${numDocuments} documents${skipped}.\n${tally.text()}\n`);
  }
}

async function* scoredLines(
  paths: readonly string[],
  flags: ScoreFlags,
  tally: Tally,
  counts: DocumentCounts,
  onEvent: EventSink,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const document of qualityDocuments(paths, flags, onEvent, counts)) {
    const { id, source } = document;
    yield encoder.encode(`${JSON.stringify({ id, source, ...tally.add(document) })}\n`);
  }
}

const NUM_TENTHS = 10;

/** With two labels the score is the first one's probability; with more, that of the document's own label. */
class LabelTally implements Tally {
  readonly #classifier: LinearClassifier;
  readonly #isPair: boolean;
  readonly #numOfLabel: number[];
  readonly #numOfTenth = new Array<number>(NUM_TENTHS).fill(0);
  #sum = 0;
  #count = 0;

  constructor(classifier: LinearClassifier) {
    this.#classifier = classifier;
    this.#isPair = classifier.labels.length === 2;
    this.#numOfLabel = classifier.labels.map(() => 0);
  }

  add({ text }: Document) {
    const { label, score: likeliest, probabilities } = this.#classifier.classify(text);
    const score = this.#isPair ? probabilities[0]! : likeliest;
    this.#numOfLabel[this.#classifier.labels.indexOf(label)]!++;
    this.#numOfTenth[Math.min(NUM_TENTHS - 1, Math.floor(score * NUM_TENTHS))]!++;
    this.#sum += score;
    this.#count++;
    return { label, score };
  }

  result() {
    const { labels } = this.#classifier;
    return {
      scoreOf: this.#isPair ? labels[0]! : 'likeliest label',
      meanScore: this.#count === 0 ? null : this.#sum / this.#count,
      numByLabel: Object.fromEntries(labels.map((label, i) => [label, this.#numOfLabel[i]!])),
      numByTenth: this.#numOfTenth,
    };
  }

  text(): string {
    const { scoreOf, meanScore, numByLabel, numByTenth } = this.result();
    const tenth = (i: number): string => (i / NUM_TENTHS).toFixed(1);
    return [
      `Mean score (${scoreOf}): ${meanScore?.toFixed(3) ?? '-'}`,
      textTable([['label', 'documents'], ...Object.entries(numByLabel)]),
      textTable([['score', 'documents'], ...numByTenth.map((n, i) => [`${tenth(i)} to ${tenth(i + 1)}`, n])]),
    ].join('\n\n');
  }
}

/** Thresholds of head, middle and tail by language. Languages are identified. */
class PerplexityTally implements Tally {
  readonly #model: PerplexityModel;
  readonly #identifier: LanguageIdentifier;
  readonly #sample: PerplexitySample;
  readonly #counts = new Map<string, { numDocuments: number; bits: number; numBytes: number }>();

  constructor(model: PerplexityModel, identifier: LanguageIdentifier, sample: PerplexitySample) {
    this.#sample = sample;
    this.#model = model;
    this.#identifier = identifier;
  }

  add({ id, source, text }: Document) {
    const { language } = this.#identifier.identifyDocument(text);
    const { bits, numBytes, bitsPerByte, perplexity } = this.#model.measure(text);
    this.#sample.add(`${source} ${id}`, { language, perplexity });
    const counts = this.#counts.get(language) ?? { numDocuments: 0, bits: 0, numBytes: 0 };
    this.#counts.set(language, counts);
    counts.numDocuments++;
    counts.bits += bits;
    counts.numBytes += numBytes;
    return { language, bitsPerByte, perplexity };
  }

  result() {
    const thresholds = this.#sample.thresholds();
    const languages = [...this.#counts]
      .sort(([, a], [, b]) => b.numDocuments - a.numDocuments)
      .map(([language, { numDocuments, bits, numBytes }]) => ({
        language,
        numDocuments,
        bitsPerByte: numBytes === 0 ? null : bits / numBytes,
        headBelow: thresholds[language]!.head,
        tailFrom: thresholds[language]!.tail,
      }));
    return { languages };
  }

  text(): string {
    const rows = this.result().languages.map(
      ({ language, numDocuments, bitsPerByte, headBelow, tailFrom }) => [
        language,
        numDocuments,
        bitsPerByte?.toFixed(3) ?? '-',
        headBelow.toFixed(1),
        tailFrom.toFixed(1),
      ],
    );
    return textTable([['language', 'documents', 'bits a byte', 'head below', 'tail from'], ...rows]);
  }
}
