import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import {
  encodeSafetensors,
  parseSafetensors,
  type TensorInput,
  toFloat32,
} from '../../src/model/safetensors.ts';
import { decodeFloat32, encodeFloat32 } from '../../src/model/safetensors-float.ts';
import { ELEMENT_BYTES, MAX_HEADER_BYTES, parseHeaderLength } from '../../src/model/safetensors-header.ts';

/** A file around a header given as text, with `dataBytes` bytes of data. */
function fileOf(header: string, dataBytes = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

describe('reading', () => {
  test('a file put together by hand', () => {
    // In little-endian float32, 1.5 is 00 00 c0 3f and -2 is 00 00 00 c0.
    const header = `{"__metadata__":{"format":"pt"},"w":${entry('F32', '[2,1]', '[0,8]')},"b":${entry('BOOL', '[2]', '[8,10]')}} `;
    const file = fileOf(header, 10);
    file.set([0x00, 0x00, 0xc0, 0x3f, 0x00, 0x00, 0x00, 0xc0, 1, 0], 8 + header.length);
    const { tensors, metadata } = parseSafetensors(file);
    expect([...metadata]).toEqual([['format', 'pt']]);
    expect([...tensors.keys()]).toEqual(['w', 'b']);
    expect(tensors.get('w')!.shape).toEqual([2, 1]);
    expect([...toFloat32(tensors.get('w')!)]).toEqual([1.5, -2]);
    expect(tensors.get('b')).toEqual({ dtype: 'BOOL', shape: [2], bytes: new Uint8Array([1, 0]) });
  });

  test('escapes, spaces, scalars, empty tensors and names of Object.prototype', () => {
    const header = ` {
      "__proto__" : ${entry('U8', '[]', '[0, 1]')},\t"constructor":${entry('U8', '[0]', '[1,1]')},
      "a\\u00e9\\"\\\\b":${entry('I16', '[1,0,3]', '[1,1]')} }\n `.trimStart();
    const { tensors } = parseSafetensors(fileOf(header, 1));
    expect([...tensors.keys()]).toEqual(['__proto__', 'constructor', 'aé"\\b']);
    expect(tensors.get('__proto__')!.shape).toEqual([]);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  test('float32 that is aligned shares memory, unaligned is copied, and bytes from a pool work', () => {
    const file = encodeSafetensors([
      { name: 'x', dtype: 'F32', shape: [3], data: new Float32Array([1, 2, 3]) },
      { name: 'y', dtype: 'BF16', shape: [2], data: new Float32Array([1, -3]) },
    ]);
    const shared = toFloat32(parseSafetensors(file).tensors.get('x')!);
    expect(shared.buffer).toBe(file.buffer);
    for (const offset of [1, 2, 3]) {
      const moved = Buffer.alloc(file.length + offset).subarray(offset);
      moved.set(file);
      const { tensors } = parseSafetensors(moved);
      expect([...toFloat32(tensors.get('x')!)]).toEqual([1, 2, 3]);
      expect([...toFloat32(tensors.get('y')!)]).toEqual([1, -3]);
    }
  });

  test('integers have no float32 reading', () => {
    const view = { dtype: 'I32', shape: [1], bytes: new Uint8Array(4) } as const;
    expect(() => toFloat32({ ...view, shape: [1] })).toThrow(FormatError);
  });
});

const F4 = (offsets: string): string => entry('F32', '[1]', offsets);
const MALFORMED: [what: string, file: Uint8Array, message: RegExp][] = [
  ['an empty file', new Uint8Array(0), /header length alone takes 8/],
  ['seven bytes', new Uint8Array(7), /header length alone takes 8/],
  ['no header', new Uint8Array(8), /begin with "\{"/],
  ['a header longer than the file', fileOf('{}').subarray(0, 9), /Truncated/],
  ['a header length of 2^64 - 1', new Uint8Array(16).fill(255), /at most 100000000/],
  ['a space before the header', fileOf(' {}'), /begin with "\{"/],
  ['a byte order mark', fileOf('\ufeff{}'), /begin with "\{"/],
  ['an array', fileOf('[]'), /begin with "\{"/],
  ['bytes that are not UTF-8', fileOf('{"a').fill(0xff, 10, 11), /not UTF-8/],
  ['no closing brace', fileOf('{'), /got the end/],
  ['no closing quote', fileOf('{"a'), /closing quote/],
  ['a quote at the end of an escape', fileOf('{"a\\"'), /closing quote/],
  ['text behind the header', fileOf('{}x'), /only spaces/],
  ['a trailing comma', fileOf(`{"a":${F4('[0,4]')},}`, 4), /string in double quotes/],
  ['a bad escape', fileOf('{"\\x":1}'), /valid JSON string/],
  ['a control character in a name', fileOf('{"\u0001":1}'), /valid JSON string/],
  ['half a Unicode pair as a name', fileOf(`{"\\ud800":${F4('[0,4]')}}`, 4), /whole Unicode/],
  ['a number for a tensor', fileOf('{"a":1}'), /expected "\{"/],
  ['NaN as an offset', fileOf(`{"a":${F4('[NaN,4]')}}`, 4), /whole number/],
  ['a negative offset', fileOf(`{"a":${F4('[-4,0]')}}`, 4), /whole number/],
  ['a fraction', fileOf(`{"a":${entry('F32', '[1.0]', '[0,4]')}}`, 4), /whole number/],
  ['an exponent', fileOf(`{"a":${entry('F32', '[1e0]', '[0,4]')}}`, 4), /whole number/],
  ['a leading zero', fileOf(`{"a":${entry('F32', '[01]', '[0,4]')}}`, 4), /whole number/],
  ['a size of 2^53', fileOf(`{"a":${entry('U8', '[9007199254740992]', '[0,0]')}}`), /whole number/],
  ['a size of 40 digits', fileOf(`{"a":${entry('U8', `[${'9'.repeat(40)}]`, '[0,0]')}}`), /whole number/],
  ['three offsets', fileOf(`{"a":${F4('[0,4,4]')}}`, 4), /at most 2/],
  ['one offset', fileOf(`{"a":${F4('[0]')}}`, 4), /two numbers/],
  ['65 dimensions', fileOf(`{"a":${entry('U8', `[${'1,'.repeat(64)}1]`, '[0,1]')}}`, 1), /at most 64/],
  ['a missing dtype', fileOf('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), /needs dtype/],
  ['an unknown key', fileOf(`{"a":{"dtype":"F32","stride":[1]}}`, 4), /"stride"/],
  ['an unknown dtype', fileOf(`{"a":${entry('F8_E4M3', '[4]', '[0,4]')}}`, 4), /F8_E4M3.*not supported/],
  ['a dtype that is a method name', fileOf(`{"a":${entry('toString', '[4]', '[0,4]')}}`, 4), /not supported/],
  ['the same tensor twice', fileOf(`{"a":${F4('[0,4]')},"a":${F4('[4,8]')}}`, 8), /names "a" twice/],
  [
    'the same tensor twice, once escaped',
    fileOf(`{"a":${F4('[0,4]')},"\\u0061":${F4('[4,8]')}}`, 8),
    /twice/,
  ],
  ['a key twice', fileOf('{"a":{"dtype":"F32","dtype":"F32"}}', 4), /names "dtype" twice/],
  ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), /twice/],
  ['metadata that is not a string', fileOf('{"__metadata__":{"a":1}}'), /string in double quotes/],
  ['offsets past the end', fileOf(`{"a":${F4('[0,4]')}}`, 3), /leave the file/],
  ['offsets in reverse', fileOf(`{"a":${F4('[4,0]')}}`, 4), /leave the file/],
  ['a size unlike the shape', fileOf(`{"a":${entry('F32', '[2]', '[0,4]')}}`, 4), /needs 8 bytes.*hold 4/],
  ['a hole at the start', fileOf(`{"a":${F4('[4,8]')}}`, 8), /hole/],
  ['a hole between', fileOf(`{"a":${F4('[0,4]')},"b":${F4('[8,12]')}}`, 12), /hole/],
  ['an overlap', fileOf(`{"a":${F4('[0,4]')},"b":${F4('[2,6]')}}`, 6), /overlaps/],
  ['two tensors in one place', fileOf(`{"a":${F4('[0,4]')},"b":${F4('[0,4]')}}`, 4), /overlaps/],
  ['bytes at the end', fileOf(`{"a":${F4('[0,4]')}}`, 5), /1 data bytes that belong to no tensor/],
  ['a product over 2^53', fileOf(`{"a":${entry('U8', '[4294967296,4294967296]', '[0,0]')}}`), /overflows/],
  [
    'a product that overflows before a zero',
    fileOf(`{"a":${entry('U8', '[4294967296,4294967296,0]', '[0,0]')}}`),
    /overflows/,
  ],
  ['a size in bytes over 2^53', fileOf(`{"a":${entry('F64', '[9007199254740991]', '[0,0]')}}`), /overflows/],
  ['a million brackets', fileOf(`{"a":${'['.repeat(1_000_000)}`), /expected "\{"/],
];

describe('refuses', () => {
  test.each(MALFORMED)('%s', (_, file, message) => {
    let error: unknown;
    try {
      parseSafetensors(file);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(message);
    expect((error as FormatError).message.length).toBeLessThan(1000);
  });

  test('a header over the limit, whatever the size of the file', () => {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(MAX_HEADER_BYTES + 1), true);
    expect(() => parseHeaderLength(length, 2 ** 40)).toThrow(/at most/);
    new DataView(length.buffer).setBigUint64(0, BigInt(MAX_HEADER_BYTES), true);
    expect(parseHeaderLength(length, 2 ** 40)).toBe(MAX_HEADER_BYTES);
  });
});

describe('writing', () => {
  test('gives exactly these bytes', () => {
    // Put together by hand from the format's description: 85 bytes of header, padded with spaces to 88.
    const file = encodeSafetensors([
      { name: 'w', dtype: 'F32', shape: [2], data: new Float32Array([1, -2]) },
    ]);
    const header = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    expect(header.length).toBe(85);
    expect([...file.subarray(0, 8)]).toEqual([88, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(file.subarray(8, 96))).toBe(`${header}   `);
    expect([...file.subarray(96)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  test('puts every tensor at a multiple of its element size and does not depend on the order given', () => {
    const tensors: TensorInput[] = (Object.keys(ELEMENT_BYTES) as (keyof typeof ELEMENT_BYTES)[]).flatMap(
      (dtype) =>
        ['b', 'a'].map((name) => ({
          name: `${name}.${dtype}`,
          dtype,
          shape: [3],
          data: new Uint8Array(3 * ELEMENT_BYTES[dtype]).fill(name.charCodeAt(0)),
        })),
    );
    const file = encodeSafetensors(tensors, { source: 'test' });
    expect(encodeSafetensors(tensors.toReversed(), { source: 'test' })).toEqual(file);
    const read = parseSafetensors(file);
    expect(Object.fromEntries(read.metadata)).toEqual({ format: 'pt', source: 'test' });
    expect(read.tensors.size).toBe(26);
    for (const [name, { dtype, bytes }] of read.tensors) {
      expect(bytes.byteOffset % ELEMENT_BYTES[dtype]).toBe(0);
      expect(bytes).toEqual(new Uint8Array(3 * ELEMENT_BYTES[dtype]).fill(name.charCodeAt(0)));
    }
  });

  const x = { name: 'x', dtype: 'F32', shape: [2], data: new Float32Array(2) } as const;
  test.each<[string, TensorInput[], RegExp]>([
    ['a name twice', [x, x], /used twice/],
    ['the name of the metadata', [{ ...x, name: '__metadata__' }], /reserved/],
    ['half a Unicode pair', [{ ...x, name: 'a\ud800' }], /Unicode/],
    ['too few values', [{ ...x, shape: [3] }], /needs 3 values, got 2/],
    ['too few bytes', [{ ...x, data: new Uint8Array(7) }], /needs 8 bytes, got 7/],
    ['floats as integers', [{ ...x, dtype: 'I32' }], /cannot be stored as I32/],
    ['a negative size', [{ ...x, shape: [-1, -2] }], /no possible shape/],
    ['a fraction', [{ ...x, shape: [0.5, 4] }], /no possible shape/],
  ])('refuses %s', (_, tensors, message) => {
    expect(() => encodeSafetensors(tensors)).toThrow(FormatError);
    expect(() => encodeSafetensors(tensors)).toThrow(message);
  });

  test('refuses metadata that is not a string', () => {
    expect(() => encodeSafetensors([], { step: 3 as unknown as string })).toThrow(/"step" must be a string/);
  });
});

/** The value of a binary floating number with these field widths, from the definition in IEEE 754. */
function definedValue(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> (exponentBits + fractionBits) ? -1 : 1;
  const exponent = (bits >>> fractionBits) & ((1 << exponentBits) - 1);
  const fraction = bits & ((1 << fractionBits) - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === (1 << exponentBits) - 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

describe.each([
  ['F16', 5, 10],
  ['BF16', 8, 7],
] as const)('%s', (dtype, exponentBits, fractionBits) => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const wide = new Float32Array(65536);
  decodeFloat32(new Uint8Array(all.buffer), dtype, wide);

  test('all 65,536 numbers widen to the value of their definition', () => {
    const wrong = [...all].filter(
      (bits) => !Object.is(wide[bits], definedValue(bits, exponentBits, fractionBits)),
    );
    expect(wrong).toEqual([]);
  });

  test('all 65,536 numbers come back bit for bit, NaNs as NaNs', () => {
    const back = new Uint16Array(encodeFloat32(wide, dtype).buffer);
    const isNaN16 = (bits: number): boolean => Number.isNaN(definedValue(bits, exponentBits, fractionBits));
    const wrong = [...all].filter((bits) => (isNaN16(bits) ? !isNaN16(back[bits]!) : back[bits] !== bits));
    expect(wrong).toEqual([]);
  });

  test('between two neighbours the nearer one is taken, and the even one from the middle', () => {
    const finite = ((1 << exponentBits) - 1) << fractionBits;
    const wrong: number[] = [];
    for (let bits = 0; bits + 1 < finite; bits++) {
      const [below, above] = [wide[bits]!, wide[bits + 1]!];
      const middle = Math.fround((below + above) / 2); // exact: float32 has bits to spare
      if (middle === below || middle === above) continue;
      const nearer = (other: number): number => Math.fround(middle + (other - middle) * 2 ** -10);
      const values = new Float32Array([nearer(below), middle, nearer(above), -middle]);
      const got = new Uint16Array(encodeFloat32(values, dtype).buffer);
      const even = bits % 2 === 0 ? bits : bits + 1;
      const sign = 0x8000;
      if (got[0] !== bits || got[1] !== even || got[2] !== bits + 1 || got[3] !== (even | sign))
        wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });
});

test('F64 is rounded to the nearest float32', () => {
  const values = new Float64Array([Math.PI, 1e300, -0, 1e-46, Number.NaN]);
  const out = new Float32Array(5);
  decodeFloat32(new Uint8Array(values.buffer), 'F64', out);
  expect([...out]).toEqual([Math.fround(Math.PI), Infinity, -0, 0, Number.NaN]);
});
