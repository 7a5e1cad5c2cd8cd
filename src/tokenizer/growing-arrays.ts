/** Typed arrays that double when they are full. Each gives back the array itself or a larger copy of it. */

export function growInt32(array: Int32Array<ArrayBuffer>, needed: number): Int32Array<ArrayBuffer> {
  if (needed <= array.length) return array;
  const grown = new Int32Array(Math.max(needed, 2 * array.length));
  grown.set(array);
  return grown;
}

export function growUint16(array: Uint16Array<ArrayBuffer>, needed: number): Uint16Array<ArrayBuffer> {
  if (needed <= array.length) return array;
  const grown = new Uint16Array(Math.max(needed, 2 * array.length));
  grown.set(array);
  return grown;
}

export function growFloat64(array: Float64Array<ArrayBuffer>, needed: number): Float64Array<ArrayBuffer> {
  if (needed <= array.length) return array;
  const grown = new Float64Array(Math.max(needed, 2 * array.length));
  grown.set(array);
  return grown;
}
