/**
 * Reads a compressed fastText classifier (`.ftz`, version 12: Joulin et al. 2016, arXiv:1612.03651) from bytes:
 * settings, dictionary, pruned n-gram buckets, the input matrix behind its product quantizer and the output
 * matrix. The input matrix comes out dense (lid.176.ftz: 42,765 rows of 16 numbers, 2.7 MB), because adding a
 * dense row is several times faster than looking its codes up. Every length is checked against the bytes left.
 * Only what lid.176.ftz is gets read: a supervised model with hierarchical softmax, pruned and quantized, words
 * without word n-grams; anything else is an error.
 */
import { FormatError } from '../../core/errors.ts';

export interface FastTextModel {
  /** Length of a row. */
  readonly dim: number;
  /** Character n-grams of a word have minN to maxN characters. */
  readonly minN: number;
  readonly maxN: number;
  /** n-gram hashes are taken modulo this. */
  readonly numBuckets: number;
  /** Word -> its row. */
  readonly words: ReadonlyMap<string, number>;
  /** Without the prefix `__label__`, by descending count. */
  readonly labels: readonly string[];
  readonly labelCounts: readonly number[];
  /** [numRows, dim]: words first, then kept buckets. */
  readonly inputRows: Float32Array;
  /** Bucket -> row; buckets that were pruned away are missing. */
  readonly bucketRows: ReadonlyMap<number, number>;
  /** [numLabels, dim]; with hierarchical softmax rows 0 .. numLabels - 2 are the inner nodes. */
  readonly outputRows: Float32Array;
}

const MAGIC = 793712314;
const VERSION = 12;
const LOSS_HIERARCHICAL_SOFTMAX = 1;
const MODEL_SUPERVISED = 3;
const NUM_CENTROIDS = 256;
const LABEL_PREFIX = '__label__';
/** lid.176.bin, the largest model of this family, has 2,007,235 rows of 16. */
const MAX_ROWS = 8_000_000;
const MAX_BUCKETS = 100_000_000;
const MAX_DIM = 1024;

/** Little-endian reader that never leaves its bytes. */
class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get position(): number {
    return this.#at;
  }

  get numLeft(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number, what: string): Uint8Array {
    if (!(count >= 0) || count > this.numLeft) {
      throw new FormatError(
        `The language model ends early: ${what} needs ${count} bytes at byte ${this.#at}, ` +
          `${this.numLeft} are left. Reinstall the package it came from.`,
      );
    }
    const part = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }

  #number(size: number, what: string, read: (at: number) => number): number {
    const at = this.#at;
    this.take(size, what);
    return read(at);
  }

  flag(what: string): boolean {
    return this.#number(1, what, (at) => this.#bytes[at]!) !== 0;
  }

  int32(what: string): number {
    return this.#number(4, what, (at) => this.#view.getInt32(at, true));
  }

  int64(what: string): number {
    return this.#number(8, what, (at) => Number(this.#view.getBigInt64(at, true)));
  }

  floats(count: number, what: string): Float32Array {
    const at = this.#at;
    this.take(4 * count, what);
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++) out[i] = this.#view.getFloat32(at + 4 * i, true);
    return out;
  }

  /** A byte string that ends in 0. */
  word(decoder: TextDecoder, what: string): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const bytes = this.take(end < 0 ? this.numLeft + 1 : end - this.#at, what);
    this.#at++;
    return decoder.decode(bytes);
  }
}

/** @throws FormatError when the bytes are not such a model. */
export function readFastTextModel(bytes: Uint8Array): FastTextModel {
  const cursor = new ByteCursor(bytes);
  const magic = cursor.int32('the magic number');
  if (magic !== MAGIC) {
    throw new FormatError(
      `Not a fastText model: it begins with ${magic}, expected ${MAGIC}. Give the file lid.176.ftz.`,
    );
  }
  const version = cursor.int32('the version');
  expectSetting('version', version, VERSION);
  const dim = checkedSize('dim', cursor.int32('dim'), MAX_DIM);
  for (const name of ['ws', 'epoch', 'minCount', 'neg']) cursor.int32(name);
  expectSetting('wordNgrams', cursor.int32('wordNgrams'), 1);
  expectSetting('loss', cursor.int32('loss'), LOSS_HIERARCHICAL_SOFTMAX);
  expectSetting('model', cursor.int32('model'), MODEL_SUPERVISED);
  const numBuckets = checkedSize('bucket', cursor.int32('bucket'), MAX_BUCKETS);
  const minN = checkedSize('minn', cursor.int32('minn'), 16);
  const maxN = checkedSize('maxn', cursor.int32('maxn'), 16);
  cursor.int32('lrUpdateRate');
  cursor.take(8, 't');

  const dictionary = readDictionary(cursor);
  if (!cursor.flag('the flag of the input matrix')) {
    throw new FormatError('The input matrix is not quantized; expected a compressed model (lid.176.ftz).');
  }
  const inputRows = readQuantizedMatrix(cursor, dim, 'the input matrix');
  const numRows = inputRows.length / dim;
  if (dictionary.numWords > numRows) {
    throw new FormatError(`${dictionary.numWords} words but ${numRows} rows in the input matrix.`);
  }
  for (const row of dictionary.bucketRows.values()) {
    if (row < dictionary.numWords || row >= numRows) {
      throw new FormatError(`An n-gram bucket points to row ${row} of ${numRows}.`);
    }
  }
  const outputRows = cursor.flag('the flag of the output matrix')
    ? readQuantizedMatrix(cursor, dim, 'the output matrix')
    : readDenseMatrix(cursor, dim, 'the output matrix');
  if (outputRows.length !== dictionary.labels.length * dim) {
    throw new FormatError(
      `${dictionary.labels.length} labels but ${outputRows.length / dim} rows in the output matrix.`,
    );
  }
  const { words, labels, labelCounts, bucketRows } = dictionary;
  return { dim, minN, maxN, numBuckets, words, labels, labelCounts, inputRows, bucketRows, outputRows };
}

