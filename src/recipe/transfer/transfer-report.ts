/** What a transfer experiment found, as plain data: `report.json`, the page and the terminal's table are made of it. */
import type { Parametrisation } from '../../model/parametrisation.ts';
import type { CoordinateCheck } from './coordinate-check.ts';
import type { LearningRateTransfer } from './learning-rate-transfer.ts';

export interface TransferReport {
  readonly kind: 'transfer';
  readonly plinthVersion: string;
  readonly data: {
    readonly description: string;
    readonly numTrainTokens: number;
    readonly numValidationTokens: number;
    readonly vocabSize: number;
    /** Passes over the training tokens that one model makes. */
    readonly epochs: number;
  };
  readonly model: {
    readonly headDim: number;
    readonly mlpRatio: number;
    readonly contextLength: number;
    readonly batchSize: number;
    readonly initializerRange: number;
    readonly tieWordEmbeddings: boolean;
  };
  /** Null where only the check was asked for. */
  readonly transfer: LearningRateTransfer | null;
  /** Over the width, and over the depth where several depths were asked for. */
  readonly checks: readonly CoordinateCheck[];
  readonly notes: readonly string[];
  readonly command: string;
}

export function parametrisationName(parametrisation: Parametrisation): string {
  switch (parametrisation.kind) {
    case 'standard':
      return 'standard';
    case 'mup':
      return `muP, base width ${parametrisation.baseWidth}${headDimOf(parametrisation)}`;
    case 'completep':
      return `CompleteP, base width ${parametrisation.baseWidth}, base depth ${parametrisation.baseDepth}${headDimOf(parametrisation)}`;
  }
}

function headDimOf({ baseHeadDim }: { readonly baseHeadDim?: number }): string {
  return baseHeadDim === undefined ? '' : `, base head size ${baseHeadDim}`;
}

/** What is of one parametrisation; objects that came out of a file are equal, not the same. */
export function ofParametrisation<T extends { readonly parametrisation: Parametrisation }>(
  items: readonly T[],
  parametrisation: Parametrisation,
): T[] {
  const name = parametrisationName(parametrisation);
  return items.filter((item) => parametrisationName(item.parametrisation) === name);
}

/** The parametrisations in order, each once. */
export function parametrisationsOf(
  items: readonly { readonly parametrisation: Parametrisation }[],
): Parametrisation[] {
  return [
    ...new Map(
      items.map(({ parametrisation }) => [parametrisationName(parametrisation), parametrisation]),
    ).values(),
  ];
}

/** 0.00195 as 2^-9.0: rates are swept in powers of two. */
export function powerOfTwo(rate: number): string {
  return Number.isFinite(rate) && rate > 0 ? `2^${Math.log2(rate).toFixed(2)}` : '–';
}
