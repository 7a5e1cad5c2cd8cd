/**
 * Whether to guess ahead, and how far: from what runs took and from which guesses were right. It keeps books only: no
 * models, no clock. What it decides changes how long an answer takes, never the answer.
 */

/** Values remembered of each kind; their median stands for them: a run that compiles or is held up changes nothing. */
const NUM_REMEMBERED = 7;
/** Steps without guesses before the first one, for the time that they take. */
const NUM_MEASURED = 3;
/** While guessing pays, two steps go without after so many rounds, to see what the second takes now. */
const MEASURE_EVERY = 96;
/** Steps without guesses between two tries, while guessing does not pay: doubled by each try that fails. */
const FIRST_PAUSE = 8;
const LONGEST_PAUSE = 256;
/** Weight of the newest round in what rounds give and take, and of the newest of many guesses. */
const ROUND_WEIGHT = 0.1;
const GUESS_WEIGHT = 0.03;
/** Guesses that the first assumption about a chance counts as. */
const FIRST_GUESSES = 4;
/** A try counts for more: there are few. */
const TRY_WEIGHT = 0.3;
/** A round with guesses until some were seen, in tokens and in steps without guesses. */
const FIRST_ROUND = { tokens: 1.5, steps: 1.1 };
/** The longest that a round counts as, in steps: its programs may have been compiled just now. */
const LONGEST_ROUND = 4;
/** What each guess adds to a checking run until that was measured, as a share of a step. */
const FIRST_SLOPE = 0.05;
const NUM_KINDS = 8;

class Recent {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > NUM_REMEMBERED) this.#values.shift();
  }

  /** The lower one of two; 0 before the first value. */
  get median(): number {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  }
}

/** A share of right guesses, the latest ones counting most. */
class Chance {
  #value: number;
  #count = FIRST_GUESSES;

  constructor(first: number) {
    this.#value = first;
  }

  get value(): number {
    return this.#value;
  }

  add(isRight: boolean): void {
    const weight = Math.max(GUESS_WEIGHT, 1 / ++this.#count);
    this.#value += weight * ((isRight ? 1 : 0) - this.#value);
  }
}

/** How often guesses are right, by the probability that the draft model itself gives them. */
export class GuessChances {
  readonly #byKind = Array.from({ length: NUM_KINDS }, (_, kind) => new Chance((kind + 0.5) / NUM_KINDS));
  readonly #any = new Chance(0.6);

  /** Of any guess that followed right ones. */
  get mean(): number {
    return this.#any.value;
  }

  of(probability: number): number {
    return this.#byKind[kindOf(probability)]!.value;
  }

  told(probability: number, isRight: boolean): void {
    this.#byKind[kindOf(probability)]!.add(isRight);
    this.#any.add(isRight);
  }
}

function kindOf(probability: number): number {
  return Math.min(NUM_KINDS - 1, Math.floor(probability * NUM_KINDS));
}

/** A round with guesses, of one row up to `numGuesses`, then one checking run. */
export interface GuessedRound {
  readonly numGuesses: number;
  /** Of the draft model, for all guesses. */
  readonly draftMs: number;
  readonly checkMs: number;
  /** Chosen tokens a row. */
  readonly numTokens: number;
}

/** For batches of about one size. */
export class GuessPolicy {
  readonly #chances: GuessChances;
  /** Steps after another step, and after guesses: then the caches of the processor hold other things. */
  readonly #stepMs = new Recent();
  readonly #loneStepMs = new Recent();
  /** Time of the draft model for a guess of each row. */
  readonly #draftMs = new Recent();
  readonly #checkMs = new Map<number, Recent>();
  #tokens = FIRST_ROUND.tokens;
  #steps = FIRST_ROUND.steps;
  #pays = true;
  #pause = FIRST_PAUSE;
  /** Steps without guesses until the next round with some. */
  #wait = NUM_MEASURED;
  #numRounds = 0;
  #isAfterStep = true;

  constructor(chances: GuessChances) {
    this.#chances = chances;
  }

