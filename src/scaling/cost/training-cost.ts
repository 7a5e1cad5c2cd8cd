/**
 * What a training run takes: FLOPs (an amount) divided by FLOP/s (a rate: peak x utilization) is time; time has a
 * price and draws power. Every result has a range, from the ranges of utilization, price, host, PUE and carbon;
 * a value that is given has no range. Left out: storage, network, staff, failed and smaller runs before this one.
 */
import { ConfigError } from '../../core/errors.ts';
import {
  type Accelerator,
  findAccelerator,
  machine,
  type NumberFormat,
  OWN_MACHINE_ID,
  peakOf,
} from './accelerator.ts';
import {
  carbonIntensity,
  HOST_FACTOR_SOURCE,
  PUE_SOURCE,
  TYPICAL_HOST_FACTOR,
  TYPICAL_PUE,
} from './electricity.ts';
import {
  type Assumption,
  asRange,
  type Bounds,
  checkCount,
  checkNumber,
  product,
  quotient,
  type Range,
} from './range.ts';
import { TYPICAL_UTILIZATION } from './utilization.ts';

const SECONDS_PER_HOUR = 3600;
const HOURS_PER_DAY = 24;
const DEFAULT_ACCELERATOR = 'h100-sxm';

/** What runs and on what terms. A number is taken as given; a range widens the results. */
export interface RunTerms {
  /** Of the table, by id or name, or an object. Default: h100-sxm. */
  readonly accelerator?: Accelerator | string;
  /** Whose peak counts; default BF16, or what the chip has instead. */
  readonly format?: NumberFormat;
  /** Dense peak of one accelerator in FLOP/s, instead of the table's; `format` then only names it. */
  readonly peakFlops?: number;
  /** Share of the peak, above 0 and up to 1. */
  readonly utilization?: number | Range;
  /** Dollars for an hour of one accelerator. */
  readonly pricePerHour?: number | Range;
  /** Of one accelerator, without host. */
  readonly powerWatts?: number | Range;
  /** Power of the servers over that of their accelerators, at least 1. */
  readonly hostFactor?: number | Range;
  /** Electricity of the site over that of its servers, at least 1. */
  readonly pue?: number | Range;
  /** For the carbon intensity; see REGIONS. Default: world. */
  readonly region?: string;
  /** gCO2e/kWh, instead of the region's. */
  readonly carbonGramsPerKWh?: number | Range;
}

export interface TrainingRun extends RunTerms {
  /** The whole run, e.g. 6 x parameters x tokens. */
  readonly flops: number;
  /** Default 1. Does not change hours, dollars or energy, only days and power. */
  readonly numAccelerators?: number;
}

/** Null stands for what cannot be said: the price or the power is not known. */
export interface TrainingCost {
  readonly flops: number;
  readonly accelerator: string;
  readonly numAccelerators: number;
  readonly format: NumberFormat | 'given';
  /** FLOP/s of one accelerator at work. */
  readonly flopsPerSecond: Range;
  readonly acceleratorHours: Range;
  readonly days: Range;
  readonly dollars: Range | null;
  /** Of the whole site while the run lasts, in watts. */
  readonly siteWatts: Range | null;
  readonly energyKWh: Range | null;
  readonly carbonKg: Range | null;
  readonly assumptions: readonly Assumption[];
  /** Sentences on what is missing or easily misread. */
  readonly notes: readonly string[];
}

/** The terms with every default filled in. */
export interface ResolvedTerms {
  readonly accelerator: Accelerator;
  readonly format: NumberFormat | 'given';
  readonly peakFlops: number;
  readonly utilization: Range;
  readonly pricePerHour: Range | null;
  /** Of the site for one accelerator: chip x host x PUE. */
  readonly siteWattsEach: Range | null;
  readonly carbonGramsPerKWh: Range;
  readonly assumptions: readonly Assumption[];
  readonly notes: readonly string[];
}

/** Nothing is known of a machine of one's own but what is given: no servers around it, no site. */
const OWN_MACHINE = {
  low: 1,
  typical: 1,
  high: 1,
  source: 'a machine of your own: its power is all there is',
};

const UTILIZATION_HINT =
  'It is a share: 40 % is 0.4. A utilization above 1 means that the peak is of another number format.';

function acceleratorOf({ accelerator, peakFlops }: RunTerms): Accelerator {
  if (typeof accelerator === 'object') return accelerator;
  // A peak alone says nothing of price and power: the default chip's must not slip in.
  if (accelerator === undefined && peakFlops !== undefined) {
    return machine({ name: 'the given accelerator', flopsPerSecond: peakFlops });
  }
  if (accelerator !== undefined && /^(cpu|machine)$/i.test(accelerator.trim())) {
    if (peakFlops !== undefined) return machine({ flopsPerSecond: peakFlops });
    throw new ConfigError(
      `Accelerator "${accelerator}" is a machine of your own and needs its rate in FLOP/s (peakFlops, --peak): ` +
        'multiply two large FP32 matrices and divide 2 x M x N x K by the seconds.',
    );
  }
  return findAccelerator(accelerator ?? DEFAULT_ACCELERATOR);
}

