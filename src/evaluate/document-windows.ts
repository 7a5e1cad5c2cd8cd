/**
 * Documents of token ids as windows of T tokens that overlap by one, each seen on its own, and batches of B windows
 * as arrays. A document's first token is not predicted.
 */

export interface DocumentWindow {
  /** Place of the document among all. */
  readonly document: number;
  readonly tokens: ArrayLike<number>;
  readonly start: number;
}

export function windowsOf(documents: readonly ArrayLike<number>[], T: number): DocumentWindow[] {
  return documents.flatMap((tokens, document) => {
    const windows: DocumentWindow[] = [];
    for (let start = 0; start < tokens.length - 1; start += T) windows.push({ document, tokens, start });
    return windows;
  });
}

/** Tokens that a window of at most T predicts. */
export function numTargetsOf({ tokens, start }: DocumentWindow, T: number): number {
  return Math.min(T, tokens.length - 1 - start);
}

/** Arrays [B * T] of a batch; rows beyond the last window, and what a document leaves of its last one, are masked. */
export function windowArrays(windows: readonly DocumentWindow[], B: number, T: number) {
  const inputIds = new Int32Array(B * T);
  const targets = new Int32Array(B * T);
  const lossMask = new Float32Array(B * T);
  windows.forEach((window, row) => {
    const { tokens, start } = window;
    const numTargets = numTargetsOf(window, T);
    for (let t = 0; t < numTargets; t++) {
      inputIds[row * T + t] = tokens[start + t]!;
      targets[row * T + t] = tokens[start + t + 1]!;
      lossMask[row * T + t] = 1;
    }
  });
  const positions = BigInt64Array.from({ length: B * T }, (_, i) => BigInt(i % T));
  return { inputIds, targets, lossMask, positions };
}