function expectSetting(name: string, got: number, expected: number): void {
  if (got === expected) return;
  throw new FormatError(
    `The fastText model has ${name} ${got}; only ${name} ${expected} is read. Give the file lid.176.ftz.`,
  );
}

function checkedSize(name: string, value: number, limit: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= limit) return value;
  throw new FormatError(`The fastText model says ${name} ${value}; expected 1 to ${limit}.`);
}

function readDictionary(cursor: ByteCursor) {
  const decoder = new TextDecoder();
  const size = checkedSize('dictionary size', cursor.int32('the dictionary size'), MAX_ROWS);
  const numWords = checkedSize('words', cursor.int32('the number of words'), size);
  const numLabels = checkedSize('labels', cursor.int32('the number of labels'), size);
  if (numWords + numLabels !== size) {
    throw new FormatError(`${numWords} words and ${numLabels} labels do not make ${size} entries.`);
  }
  cursor.int64('the number of tokens');
  const numPruned = checkedSize('pruned buckets', cursor.int64('the number of pruned buckets'), MAX_ROWS);
  const words = new Map<string, number>();
  const labels: string[] = [];
  const labelCounts: number[] = [];
  for (let i = 0; i < size; i++) {
    const text = cursor.word(decoder, 'a dictionary entry');
    const count = cursor.int64('a count');
    const isLabel = cursor.flag('the type of an entry');
    if (isLabel !== i >= numWords) {
      throw new FormatError(`Entry ${i} ("${text}") of the dictionary is out of order: words come first.`);
    }
    if (isLabel) {
      labels.push(text.startsWith(LABEL_PREFIX) ? text.slice(LABEL_PREFIX.length) : text);
      labelCounts.push(count);
    } else words.set(text, i);
  }
  const bucketRows = new Map<number, number>();
  for (let i = 0; i < numPruned; i++) {
    const bucket = cursor.int32('a pruned bucket');
    bucketRows.set(bucket, numWords + cursor.int32('the row of a pruned bucket'));
  }
  return { numWords, words, labels, labelCounts, bucketRows };
}

interface MatrixSize {
  numRows: number;
}

function readMatrixSize(cursor: ByteCursor, dim: number, what: string): MatrixSize {
  const numRows = checkedSize(`rows of ${what}`, cursor.int64(what), MAX_ROWS);
  expectSetting(`columns of ${what}`, cursor.int64(what), dim);
  return { numRows };
}

function readDenseMatrix(cursor: ByteCursor, dim: number, what: string): Float32Array {
  const { numRows } = readMatrixSize(cursor, dim, what);
  return cursor.floats(numRows * dim, what);
}

interface Quantizer {
  numParts: number;
  /** Columns of each part but the last. */
  partDim: number;
  lastPartDim: number;
  /** Part by part, code by code. */
  centroids: Float32Array;
}

function readQuantizer(cursor: ByteCursor, dim: number, what: string): Quantizer {
  expectSetting(`dim of ${what}`, cursor.int32(what), dim);
  const numParts = checkedSize(`parts of ${what}`, cursor.int32(what), dim);
  const partDim = checkedSize(`part size of ${what}`, cursor.int32(what), dim);
  const lastPartDim = checkedSize(`last part size of ${what}`, cursor.int32(what), partDim);
  expectSetting(`columns of the parts of ${what}`, (numParts - 1) * partDim + lastPartDim, dim);
  return { numParts, partDim, lastPartDim, centroids: cursor.floats(dim * NUM_CENTROIDS, what) };
}

/** Rows as sums of centroids, each times the row's own quantized norm if norms are kept apart. */
function readQuantizedMatrix(cursor: ByteCursor, dim: number, what: string): Float32Array {
  const normsApart = cursor.flag(what);
  const { numRows } = readMatrixSize(cursor, dim, what);
  const numCodes = cursor.int32(what);
  const codes = cursor.take(numCodes, `the codes of ${what}`);
  const quantizer = readQuantizer(cursor, dim, `the quantizer of ${what}`);
  const { numParts, partDim, lastPartDim, centroids } = quantizer;
  expectSetting(`codes of ${what}`, numCodes, numRows * numParts);
  const normCodes = normsApart ? cursor.take(numRows, `the norms of ${what}`) : undefined;
  const norms = normsApart ? readQuantizer(cursor, 1, `the norm quantizer of ${what}`).centroids : undefined;
  const rows = new Float32Array(numRows * dim);
  for (let row = 0; row < numRows; row++) {
    const norm = normCodes && norms ? norms[normCodes[row]!]! : 1;
    for (let part = 0; part < numParts; part++) {
      const width = part === numParts - 1 ? lastPartDim : partDim;
      const from = part * NUM_CENTROIDS * partDim + codes[row * numParts + part]! * width;
      const to = row * dim + part * partDim;
      for (let column = 0; column < width; column++) rows[to + column] = norm * centroids[from + column]!;
    }
  }
  return rows;
}