/** @throws ConfigError for an unknown accelerator, format or region, and for values out of range. */
export function resolveTerms(terms: RunTerms): ResolvedTerms {
  const accelerator = acceleratorOf(terms);
  const isOwn = accelerator.id === OWN_MACHINE_ID;
  const assumptions: Assumption[] = [];
  const notes: string[] = accelerator.note === '' ? [] : [`${accelerator.name}: ${accelerator.note}.`];

  /** The given value, or the default with its source. */
  const assume = (
    name: string,
    unit: string,
    value: number | Range | undefined,
    otherwise: (Range & { source: string }) | null,
    bounds?: Bounds,
    hint?: string,
  ): Range | null => {
    const range = value === undefined ? otherwise : asRange(`The ${name}`, value, bounds, hint);
    if (!range) return null;
    const { low, typical, high } = range;
    assumptions.push({
      name,
      unit,
      low,
      typical,
      high,
      source: 'source' in range ? String(range.source) : 'given',
    });
    return { low, typical, high };
  };

  const peak =
    terms.peakFlops === undefined
      ? peakOf(accelerator, terms.format)
      : {
          format: terms.format ?? ('given' as const),
          flopsPerSecond: checkNumber('The peak in FLOP/s', terms.peakFlops),
        };
  assume(`dense peak (${peak.format})`, 'FLOP/s', peak.flopsPerSecond, null);
  if (terms.peakFlops === undefined) {
    assumptions[0] = { ...assumptions[0]!, source: accelerator.source };
    if (terms.format === undefined && peak.format !== 'bf16') {
      notes.push(`${accelerator.name} has no BF16 peak; its ${peak.format.toUpperCase()} peak counts.`);
    }
  }
  const utilization = assume(
    'utilization (MFU)',
    '',
    terms.utilization,
    { ...TYPICAL_UTILIZATION, source: 'published large runs: 0.32 (BLOOM) to 0.46 (PaLM)' },
    { above: 0, atMost: 1 },
    UTILIZATION_HINT,
  )!;
  const { price, powerWatts } = accelerator;
  const pricePerHour = assume(
    'price',
    '$/h each',
    terms.pricePerHour,
    price && { ...price, source: `${price.source}, ${price.numVendors} vendors, ${price.to}, on demand` },
    { atLeast: 0 },
  );
  if (!pricePerHour)
    notes.push(`No rental price of ${accelerator.name} is known here: give one for dollars.`);
  const watts = assume(
    'power of a chip',
    'W',
    terms.powerWatts,
    powerWatts === null
      ? null
      : {
          low: powerWatts,
          typical: powerWatts,
          high: powerWatts,
          source: 'thermal design power (data sheet)',
        },
  );
  let siteWattsEach: Range | null = null;
  if (watts) {
    const host = assume(
      'host factor',
      '',
      terms.hostFactor,
      isOwn ? OWN_MACHINE : { ...TYPICAL_HOST_FACTOR, source: HOST_FACTOR_SOURCE },
      { atLeast: 1 },
    )!;
    const pue = assume('PUE', '', terms.pue, isOwn ? OWN_MACHINE : { ...TYPICAL_PUE, source: PUE_SOURCE }, {
      atLeast: 1,
    })!;
    siteWattsEach = product(watts, host, pue);
  } else {
    notes.push(`The power of ${accelerator.name} is not known here: give watts for energy and carbon.`);
  }
  const carbon = carbonIntensity(terms.region);
  const carbonGramsPerKWh =
    terms.carbonGramsPerKWh === undefined
      ? carbon
      : asRange('The carbon intensity', terms.carbonGramsPerKWh, { atLeast: 0 });
  if (watts) {
    assumptions.push(
      terms.carbonGramsPerKWh === undefined
        ? carbon
        : { ...carbonGramsPerKWh, name: 'carbon intensity', unit: carbon.unit, source: 'given' },
    );
  }
  return {
    accelerator,
    format: peak.format,
    peakFlops: peak.flopsPerSecond,
    utilization,
    pricePerHour,
    siteWattsEach,
    carbonGramsPerKWh,
    assumptions,
    notes,
  };
}

/**
 * Hours, days, dollars, energy and carbon of a run.
 * @throws ConfigError as resolveTerms, and for FLOPs or a number of accelerators that are not above 0
 */
export function trainingCost(run: TrainingRun): TrainingCost {
  const flops = checkNumber('The FLOPs of the run', run.flops);
  const numAccelerators = checkCount('The number of accelerators', run.numAccelerators ?? 1);
  const terms = resolveTerms(run);
  const flopsPerSecond = product(terms.utilization, terms.peakFlops);
  const work = { low: flops, typical: flops, high: flops };
  const acceleratorHours = product(quotient(work, flopsPerSecond), 1 / SECONDS_PER_HOUR);
  const energyKWh = terms.siteWattsEach && product(acceleratorHours, terms.siteWattsEach, 1 / 1000);
  return {
    flops,
    accelerator: terms.accelerator.name,
    numAccelerators,
    format: terms.format,
    flopsPerSecond,
    acceleratorHours,
    days: product(acceleratorHours, 1 / (numAccelerators * HOURS_PER_DAY)),
    dollars: terms.pricePerHour && product(acceleratorHours, terms.pricePerHour),
    siteWatts: terms.siteWattsEach && product(terms.siteWattsEach, numAccelerators),
    energyKWh,
    carbonKg: energyKWh && product(energyKWh, terms.carbonGramsPerKWh, 1 / 1000),
    assumptions: terms.assumptions,
    notes: terms.notes,
  };
}
