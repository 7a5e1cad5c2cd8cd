/** One weight of an exported file, for reports: its name there, its stored type and its shape. */
export interface StoredTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
}
