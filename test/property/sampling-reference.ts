/**
 * What three engines make of sampling settings, written out from their definitions with lists and sorts: slow,
 * plain, and apart from the library. Each engine is one function that reads top to bottom in its order.
 */
import type { SamplingSettings } from '../../src/sampling/index.ts';

export interface Request {
  logits: readonly number[];
  settings: SamplingSettings;
  history: readonly number[];
  promptLength: number;
  stopTokens: readonly number[];
  /** The draw of XTC. */
  chance: number;
  /** The limit of mirostat now. */
  mu: number;
}

export interface Entry {
  id: number;
  logit: number;
}

const byLogit = (a: Entry, b: Entry) => b.logit - a.logit || a.id - b.id;
const sorted = (entries: readonly Entry[]) => [...entries].sort(byLogit);

export function softmax(entries: readonly Entry[]): number[] {
  const top = entries.reduce((most, { logit }) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const weights = entries.map(({ logit }) => Math.exp(logit - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** In nats. */
function entropy(entries: readonly Entry[]): number {
  return -softmax(entries).reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
}

function start(logits: readonly number[]): Entry[] {
  return logits.map((logit, id) => ({ id, logit })).filter(({ logit }) => logit > Number.NEGATIVE_INFINITY);
}

function bias(entries: Entry[], biases: Readonly<Record<number, number>> = {}): Entry[] {
  return entries.map(({ id, logit }) => ({ id, logit: logit + (biases[id] ?? 0) }));
}

function without(entries: Entry[], ids: readonly number[] = []): Entry[] {
  return entries.filter(({ id }) => !ids.includes(id));
}

function only(entries: Entry[], ids: readonly number[] | undefined): Entry[] {
  return ids ? entries.filter(({ id }) => ids.includes(id)) : entries;
}

function repeat(entries: Entry[], seen: readonly number[], penalty = 1): Entry[] {
  return entries.map(({ id, logit }) => {
    if (!seen.includes(id)) return { id, logit };
    return { id, logit: logit <= 0 ? logit * penalty : logit / penalty };
  });
}

function count(entries: Entry[], seen: readonly number[], frequency = 0, presence = 0): Entry[] {
  return entries.map(({ id, logit }) => {
    const times = seen.filter((one) => one === id).length;
    return { id, logit: times > 0 ? logit - times * frequency - presence : logit };
  });
}

/** The ids of the last n, all of them for -1. */
function lastOf(history: readonly number[], n: number): readonly number[] {
  return n < 0 ? history : history.slice(Math.max(0, history.length - n));
}

/** Compares every earlier place with the end of the history, token by token. */
function dry(entries: Entry[], history: readonly number[], settings: SamplingSettings['dry']): Entry[] {
  if (!settings) return entries;
  const { multiplier, base = 1.75, allowedLength = 2, lastN = -1, breakers = [] } = settings;
  const tokens = lastOf(history, lastN);
  if (tokens.length <= allowedLength) return entries;
  const penalties = new Map<number, number>();
  for (let end = 0; end < tokens.length - 1; end++) {
    let length = 0;
    while (
      length <= end &&
      tokens[end - length] === tokens[tokens.length - 1 - length] &&
      !breakers.includes(tokens[end - length]!)
    ) {
      length++;
    }
    const next = tokens[end + 1]!;
    if (length < allowedLength || breakers.includes(next)) continue;
    const power = base > 1.000001 ? Math.floor(88.7228391 / Math.log(base)) : Number.POSITIVE_INFINITY;
    const penalty = multiplier * base ** Math.min(length - allowedLength, power);
    penalties.set(next, Math.max(penalties.get(next) ?? 0, penalty));
  }
  return entries.map(({ id, logit }) => ({ id, logit: logit - (penalties.get(id) ?? 0) }));
}

function topNSigma(entries: Entry[], n = 0): Entry[] {
  if (n === 0) return entries;
  const mean = entries.reduce((sum, { logit }) => sum + logit, 0) / entries.length;
  const variance = entries.reduce((sum, { logit }) => sum + (logit - mean) ** 2, 0) / entries.length;
  const top = sorted(entries)[0]!.logit;
  return entries.filter(({ logit }) => logit >= top - n * Math.sqrt(variance));
}

function exactTopK(entries: Entry[], k = 0): Entry[] {
  return k === 0 ? entries : sorted(entries).slice(0, k);
}

function topKWithTies(entries: Entry[], k = 0): Entry[] {
  if (k === 0 || k >= entries.length) return entries;
  const least = sorted(entries)[k - 1]!.logit;
  return entries.filter(({ logit }) => logit >= least);
}

function topP(entries: Entry[], p = 1): Entry[] {
  if (p === 1) return entries;
  const order = sorted(entries);
  const probabilities = softmax(order);
  const kept: Entry[] = [];
  let sum = 0;
  for (const [i, entry] of order.entries()) {
    kept.push(entry);
    sum += probabilities[i]!;
    if (sum >= p) break;
  }
  return kept;
}

function minP(entries: Entry[], p = 0): Entry[] {
  const top = sorted(entries)[0]!.logit;
  return p === 0 ? entries : entries.filter(({ logit }) => logit >= top + Math.log(p));
}

/** Candidates in order of |-ln p - H|. */
function byTypicality(entries: Entry[]) {
  const h = entropy(entries);
  const probabilities = softmax(entries);
  return entries
    .map((entry, i) => ({ entry, p: probabilities[i]!, shift: Math.abs(-Math.log(probabilities[i]!) - h) }))
    .sort((a, b) => a.shift - b.shift || a.entry.id - b.entry.id);
}

function typicalLlama(entries: Entry[], p = 1): Entry[] {
  if (p === 1) return entries;
  const kept: Entry[] = [];
  let sum = 0;
  for (const { entry, p: probability } of byTypicality(entries)) {
    kept.push(entry);
    sum += probability;
    if (sum > p) break;
  }
  return kept;
}

function typicalTransformers(entries: Entry[], p = 1): Entry[] {
  if (p === 1) return entries;
  const order = byTypicality(entries);
  let below = 0;
  let sum = 0;
  for (const { p: probability } of order) {
    sum += probability;
    if (sum < p) below++;
  }
  const largest = order[Math.min(below, order.length - 1)]!.shift;
  return order.filter(({ shift }) => shift <= largest).map(({ entry }) => entry);
}

function cutBelow(entries: Entry[], least: number): Entry[] {
  const probabilities = softmax(entries);
  const top = Math.max(...probabilities);
  return entries.filter((_, i) => probabilities[i]! >= least || probabilities[i] === top);
}

function xtc(entries: Entry[], chance: number, settings: SamplingSettings['xtc']): Entry[] {
  if (!settings || settings.threshold > 0.5 || entries.length < 2) return entries;
  if (chance >= settings.probability) return entries;
  const order = sorted(entries);
  const probabilities = softmax(order);
  let last = 0;
  while (last + 1 < order.length && probabilities[last + 1]! >= settings.threshold) last++;
  return order.slice(last);
}

function divide(entries: Entry[], temperature: number): Entry[] {
  if (temperature <= 0) return sorted(entries).slice(0, 1);
  return entries.map(({ id, logit }) => ({ id, logit: logit / temperature }));
}

function dynamicTemperature(
  entries: Entry[],
  temperature: number,
  { range, exponent = 1 }: { range: number; exponent?: number },
): Entry[] {
  if (range === 0) return divide(entries, temperature);
  if (entries.length === 1) return entries;
  const low = Math.max(0, temperature - range);
  const high = temperature + range;
  return divide(entries, low + (high - low) * (entropy(entries) / Math.log(entries.length)) ** exponent);
}

function mirostat(entries: Entry[], version: 1 | 2, mu: number, vocabSize: number): Entry[] {
  const order = sorted(entries);
  const probabilities = softmax(order);
  if (version === 2) {
    const cut = probabilities.findIndex((p) => -Math.log2(p) > mu);
    return order.slice(0, cut < 0 ? order.length : Math.max(1, cut));
  }
  if (order.length === 1) return order;
  let above = 0;
  let below = 0;
  for (let i = 0; i < 99 && i < order.length - 1; i++) {
    const t = Math.log((i + 2) / (i + 1));
    above += t * Math.log(probabilities[i]! / probabilities[i + 1]!);
    below += t * t;
  }
  const s = above / below;
  const epsilon = s - 1;
  const k = ((epsilon * 2 ** mu) / (1 - vocabSize ** -epsilon)) ** (1 / s);
  return order.slice(0, Math.max(1, Math.floor(k)));
}

/** Penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature; or temperature and mirostat. */
export function llamacpp({ logits, settings, history, chance, mu }: Request): Entry[] {
  let left = without(bias(start(logits), settings.logitBias), settings.bannedTokens);
  if (left.length === 0) return left;
  const temperature = settings.temperature ?? 1;
  if (settings.mirostat) {
    return mirostat(divide(left, temperature), settings.mirostat.version, mu, logits.length);
  }
  const seen = lastOf(history, settings.penaltyLastN ?? 64);
  left = repeat(left, seen, settings.repetitionPenalty);
  left = count(left, seen, settings.frequencyPenalty, settings.presencePenalty);
  left = dry(left, history, settings.dry);
  left = topNSigma(left, settings.topNSigma);
  left = exactTopK(left, settings.topK);
  left = typicalLlama(left, settings.typicalP);
  left = topP(left, settings.topP);
  left = minP(left, settings.minP);
  left = xtc(left, chance, settings.xtc);
  return dynamicTemperature(left, temperature, settings.dynamicTemperature ?? { range: 0 });
}

/** Allowed ids, bad words, minimum of tokens, bias, penalties, temperature, min-p, top-k, top-p. */
export function vllm({ logits, settings, history, promptLength, stopTokens }: Request): Entry[] {
  const generated = history.slice(promptLength);
  let left = without(only(start(logits), settings.allowedTokens), settings.bannedTokens);
  if (generated.length < (settings.minTokens ?? 0)) left = without(left, stopTokens);
  if (left.length === 0) return left;
  left = bias(left, settings.logitBias);
  left = repeat(left, history, settings.repetitionPenalty);
  left = count(left, generated, settings.frequencyPenalty, 0);
  left = count(left, generated, 0, settings.presencePenalty);
  const temperature = settings.temperature ?? 1;
  left = divide(left, temperature > 0 && temperature < 0.01 ? 0.01 : temperature);
  left = minP(left, settings.minP);
  left = topKWithTies(left, settings.topK);
  return topP(left, settings.topP);
}

/** Bias, repetition, bad words, minimum of tokens, allowed ids, temperature, top-k, top-p, min-p, typical, epsilon, eta. */
export function transformers({ logits, settings, history, promptLength, stopTokens }: Request): Entry[] {
  let left = repeat(bias(start(logits), settings.logitBias), history, settings.repetitionPenalty);
  left = without(left, settings.bannedTokens);
  if (history.length - promptLength < (settings.minTokens ?? 0)) left = without(left, stopTokens);
  left = only(left, settings.allowedTokens);
  if (left.length === 0) return left;
  left = divide(left, settings.temperature ?? 1);
  left = topKWithTies(left, settings.topK);
  left = topP(left, settings.topP);
  left = minP(left, settings.minP);
  left = typicalTransformers(left, settings.typicalP);
  if (settings.epsilonCutoff) left = cutBelow(left, settings.epsilonCutoff);
  if (settings.etaCutoff) {
    const { etaCutoff } = settings;
    left = cutBelow(left, Math.min(etaCutoff, Math.sqrt(etaCutoff) * Math.exp(-entropy(left))));
  }
  return left;
}
