/** Numbers that come one by one, kept in a typed array that doubles when it is full. */

type Numbers = Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

export class NumberColumn {
  #array: Numbers;
  #size = 0;

  constructor(type: 'float64' | 'uint32') {
    this.#array = type === 'float64' ? new Float64Array(16) : new Uint32Array(16);
  }

  push(value: number): void {
    if (this.#size === this.#array.length) {
      const grown =
        this.#array instanceof Float64Array
          ? new Float64Array(2 * this.#size)
          : new Uint32Array(2 * this.#size);
      grown.set(this.#array);
      this.#array = grown;
    }
    this.#array[this.#size++] = value;
  }

  /** What was pushed so far; a view that later pushes may leave behind. */
  get values(): Numbers {
    return this.#array.subarray(0, this.#size);
  }
}
