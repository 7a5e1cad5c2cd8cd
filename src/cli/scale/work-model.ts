/** What the cost and the limits of a run need to know of an architecture: sizes, arithmetic, cache. */
import type { Architecture } from '../../scaling/architecture/index.ts';
import { type ArchitectureFlags, architectureFromFlags } from './architecture-options.ts';
import { scientific } from './figures.ts';

export interface WorkModel {
  readonly name: string;
  /** That one token uses. */
  readonly params: number;
  readonly totalParams: number;
  /** Of training, forward and backward, attention included, at the architecture's own length. */
  readonly flopsPerToken: number;
  /** How the FLOPs were found, for people. */
  readonly rule: string;
  /** FLOPs of one generated token, and keys, values and states of a sequence in BF16, at a length of at least 1. */
  decodeAt(contextTokens: number): { flopsPerToken: number; cacheBytes: number };
}

/** The model that --preset, --config or --model name; undefined when none is given. */
export async function workModelFromFlags(flags: ArchitectureFlags): Promise<WorkModel | undefined> {
  if (flags.preset === undefined && flags.config === undefined && flags.model === undefined) return undefined;
  const [architecture, count] = await Promise.all([
    architectureFromFlags(flags),
    import('../../scaling/count/index.ts'),
  ]);
  return workModel(architecture, count);
}

function workModel(
  architecture: Architecture,
  count: typeof import('../../scaling/count/index.ts'),
): WorkModel {
  const { total, active } = count.countParameters(architecture);
  const { training, contextLength } = count.flopsPerToken(architecture);
  return {
    name: architecture.name,
    params: active,
    totalParams: total,
    flopsPerToken: training,
    rule:
      `${architecture.name}: counted exactly with attention over ${contextLength} tokens, ${scientific(training)} a token; ` +
      `6 x parameters is ${scientific(6 * active)}`,
    decodeAt: (contextTokens) => ({
      flopsPerToken: count.flopsPerToken(architecture, { contextLength: contextTokens }).decode,
      cacheBytes:
        count.cacheBytes(architecture, { length: contextTokens }) +
        count.stateBytes(architecture, { precision: 'bf16' }),
    }),
  };
}
