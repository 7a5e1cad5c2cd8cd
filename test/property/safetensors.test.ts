/** Whatever the bytes, the reader answers with tensors inside the file or with a FormatError. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { encodeSafetensors, parseSafetensors, type TensorInput } from '../../src/model/safetensors.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from '../../src/model/safetensors-header.ts';

const DTYPES = Object.keys(ELEMENT_BYTES) as SafetensorsDtype[];

/** Parses, and holds the result to what must be true of any file that is accepted. */
function parseOrRefuse(bytes: Uint8Array): 'accepted' | 'refused' {
  try {
    const { tensors } = parseSafetensors(bytes);
    let total = 0;
    for (const { dtype, shape, bytes: data } of tensors.values()) {
      expect(data.length).toBe(shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]));
      expect(data.buffer).toBe(bytes.buffer);
      total += data.length;
    }
    const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    expect(total).toBe(bytes.length - 8 - headerBytes);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return 'refused';
  }
}

const tensor: fc.Arbitrary<Omit<TensorInput, 'name'>> = fc
  .record({ dtype: fc.constantFrom(...DTYPES), shape: fc.array(fc.nat(4), { maxLength: 4 }) })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
    return fc.record({
      dtype: fc.constant(dtype),
      shape: fc.constant(shape),
      data: fc.uint8Array({ minLength: length, maxLength: length }),
    });
  });
const name = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'a"b', '\\', '\n', ''),
);
const file = fc.record({
  tensors: fc.uniqueArray(fc.tuple(name, tensor), { maxLength: 6, selector: ([key]) => key }),
  metadata: fc.dictionary(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  ),
});

describe('round trips', () => {
  test('every tensor and all metadata come back bit for bit', () => {
    fc.assert(
      fc.property(file, ({ tensors, metadata }) => {
        const encoded = encodeSafetensors(
          tensors.map(([key, value]) => ({ name: key, ...value })),
          metadata,
        );
        const read = parseSafetensors(encoded);
        expect(read.metadata).toEqual(new Map(Object.entries({ format: 'pt', ...metadata })));
        expect(read.tensors.size).toBe(tensors.length);
        for (const [key, { dtype, shape, data }] of tensors) {
          expect(read.tensors.get(key)).toEqual({ dtype, shape, bytes: data });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('hostile bytes', () => {
  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        parseOrRefuse(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  test('random text as a header', () => {
    const pieces = fc.constantFrom(
      ...['{', '}', '[', ']', ':', ',', '"', '\\', ' ', '0', '4', '-1', '1e9', 'null', 'NaN', '\u0000', '💥'],
      ...['"a"', '"dtype"', '"F32"', '"shape"', '"data_offsets"', '[0,4]', '"__metadata__"', '"__proto__"'],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.nat(16), (parts, dataBytes) => {
        const json = new TextEncoder().encode(`{${parts.join('')}`);
        const bytes = new Uint8Array(8 + json.length + dataBytes);
        bytes[0] = json.length & 255;
        bytes[1] = json.length >> 8;
        bytes.set(json, 8);
        parseOrRefuse(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test('valid files cut short or made longer are refused', () => {
    fc.assert(
      fc.property(
        file,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 9 }),
        ({ tensors, metadata }, at, extra) => {
          const encoded = encodeSafetensors(
            tensors.map(([key, value]) => ({ name: key, ...value })),
            metadata,
          );
          expect(parseOrRefuse(encoded.slice(0, at % encoded.length))).toBe('refused');
          const longer = new Uint8Array(encoded.length + extra.length);
          longer.set(encoded);
          longer.set(extra, encoded.length);
          expect(parseOrRefuse(longer)).toBe('refused');
        },
      ),
      { numRuns: 300 },
    );
  });

  test('valid files with changed header bytes', () => {
    const outcomes = { accepted: 0, refused: 0 };
    const changes = fc.array(
      fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0129,:[]{}"-')))),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(file, changes, ({ tensors, metadata }, edits) => {
        const encoded = encodeSafetensors(
          tensors.map(([key, value]) => ({ name: key, ...value })),
          metadata,
        );
        const headerBytes = Number(new DataView(encoded.buffer).getBigUint64(0, true));
        for (const [at, value] of edits) encoded[at % (8 + headerBytes)] = value;
        outcomes[parseOrRefuse(encoded)]++;
      }),
      { numRuns: 2000 },
    );
    // Both ends of the reader were exercised: an edit in a name or in padding leaves a valid file.
    expect(outcomes.refused).toBeGreaterThan(500);
    expect(outcomes.accepted).toBeGreaterThan(20);
  });
});
