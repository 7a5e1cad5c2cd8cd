/**
 * A text as an array of its UTF-16 code units. Scanning and hashing read every unit several times, and reading
 * from a typed array is several times faster than asking a string, whose representation the engine may vary.
 */

/** Larger buffers are not kept after use. In code units. */
const MAX_KEPT_UNITS = 1 << 20;

export class TextUnits {
  text = '';
  /** The text in the first `length` entries; what comes after them is left over. */
  units: Uint16Array<ArrayBuffer> = new Uint16Array(1024);
  length = 0;

  set(text: string): this {
    const { length } = text;
    if (length > this.units.length) {
      this.units = new Uint16Array(length <= MAX_KEPT_UNITS ? Math.min(2 * length, MAX_KEPT_UNITS) : length);
    }
    const units = this.units;
    for (let i = 0; i < length; i++) units[i] = text.charCodeAt(i);
    this.text = text;
    this.length = length;
    return this;
  }

  /** Lets go of the text, and of a buffer too large to keep. */
  release(): void {
    this.text = '';
    this.length = 0;
    if (this.units.length > MAX_KEPT_UNITS) this.units = new Uint16Array(1024);
  }
}
