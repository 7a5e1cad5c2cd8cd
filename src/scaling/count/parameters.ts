/**
 * Parameters of an architecture: stored, used by one token, and where they are. Exact whole numbers. A tied output
 * head is counted once, as the embedding. Buffers that are computed (rotary tables, masks, ALiBi) do not count.
 */
import { type Architecture, architectureWeights, type Layer } from '../architecture/architecture.ts';
import { PARTS, type Part } from '../architecture/block.ts';

export interface LayerParameters {
  readonly stack: 'encoder' | 'decoder';
  /** Numbers of the layers that are alike, from 0. */
  readonly layers: readonly number[];
  readonly description: string;
  /** Of one layer. */
  readonly total: number;
  readonly active: number;
}

export interface ParameterCount {
  /** Numbers stored. */
  readonly total: number;
  /** Numbers that one token uses: all but the experts it is not sent to. */
  readonly active: number;
  /** Token and position tables and an untied output head. */
  readonly embedding: number;
  readonly nonEmbedding: number;
  /** Share of the parameters that a token does not use. */
  readonly sparsity: number;
  readonly byPart: Readonly<Record<Part, number>>;
  readonly activeByPart: Readonly<Record<Part, number>>;
  /** Biases of linear layers and shifts of norms: in their parts too, here their sum alone. */
  readonly biases: number;
  readonly byLayer: readonly LayerParameters[];
}

export function countParameters(architecture: Architecture): ParameterCount {
  const byPart = Object.fromEntries(PARTS.map((part) => [part, 0])) as Record<Part, number>;
  const activeByPart = { ...byPart };
  let biases = 0;
  for (const { weight, count } of architectureWeights(architecture)) {
    byPart[weight.part] += weight.size * count;
    activeByPart[weight.part] += weight.active * count;
    if (weight.role === 'bias') biases += weight.size * count;
  }
  const total = sum(byPart);
  const active = sum(activeByPart);
  const embedding = byPart.embedding + byPart.position + byPart.head;
  return {
    total,
    active,
    embedding,
    nonEmbedding: total - embedding,
    sparsity: 1 - active / total,
    byPart,
    activeByPart,
    biases,
    byLayer: layerKinds(architecture),
  };
}

function sum(parts: Readonly<Record<Part, number>>): number {
  return PARTS.reduce((total, part) => total + parts[part], 0);
}

function layerKinds(architecture: Architecture): LayerParameters[] {
  const kinds: LayerParameters[] = [];
  for (const stack of ['encoder', 'decoder'] as const) {
    const numbers = new Map<Layer, number[]>();
    for (const [number, layer] of (architecture[stack]?.layers ?? []).entries()) {
      const alike = numbers.get(layer);
      if (alike) alike.push(number);
      else numbers.set(layer, [number]);
    }
    for (const [layer, layers] of numbers) {
      const weights = layer.flatMap((block) => block.weights);
      kinds.push({
        stack,
        layers,
        description: describeLayer(layer),
        total: weights.reduce((size, weight) => size + weight.size, 0),
        active: weights.reduce((size, weight) => size + weight.active, 0),
      });
    }
  }
  return kinds;
}

function describeLayer(layer: Layer): string {
  return layer
    .filter((block) => block.weights.some(({ role, part }) => role === 'matrix' && part !== 'norm'))
    .map((block) => block.description)
    .join('; ');
}
