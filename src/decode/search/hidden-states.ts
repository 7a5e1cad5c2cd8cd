/** Hidden states of a growing text, kept at length 1, and how similar a new one is to the nearest of them. */

const FIRST_ROOM = 64;

export class HiddenStates {
  #units = new Float32Array(0);
  #size = 0;
  #count = 0;

  /** [hiddenSize], which is the same for all. */
  add(hidden: Float32Array): void {
    this.#size = hidden.length;
    const end = (this.#count + 1) * this.#size;
    if (end > this.#units.length) {
      const room = new Float32Array(Math.max(2 * this.#units.length, FIRST_ROOM * this.#size));
      room.set(this.#units);
      this.#units = room;
    }
    this.#units.set(unit(hidden), this.#count * this.#size);
    this.#count++;
  }

  /** The greatest cosine between a state and those added (at least one). 0 for a state of zeros, NaN for one that is not finite. */
  maxCosine(hidden: Float32Array): number {
    const direction = unit(hidden);
    const units = this.#units;
    const size = this.#size;
    let largest = Number.NEGATIVE_INFINITY;
    for (let start = 0; start < this.#count * size; start += size) {
      let cosine = 0;
      for (let i = 0; i < size; i++) cosine += units[start + i]! * direction[i]!;
      if (Number.isNaN(cosine)) return cosine;
      if (cosine > largest) largest = cosine;
    }
    return largest;
  }
}

function unit(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  return length === 0 ? vector : vector.map((value) => value / length);
}
