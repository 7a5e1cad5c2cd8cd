/** Tables and matrices at the two ends of a model: token and position embeddings, projections, the output head. */
import { type ExtraFlops, keeps, WeightBlock, WeightList } from './block.ts';

export class TokenEmbedding extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;

  constructor(vocabSize: number, width: number) {
    super();
    this.weights = new WeightList('embedding').lookup('token embedding', vocabSize, width).weights;
    // The mask of the dropout behind it (Korthikanti et al. 2022, section 4.3).
    this.activations = keeps({ masks: width });
    this.description = `${vocabSize} tokens by ${width}`;
  }
}

/** A learned vector per position. */
export class PositionEmbedding extends WeightBlock {
  override readonly description: string;
  override readonly weights;

  constructor(numPositions: number, width: number) {
    super();
    this.weights = new WeightList('position').lookup('position embedding', numPositions, width).weights;
    this.description = `${numPositions} learned positions`;
  }
}

/** A matrix between an embedding width and the model's width (OPT-350M). */
export class Projection extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;

  constructor(name: string, outSize: number, inSize: number) {
    super();
    this.weights = new WeightList('embedding').linear(name, outSize, inSize).weights;
    this.activations = keeps({ values: inSize });
    this.description = `${name}, ${inSize} to ${outSize}`;
  }
}

/** Tied heads reuse the token table: no weights of their own (but perhaps a bias), the same arithmetic. */
export class OutputHead extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  readonly tied: boolean;
  readonly #flops: number;

  constructor(vocabSize: number, width: number, options: { tied: boolean; bias?: boolean }) {
    super();
    this.tied = options.tied;
    const list = new WeightList('head');
    if (!options.tied) list.linear('output head', vocabSize, width);
    if (options.bias) list.bias('output head bias', vocabSize);
    this.weights = list.weights;
    this.#flops = options.tied ? 2 * vocabSize * width : 0;
    this.activations = keeps({ values: width });
    this.description = options.tied ? 'the token embedding, transposed' : `${vocabSize} tokens by ${width}`;
  }

  override extraFlops(): ExtraFlops {
    return this.tied ? { head: this.#flops } : {};
  }
}
