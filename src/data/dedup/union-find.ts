/** Disjoint sets over 0..n-1 in one typed array. The root of a set is always its least member. */
export class UnionFind {
  readonly parents: Uint32Array<ArrayBuffer>;

  constructor(size: number) {
    this.parents = new Uint32Array(size);
    for (let i = 0; i < size; i++) this.parents[i] = i;
  }

  /** The least member of the set, shortening the way to it (path halving). */
  find(item: number): number {
    const { parents } = this;
    let at = item;
    for (let parent = parents[at]!; parent !== at; parent = parents[at]!) {
      const grandparent = parents[parent]!;
      parents[at] = grandparent;
      at = grandparent;
    }
    return at;
  }

  union(a: number, b: number): void {
    const rootA = this.find(a);
    const rootB = this.find(b);
    if (rootA < rootB) this.parents[rootB] = rootA;
    else if (rootB < rootA) this.parents[rootA] = rootB;
  }

  /** Makes every entry of `parents` the least member of its set, and returns it. */
  flatten(): Uint32Array<ArrayBuffer> {
    const { parents } = this;
    // Parents are less than their children, so one pass upwards is enough.
    for (let i = 0; i < parents.length; i++) parents[i] = parents[parents[i]!]!;
    return parents;
  }
}