  /** Asked once a round: whether it guesses. */
  decide(): boolean {
    if (this.#wait > 0) {
      this.#wait--;
      return false;
    }
    if (!this.#pays || ++this.#numRounds % MEASURE_EVERY !== 0) return true;
    this.#wait = 1;
    return false;
  }

  /**
   * Whether one more guess of each row is expected to save more time than it takes, where the guesses so far are all
   * right with these chances.
   */
  paysOneMore(chances: readonly number[]): boolean {
    const all = chances.reduce((total, chance) => total + chance, 0) / chances.length;
    return all * this.#chances.mean * this.#tokenMs > this.#draftMs.median + this.#slopeMs();
  }

  /**
   * Whether a checking run is better than a step, for up to `numGuesses` of each row of which so many are expected to be
   * right. A try is always checked: it is made to see.
   */
  paysCheck(numGuesses: number, numExpected: number): boolean {
    const stepMs = this.#loneStepMs.median || this.#stepMs.median;
    return !this.#pays || numExpected * this.#tokenMs > this.#checkMsOf(numGuesses) - stepMs;
  }

  /** What a guess of each row takes of the draft model, once known. */
  get draftMs(): number {
    return this.#draftMs.median;
  }

  toldStep(ms: number): void {
    (this.#isAfterStep ? this.#stepMs : this.#loneStepMs).add(ms);
    this.#isAfterStep = true;
  }

  toldRound({ numGuesses, draftMs, checkMs, numTokens }: GuessedRound): void {
    this.#draftMs.add(draftMs / numGuesses);
    const checks = this.#checkMs.get(numGuesses) ?? new Recent();
    this.#checkMs.set(numGuesses, checks);
    checks.add(checkMs);
    this.#weigh(numTokens, numGuesses, checks.median);
  }

  /** Guesses that were not worth a check: a step follows, of which `toldStep` is told too. */
  toldDropped(numGuesses: number, draftMs: number): void {
    this.#draftMs.add(draftMs / numGuesses);
    this.#weigh(1, numGuesses, this.#loneStepMs.median || this.#stepMs.median);
  }

  /** Takes a round into account, and whether guessing still pays. */
  #weigh(numTokens: number, numGuesses: number, runMs: number): void {
    this.#isAfterStep = false;
    const ms = numGuesses * this.#draftMs.median + runMs;
    const steps = Math.min(LONGEST_ROUND, ms / this.#stepMs.median || FIRST_ROUND.steps);
    const weight = this.#pays ? ROUND_WEIGHT : TRY_WEIGHT;
    this.#tokens += weight * (numTokens - this.#tokens);
    this.#steps += weight * (steps - this.#steps);
    const paid = this.#pays;
    this.#pays = this.#tokens > this.#steps;
    if (this.#pays) this.#pause = FIRST_PAUSE;
    else if (paid || numTokens <= steps) {
      this.#wait = this.#pause;
      this.#pause = Math.min(LONGEST_PAUSE, 2 * this.#pause);
    }
  }

  /** What a right guess saves: a step, or its share of a round that gives more tokens. */
  get #tokenMs(): number {
    return this.#stepMs.median * Math.min(1, this.#steps / this.#tokens);
  }

  #checkMsOf(numGuesses: number): number {
    const exact = this.#checkMs.get(numGuesses);
    if (exact) return exact.median;
    const [nearest] = [...this.#checkMs.keys()].sort(
      (a, b) => Math.abs(a - numGuesses) - Math.abs(b - numGuesses),
    );
    const known = nearest === undefined ? this.#stepMs.median : this.#checkMs.get(nearest)!.median;
    return known + (numGuesses - (nearest ?? 0)) * this.#slopeMs();
  }

  /** What one more guess a row adds to a checking run. */
  #slopeMs(): number {
    const known = [...this.#checkMs.keys()];
    const [least, most] = [Math.min(...known), Math.max(...known)];
    if (!(most > least)) return FIRST_SLOPE * this.#stepMs.median;
    const rise = this.#checkMs.get(most)!.median - this.#checkMs.get(least)!.median;
    return Math.max(0, rise / (most - least));
  }
}
