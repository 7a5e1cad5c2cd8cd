/**
 * A fitted law as JSON, so that one command fits and others predict. Version 1 has the law, how it was fitted, its
 * resamples (rows of [E, A, B, alpha, beta]) and, if wanted, the points. Reading trusts nothing: every number is
 * checked, and a file of another version is refused.
 */
import { z } from 'zod';
import { FormatError } from '../../core/errors.ts';
import type { LossLawFit } from './fit-loss-law.ts';
import { EXPONENT_BOUNDS } from './huber-objective.ts';
import type { LawConstants, ScalingPoint, UncertainLaw } from './loss-law.ts';
import type { Interval } from './percentile-interval.ts';

const VERSION = 1;
/** Bounds of what is read; a file of ours stays far below. */
const LIMITS = { resamples: 20_000, points: 100_000, text: 2_000 } as const;

const positive = z.number().positive();
/** A coefficient that a fit found to be nothing comes out as 0. */
const coefficient = z.number().min(0);
const exponent = z.number().min(EXPONENT_BOUNDS.low).max(EXPONENT_BOUNDS.high);
const text = z.string().max(LIMITS.text);
const interval = z.tuple([z.number(), z.number()]);

const lawFileSchema = z.object({
  format: z.literal('plinth-law'),
  version: z.literal(VERSION),
  law: z.object({
    name: text.min(1),
    E: z.number().min(0),
    A: coefficient,
    B: coefficient,
    alpha: exponent,
    beta: exponent,
    source: text,
  }),
  objective: z.number().min(0),
  delta: positive,
  numPoints: z.number().int().positive(),
  numFree: z.number().int().min(0).max(5),
  seed: z.number().int().min(0),
  intervals: z
    .object({
      E: interval,
      A: interval,
      B: interval,
      alpha: interval,
      beta: interval,
      a: interval,
      b: interval,
    })
    .nullable(),
  resamples: z
    .array(z.tuple([coefficient, coefficient, coefficient, exponent, exponent]))
    .max(LIMITS.resamples),
  residuals: z.array(z.number()).max(LIMITS.points),
  warnings: z.array(text).max(100),
  points: z
    .array(z.object({ params: positive, tokens: positive, loss: positive }))
    .max(LIMITS.points)
    .optional(),
});

/** What a law file holds, in the forms that the rest of this folder takes. */
export interface StoredLaw extends UncertainLaw {
  readonly objective: number;
  readonly delta: number;
  readonly numPoints: number;
  readonly numFree: number;
  readonly seed: number;
  readonly intervals: { readonly [key in keyof LawConstants | 'a' | 'b']: Interval } | undefined;
  readonly residuals: readonly number[];
  readonly warnings: readonly string[];
  readonly points: readonly ScalingPoint[] | undefined;
}

/** The file's content, as one JSON value. */
export function lawFileOf(fit: LossLawFit, points?: readonly ScalingPoint[]): Record<string, unknown> {
  const { law, objective, delta, numPoints, numFree, seed, intervals, resamples, residuals, warnings } = fit;
  const { name, E, A, B, alpha, beta, source } = law;
  return {
    format: 'plinth-law',
    version: VERSION,
    law: { name, E, A, B, alpha, beta, source },
    objective,
    delta,
    numPoints,
    numFree,
    seed,
    intervals: intervals ?? null,
    resamples: resamples.map((one) => [one.E, one.A, one.B, one.alpha, one.beta]),
    residuals,
    warnings,
    ...(points && { points: points.map(({ params, tokens, loss }) => ({ params, tokens, loss })) }),
  };
}

/** The law in a file's text. `name` is the file's, for messages. Throws FormatError that says what is wrong where. */
export function readLawFile(content: string, name: string): StoredLaw {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw new FormatError(`${name} is not JSON. Expected a law file as "plinth scale fit --out" writes it.`, {
      cause: error,
    });
  }
  const { format, version } = (json ?? {}) as Record<string, unknown>;
  if (format !== 'plinth-law') {
    throw new FormatError(
      `${name} is no law file: 'format' is ${JSON.stringify(format)?.slice(0, 80) ?? 'missing'}, expected "plinth-law". ` +
        'Write one with: plinth scale fit points.csv --out law.json',
    );
  }
  if (version !== VERSION) {
    throw new FormatError(
      `${name} has version ${JSON.stringify(version)?.slice(0, 80) ?? 'none'}; this version of Plinth reads version ${VERSION}. Fit the law again.`,
    );
  }
  const parsed = lawFileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new FormatError(`${name}: '${issue.path.join('.')}' is not as expected. ${issue.message}.`);
  }
  const { intervals, resamples, points, ...rest } = parsed.data;
  return {
    ...rest,
    intervals: intervals ?? undefined,
    resamples: resamples.map(([E, A, B, alpha, beta]) => ({ E, A, B, alpha, beta })),
    points,
  };
}
