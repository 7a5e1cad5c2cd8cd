/**
 * ONNX models whose weights are stored in the file, written in pieces: no weight is copied or converted before its
 * place in the file comes, and sizes are known before the first byte. Models too large for one file (protobuf ends
 * at 2 GB) keep their weights in data files beside it, `<file>_data`, `<file>_data_1` and so on.
 *
 * Source: onnx.proto and docs/ExternalData.md of ONNX.
 */
import { WireType } from '@bufbuild/protobuf/wire';
import { LimitError, PlinthError } from '../core/errors.ts';
import {
  DATA_TYPES,
  message,
  nested,
  type OnnxModel,
  writeGraph,
  writeOpsets,
  writeProducer,
} from './onnx-model.ts';
import type { DType } from './tensor.ts';

/** A model must stay below 2^31 bytes; the rest is room for the graph. */
const MAX_FILE_BYTES = 2_000_000_000;
/** Where a tensor begins in a data file: a page, so that it can be mapped. */
const DATA_ALIGNMENT = 4096;
/** As many data files as transformers.js reads. */
const MAX_DATA_FILES = 100;

/** A weight that takes the place of the input of the same name. */
export interface StoredWeight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  /** The stored bytes in order, in pieces of any size; asked for once for every file written. */
  data(): Iterable<Uint8Array>;
}

/** A file by name, whose content comes in pieces. */
export interface ChunkedFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** The whole content; every call starts anew. */
  chunks(): Iterable<Uint8Array>;
}

export interface OnnxFileOptions {
  /** The model's file name, such as `model.onnx`. */
  readonly name: string;
  /** Weights of more bytes in all go into data files, each of at most this size if no single weight is larger. */
  readonly maxFileBytes?: number;
}

/** Bytes of an unsigned number as protobuf writes it. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

const lengthDelimited = (field: number, sizeBytes: number): Uint8Array =>
  Uint8Array.from([...varint(field * 8 + WireType.LengthDelimited), ...varint(sizeBytes)]);

type Piece = Uint8Array | StoredWeight;

const sizeOfPieces = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : piece.sizeBytes), 0);

function* walk(pieces: readonly Piece[]): Generator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) yield piece;
    else yield* checkedData(piece);
  }
}

function* checkedData({ name, sizeBytes, data }: StoredWeight): Generator<Uint8Array> {
  let written = 0;
  for (const bytes of data()) {
    written += bytes.length;
    yield bytes;
  }
  if (written !== sizeBytes) {
    throw new PlinthError('graph', `ONNX: weight "${name}" gave ${written} bytes instead of ${sizeBytes}.`);
  }
}

interface Place {
  readonly file: string;
  readonly offset: number;
}

/** A TensorProto without its data, or with the place of its data in another file. */
function tensorHeader({ name, dtype, shape, sizeBytes }: StoredWeight, place?: Place): Uint8Array {
  return message((w) => {
    for (const dim of shape) w.tag(1, WireType.Varint).int64(dim);
    w.tag(2, WireType.Varint).int32(DATA_TYPES[dtype]);
    w.tag(8, WireType.LengthDelimited).string(name);
    if (!place) return;
    const entries = { location: place.file, offset: String(place.offset), length: String(sizeBytes) };
    for (const [key, value] of Object.entries(entries)) {
      nested(w, 13, (entry) => {
        entry.tag(1, WireType.LengthDelimited).string(key);
        entry.tag(2, WireType.LengthDelimited).string(value);
      });
    }
    // data_location: EXTERNAL
    w.tag(14, WireType.Varint).int32(1);
  });
}

/** The field of one initializer in its graph. */
function initializer(weight: StoredWeight, place?: Place): Piece[] {
  const header = tensorHeader(weight, place);
  const data = place ? [] : [lengthDelimited(9, weight.sizeBytes), weight];
  const size = header.length + sizeOfPieces(data);
  return [lengthDelimited(5, size), header, ...data];
}

function chunkedFile(name: string, pieces: readonly Piece[]): ChunkedFile {
  return { name, sizeBytes: sizeOfPieces(pieces), chunks: () => walk(pieces) };
}

/**
 * The files of a lowered program in which the inputs named by `weights` are stored.
 * @returns the model's file, and data files if it needs them.
 * @throws PlinthError `graph` for a weight that is no input of that type and shape, LimitError for too much data.
 */
export function onnxFiles(
  program: OnnxModel,
  weights: readonly StoredWeight[],
  { name, maxFileBytes = MAX_FILE_BYTES }: OnnxFileOptions,
): ChunkedFile[] {
  const inputs = new Map(program.inputs.map((input) => [input.name, input]));
  for (const weight of weights) {
    const input = inputs.get(weight.name);
    if (input?.dtype !== weight.dtype || input.shape.join() !== weight.shape.join()) {
      throw new PlinthError(
        'graph',
        `ONNX: the program has no input "${weight.name}" of ${weight.dtype} [${weight.shape.join(', ')}].`,
      );
    }
    inputs.delete(weight.name);
  }
  const isSplit = sizeOfPieces(weights) > maxFileBytes;
  const dataFiles = isSplit ? layOut(weights, name, maxFileBytes) : [];
  const placeOf = new Map(dataFiles.flatMap(({ places }) => [...places]));
  const graph = [
    message((w) => writeGraph(w, { ...program, inputs: [...inputs.values()] })),
    ...weights.flatMap((weight) => initializer(weight, placeOf.get(weight))),
  ];
  const model = [
    message(writeProducer),
    lengthDelimited(7, sizeOfPieces(graph)),
    ...graph,
    message(writeOpsets),
  ];
  return [chunkedFile(name, model), ...dataFiles.map(({ file, pieces }) => chunkedFile(file, pieces))];
}

interface DataFile {
  readonly file: string;
  readonly pieces: Piece[];
  readonly places: Map<StoredWeight, Place>;
}

/** Weights in order, each at a page's start, a new file where the old one would grow too large. */
function layOut(weights: readonly StoredWeight[], name: string, maxFileBytes: number): DataFile[] {
  const files: DataFile[] = [];
  let offset = 0;
  for (const weight of weights) {
    if (files.length === 0 || (offset > 0 && offset + weight.sizeBytes > maxFileBytes)) {
      const file = `${name}_data${files.length === 0 ? '' : `_${files.length}`}`;
      files.push({ file, pieces: [], places: new Map() });
      offset = 0;
    }
    const { file, pieces, places } = files.at(-1)!;
    places.set(weight, { file, offset });
    const padding = Math.ceil(weight.sizeBytes / DATA_ALIGNMENT) * DATA_ALIGNMENT - weight.sizeBytes;
    pieces.push(weight, new Uint8Array(padding));
    offset += weight.sizeBytes + padding;
  }
  if (files.length > MAX_DATA_FILES) {
    throw new LimitError(
      `ONNX: the weights of ${name} need ${files.length} data files; transformers.js reads at most ${MAX_DATA_FILES}. Quantise the model.`,
    );
  }
  return files;
}
