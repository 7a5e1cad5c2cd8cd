/**
 * Keys and values of texts that were read before, so that a prompt which begins like one of them need not be read
 * again. A tree of blocks: a path from the root spells tokens, each block holds the keys and values of its own. A
 * match may end inside a block. Bounded; the blocks not used for longest go first. Since what a token gets does not
 * depend on how it was read, an answer is the same with and without it.
 */

/** Tokens of a block. */
const BLOCK = 16;

interface Block {
  readonly parent: Block | undefined;
  readonly tokens: Int32Array;
  /** [2 numLayers, heads, BLOCK, head size], as `KeyValueCache.extract` gives it. */
  readonly rows: Float32Array;
  readonly children: Block[];
  /** The next and previous block by last use. */
  newer: Block | undefined;
  older: Block | undefined;
}

/** Positions at the beginning of a prompt that need not be read. */
export interface PrefixMatch {
  readonly length: number;
  /** Blocks in order; all but the last count whole. */
  readonly blocks: readonly { readonly rows: Float32Array; readonly count: number }[];
}

export interface PrefixCacheUse {
  /** Prompt tokens that were found here instead of being read. */
  tokensSaved: number;
  blocks: number;
  sizeBytes: number;
}

export class PrefixCache {
  readonly use: PrefixCacheUse = { tokensSaved: 0, blocks: 0, sizeBytes: 0 };
  readonly #maxBytes: number;
  readonly #roots: Block[] = [];
  #newest: Block | undefined;
  #oldest: Block | undefined;

  /** 0 bytes: nothing is kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isOn(): boolean {
    return this.#maxBytes > 0;
  }

  /** The longest known beginning of `tokens`, of at most `most` tokens. */
  match(tokens: Int32Array, most: number): PrefixMatch {
    const blocks: { rows: Float32Array; count: number }[] = [];
    let length = 0;
    let level: readonly Block[] = this.#roots;
    let last: Block | undefined;
    while (length < most) {
      let best: Block | undefined;
      let bestCount = 0;
      for (const block of level) {
        const count = commonLength(block.tokens, tokens, length, most);
        if (count > bestCount) {
          best = block;
          bestCount = count;
        }
      }
      if (!best) break;
      last = best;
      blocks.push({ rows: best.rows, count: bestCount });
      length += bestCount;
      if (bestCount < BLOCK) break;
      level = best.children;
    }
    if (last) this.#touch(last);
    this.use.tokensSaved += length;
    return { length, blocks };
  }

  /**
   * Keeps whole blocks of a text of which the first `length` tokens are known; `extract(start, count)` gives their
   * keys and values, and is asked only for blocks that are new.
   */
  insert(tokens: Int32Array, length: number, extract: (start: number, count: number) => Float32Array): void {
    if (!this.isOn) return;
    let parent: Block | undefined;
    for (let start = 0; start + BLOCK <= length; start += BLOCK) {
      const siblings: Block[] = parent ? parent.children : this.#roots;
      let block = siblings.find((one) => commonLength(one.tokens, tokens, start, start + BLOCK) === BLOCK);
      if (!block) {
        const rows = extract(start, BLOCK);
        // A damaged model's numbers must not reach other texts.
        if (!allFinite(rows)) break;
        block = {
          parent,
          tokens: tokens.slice(start, start + BLOCK),
          rows,
          children: [],
          newer: undefined,
          older: undefined,
        };
        siblings.push(block);
        this.use.blocks++;
        this.use.sizeBytes += rows.byteLength;
      }
      parent = block;
    }
    if (parent) this.#touch(parent);
    this.#evict();
  }

  clear(): void {
    this.#roots.length = 0;
    this.#newest = undefined;
    this.#oldest = undefined;
    this.use.blocks = 0;
    this.use.sizeBytes = 0;
  }

  /** Marks a block and its ancestors as used, the root last: the oldest block of all is always a leaf. */
  #touch(block: Block): void {
    for (let one: Block | undefined = block; one; one = one.parent) {
      this.#unlink(one);
      one.older = this.#newest;
      one.newer = undefined;
      if (this.#newest) this.#newest.newer = one;
      this.#newest = one;
      this.#oldest ??= one;
    }
  }

  #unlink(block: Block): void {
    if (block.newer) block.newer.older = block.older;
    else if (this.#newest === block) this.#newest = block.older;
    if (block.older) block.older.newer = block.newer;
    else if (this.#oldest === block) this.#oldest = block.newer;
    block.newer = undefined;
    block.older = undefined;
  }

  #evict(): void {
    while (this.use.sizeBytes > this.#maxBytes && this.#oldest) {
      const block = this.#oldest;
      this.#unlink(block);
      const siblings = block.parent ? block.parent.children : this.#roots;
      siblings.splice(siblings.indexOf(block), 1);
      this.use.blocks--;
      this.use.sizeBytes -= block.rows.byteLength;
    }
  }
}

/** How many tokens of a block agree with `tokens` from `start` on, below `end`. */
function commonLength(block: Int32Array, tokens: Int32Array, start: number, end: number): number {
  const most = Math.min(BLOCK, end - start, tokens.length - start);
  let count = 0;
  while (count < most && block[count] === tokens[start + count]) count++;
  return count;
}

function allFinite(rows: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < rows.length; i++) sum += rows[i]! * 0;
  return sum === 0;
}
