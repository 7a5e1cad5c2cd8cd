/**
 * The one way in which recipes and experiments measure text: the bits that a model needs for each document. A
 * document is read in windows of T tokens that overlap by one, each seen on its own; its first token and the end
 * of the text are not counted, neither their bits nor their bytes. So figures compare between models that read
 * the same T, and between tokenizers but for the first token's bytes.
 */
import { CancelledError } from '../../core/errors.ts';
import { windowArrays, windowsOf } from '../../evaluate/document-windows.ts';
import type { DocumentBits } from '../../evaluate/index.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { causalMask, logits, transformer } from '../../model/transformer.ts';
import type { Device, Executable, Feed } from '../../runtime/device.ts';
import { crossEntropy, input, mul, reshape, sum } from '../../tensor/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';

export interface DocumentLossOptions {
  readonly batchSize: number;
  /** T: tokens of a window. */
  readonly length: number;
}

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** Called after each batch with the windows done and all windows. */
  readonly onProgress?: (done: number, total: number) => void;
}

export class DocumentLoss {
  readonly #executable: Executable;
  readonly #options: DocumentLossOptions;

  private constructor(executable: Executable, options: DocumentLossOptions) {
    this.#executable = executable;
    this.#options = options;
  }

  static async compile(
    device: Device,
    config: TransformerConfig,
    options: DocumentLossOptions,
  ): Promise<DocumentLoss> {
    const { batchSize: B, length: T } = options;
    const parameters = Object.fromEntries(
      parameterSpecs(config).map(({ name, shape }) => [name, input(name, shape)]),
    );
    const idsBT = input('inputIds', [B, T], 'int32');
    const positionsBT = input('positions', [B, T], 'int64');
    const targetsN = input('targets', [B * T], 'int32');
    const maskN = input('lossMask', [B * T]);
    const inputs = { idsBT, positionsBT, maskTT: causalMask(T) };
    const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: T });
    const lossN = mul(crossEntropy(logits(parameters, config, hiddenND), targetsN), maskN);
    const executable = await device.compile(
      { lossB: sum(reshape(lossN, [B, T]), 1) },
      { inputs: [...Object.values(parameters), idsBT, positionsBT, targetsN, maskN] },
    );
    return new DocumentLoss(executable, options);
  }

  /** Bits and bytes of each text, in order. Throws CancelledError when the signal fires. */
  async measure(
    weights: Weights,
    tokenizer: Tokenizer,
    texts: readonly string[],
    options: MeasureOptions = {},
  ): Promise<DocumentBits[]> {
    const { batchSize: B, length: T } = this.#options;
    const encoded = texts.map((text) => tokenizer.encode(text));
    const nats = new Float64Array(texts.length);
    const windows = windowsOf(encoded, T);
    for (let at = 0; at < windows.length; at += B) {
      if (options.signal?.aborted) throw new CancelledError();
      const batch = windows.slice(at, at + B);
      const { lossB } = await this.#executable.run({ ...weightFeeds(weights), ...windowArrays(batch, B, T) });
      const loss = await lossB!.read();
      batch.forEach(({ document }, row) => {
        nats[document] = nats[document]! + Number(loss[row]);
      });
      lossB!.dispose();
      options.onProgress?.(Math.min(at + B, windows.length), windows.length);
    }
    return encoded.map((tokens, i) => {
      let bytes = 0;
      for (let t = 1; t < tokens.length; t++) bytes += tokenizer.tokenBytes(tokens[t]!).length;
      return { bits: nats[i]! / Math.LN2, bytes };
    });
  }

  async dispose(): Promise<void> {
    await this.#executable.dispose();
  }
}

function weightFeeds(weights: Weights): Record<string, Feed> {
  return Object.fromEntries(weights);
}
