/**
 * From what a chip draws to what a site draws and emits: host and network, cooling (PUE), carbon of the grid. All are
 * averages of a year; an hour or a contract can be far from them.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestName } from '../../core/nearest-name.ts';
import type { Assumption, Range } from './range.ts';

/**
 * Power usage effectiveness: a site's electricity over that of its computers. Low: Google's fleet, 2024 (1.09);
 * high: mean of Uptime Institute's survey of 2024 (1.56).
 */
export const TYPICAL_PUE: Range = { low: 1.09, typical: 1.1, high: 1.56 };
export const PUE_SOURCE =
  'low: Google fleet 2024; high: Uptime Institute survey 2024 mean; typical: large cloud';

/**
 * A server's power over that of its accelerators: CPUs, memory, network, fans. High: NVIDIA's DGX H100 draws at most
 * 10.2 kW for 8 x 700 W (1.82). Low: the accelerators alone, as many published figures count. Typical is our
 * approximation.
 */
export const TYPICAL_HOST_FACTOR: Range = { low: 1, typical: 1.5, high: 1.82 };
export const HOST_FACTOR_SOURCE =
  'high: DGX H100, 10.2 kW for 8 x 700 W; low: chips alone; typical: approximation';

/** Grams of CO2 equivalent per kWh of electricity, year 2023, life cycle. */
// biome-ignore format: a table
const GRAMS_PER_KWH_2023: Readonly<Record<string, number>> = {
  world: 481, us: 369, eu: 244, australia: 549, austria: 111, belgium: 138, brazil: 98, canada: 170, china: 582,
  denmark: 152, finland: 79, france: 56, germany: 381, india: 713, ireland: 291, japan: 485, norway: 30, poland: 662,
  sweden: 41, uk: 238,
};
const CARBON_SOURCE = 'Ember, yearly electricity data, 2023';
/** Year to year, and between generation and use: an allowance of ours, not of the source. */
const CARBON_ALLOWANCE = 0.15;

export const REGIONS: readonly string[] = Object.keys(GRAMS_PER_KWH_2023);

/**
 * Carbon of a region's electricity. "world" means that the place is not known: from France's to India's.
 * @throws ConfigError for a region that is not in REGIONS
 */
export function carbonIntensity(region = 'world'): Assumption {
  const id = region.trim().toLowerCase();
  const grams = Object.hasOwn(GRAMS_PER_KWH_2023, id) ? GRAMS_PER_KWH_2023[id] : undefined;
  if (grams === undefined) {
    const near = nearestName(id, REGIONS);
    throw new ConfigError(
      `Region "${region}" has no carbon intensity here${near ? `; did you mean "${near}"?` : '.'} ` +
        `Known: ${REGIONS.join(', ')}. For another one give grams of CO2 per kWh.`,
    );
  }
  const shared = { name: `carbon intensity (${id})`, unit: 'gCO2e/kWh', typical: grams };
  return id === 'world'
    ? {
        ...shared,
        low: GRAMS_PER_KWH_2023.france!,
        high: GRAMS_PER_KWH_2023.india!,
        source: `${CARBON_SOURCE}; low France, high India, since the place is not known`,
      }
    : {
        ...shared,
        low: grams * (1 - CARBON_ALLOWANCE),
        high: grams * (1 + CARBON_ALLOWANCE),
        source: `${CARBON_SOURCE}; +-15 % is an allowance of ours`,
      };
}
