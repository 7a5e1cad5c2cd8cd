/**
 * The same settings in different orders select different tokens. A dialect is the order (and the rule for
 * ties) of a known engine, so that settings tuned there mean the same here.
 */
import { ConfigError } from '../core/errors.ts';
import type { SamplerChain, StageSettings } from './chain.ts';

export interface SamplingSettings {
  /** 0 or below: greedy. Default 1 when another setting asks for chance, else 0. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
}

type StageName = StageSettings['stage'];

interface Dialect {
  readonly order: readonly StageName[];
  readonly keepTies: boolean;
}

/** llama.cpp's common sampler, vLLM's V1 sampler, transformers' logits processors. */
export const DIALECTS = {
  llamacpp: { order: ['top-k', 'top-p', 'min-p', 'temperature'], keepTies: false },
  vllm: { order: ['temperature', 'min-p', 'top-k', 'top-p'], keepTies: true },
  hf: { order: ['temperature', 'top-k', 'top-p', 'min-p'], keepTies: true },
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof DIALECTS;

/** The chain that settings mean in a dialect. Throws ConfigError for an unknown dialect. */
export function chainOf(settings: SamplingSettings, dialect: DialectName = 'hf'): SamplerChain {
  if (!Object.hasOwn(DIALECTS, dialect)) {
    throw new ConfigError(
      `Sampling: unknown dialect ${JSON.stringify(dialect)}; expected one of ${Object.keys(DIALECTS).join(', ')}.`,
    );
  }
  const { order, keepTies } = DIALECTS[dialect];
  const { topK, topP, minP } = settings;
  const asksForChance = topK !== undefined || topP !== undefined || minP !== undefined;
  const temperature = settings.temperature ?? (asksForChance ? 1 : 0);
  const stages: Record<StageName, StageSettings | undefined> = {
    temperature: { stage: 'temperature', temperature },
    'top-k': topK === undefined ? undefined : { stage: 'top-k', k: topK, keepTies },
    'top-p': topP === undefined ? undefined : { stage: 'top-p', p: topP },
    'min-p': minP === undefined ? undefined : { stage: 'min-p', p: minP },
  };
  return order.flatMap((name) => stages[name] ?? []);
}
