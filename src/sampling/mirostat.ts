/**
 * Keeps the surprise of tokens near tau bits (Basu et al. 2021). The limit mu starts at 2 tau and after each token
 * moves by eta times how far its surprise was off. Version 1 keeps as many candidates as a Zipf law fitted to the
 * `m` best lets through at mu; version 2 keeps those of at most mu bits. One sampler serves one sequence.
 */
import type { Candidates } from './candidates.ts';
import { checkSetting, type StageKind } from './stage.ts';

export interface MirostatSettings {
  readonly stage: 'mirostat';
  /** 1 or 2. */
  readonly version: number;
  /** Bits. Default 5. */
  readonly tau?: number;
  /** Default 0.1. */
  readonly eta?: number;
  /** Version 1: candidates that the Zipf law is fitted to. Default 100. */
  readonly m?: number;
}

export const mirostatStage: StageKind<MirostatSettings> = {
  settings: { version: 'number', tau: 'number', eta: 'number', m: 'number' },
  create({ version, tau = 5, eta = 0.1, m = 100 }) {
    checkSetting('mirostat', 'version', version, { least: 1, most: 2, whole: true });
    checkSetting('mirostat', 'tau', tau, { least: 0 });
    checkSetting('mirostat', 'eta', eta, { least: 0 });
    checkSetting('mirostat', 'm', m, { least: 2, whole: true });
    let mu = 2 * tau;
    return {
      keepsFirstMaximum: true,
      apply: (candidates, { vocabSize }) => {
        if (version === 2) keepSurprise(candidates, mu);
        else {
          const k = zipfCount(candidates, mu, m, vocabSize);
          candidates.keepBestWhile((_, taken) => taken < k);
        }
      },
      accept: (_, probability) => {
        mu -= eta * (-Math.log2(probability) - tau);
      },
    };
  },
};

/** Keeps candidates of at most `mu` bits of surprise, else the best alone. */
function keepSurprise(candidates: Candidates, mu: number): void {
  const { maximum } = candidates;
  const least = maximum + Math.log(candidates.totalWeight()) - mu * Math.LN2;
  if (least > maximum) candidates.keepOnly(candidates.argmax());
  else candidates.keepAtLeast(least);
}

/** Algorithm 1 of the paper: k from the exponent s of the Zipf law, fitted by least squares. At least 1. */
function zipfCount(candidates: Candidates, mu: number, m: number, vocabSize: number): number {
  if (candidates.size < 2) return 1;
  const best = candidates.bestPlaces(m).map((i) => candidates.scores[i]!);
  let products = 0;
  let squares = 0;
  for (let i = 0; i + 1 < best.length; i++) {
    const rank = Math.log((i + 2) / (i + 1));
    products += rank * (best[i]! - best[i + 1]!);
    squares += rank * rank;
  }
  const s = products / squares;
  const epsilon = s - 1;
  // At s = 1 the quotient takes its limit.
  const quotient = Math.abs(epsilon) < 1e-9 ? 1 / Math.log(vocabSize) : epsilon / (1 - vocabSize ** -epsilon);
  const k = (quotient * 2 ** mu) ** (1 / s);
  // Equal scores have s = 0, and the power no value where its base is 1.
  return Number.isNaN(k) ? 1 : Math.max(1, Math.floor(k));
}
