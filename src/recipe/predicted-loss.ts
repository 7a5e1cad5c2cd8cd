/** What a plan says of the loss that pre-training will end with, kept beside the settings and shown in reports. */
import { numParameters, type TransformerConfig } from '../model/config.ts';
import { type DataLaw, expectedLoss } from '../scaling/plan/index.ts';
import type { RecipeSettings } from './recipe.ts';
import * as figures from './report/figures.ts';

/** In nats a token on the validation texts, after the last step of pre-training. */
export interface PredictedLoss {
  readonly loss: number;
  /** 95 %. */
  readonly interval?: readonly [low: number, high: number];
  /** Name of the law. */
  readonly law: string;
}

export function predictPretraining(
  data: DataLaw,
  settings: Pick<RecipeSettings, 'pretrainSteps' | 'batchSize' | 'contextLength'>,
  config: TransformerConfig,
  uniqueTokens: number,
): PredictedLoss {
  const tokens = settings.pretrainSteps * settings.batchSize * settings.contextLength;
  const { loss, interval } = expectedLoss(data, { params: numParameters(config), tokens, uniqueTokens });
  return { loss, ...(interval && { interval }), law: data.law.name };
}

/** One line for the terminal. */
export function planNote(
  settings: Pick<
    RecipeSettings,
    'pretrainSteps' | 'batchSize' | 'contextLength' | 'hiddenSize' | 'numLayers'
  >,
  config: TransformerConfig,
  { loss, interval, law }: PredictedLoss,
): string {
  const tokens = settings.pretrainSteps * settings.batchSize * settings.contextLength;
  const range = interval ? ` (${figures.preciseInterval(interval)})` : '';
  return (
    `${figures.short(numParameters(config))} parameters (width ${settings.hiddenSize}, ${settings.numLayers} layers), ` +
    `${figures.short(tokens)} tokens of pre-training; expected loss ${figures.precise(loss)}${range} by the law "${law}".`
  );
}
