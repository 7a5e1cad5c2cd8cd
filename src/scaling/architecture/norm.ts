/** Normalisation layers: what they store, nothing else; their arithmetic is element by element and not counted. */
import { keeps, WeightBlock, WeightList } from './block.ts';

/** `rms`: a scale. `layer`: a scale and a shift. `layer-no-bias`: a scale. `plain`: no weights (OLMo 1). */
export type NormKind = 'rms' | 'layer' | 'layer-no-bias' | 'plain';

const NAMES: Record<NormKind, string> = {
  rms: 'RMSNorm',
  layer: 'LayerNorm',
  'layer-no-bias': 'LayerNorm without bias',
  plain: 'LayerNorm without weights',
};

export class Norm extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;

  constructor(kind: NormKind, width: number, name = 'norm') {
    super();
    const list = new WeightList('norm');
    if (kind !== 'plain') list.vector(`${name} scale`, width);
    if (kind === 'layer') list.bias(`${name} shift`, width);
    this.description = NAMES[kind];
    this.weights = list.weights;
    // The input is kept (Korthikanti et al. 2022, section 4.1: 2sbh bytes for each of the two norms of a layer).
    this.activations = keeps({ values: width });
  }
}
