/**
 * How much electricity there is: sites by power, countries and data centres by energy in a year. Totals of countries are
 * rounded to three digits.
 */
import type { Range } from '../cost/range.ts';

export interface PowerSite {
  readonly id: string;
  readonly name: string;
  readonly watts: Range;
  readonly source: string;
}

export interface YearlySupply {
  readonly id: string;
  readonly name: string;
  readonly year: number;
  readonly terawattHours: Range;
  readonly source: string;
}

const exactly = (value: number): Range => ({ low: value, typical: value, high: value });

const SEVILLA = 'Sevilla et al. 2024 (Epoch AI); typical: geometric mean';

export const POWER_SITES: readonly PowerSite[] = [
  { id: '100-mw', name: 'a site of 100 MW', watts: exactly(100e6), source: 'large data centre' },
  { id: '1-gw', name: 'a site of 1 GW', watts: exactly(1e9), source: 'one large reactor' },
  {
    id: 'campus-2030',
    name: 'one campus by 2030',
    watts: { low: 1e9, typical: Math.sqrt(5) * 1e9, high: 5e9 },
    source: SEVILLA,
  },
  {
    id: 'network-2030',
    name: 'a network of sites by 2030',
    watts: { low: 2e9, typical: Math.sqrt(90) * 1e9, high: 45e9 },
    source: SEVILLA,
  },
];

const supply = (id: string, name: string, year: number, terawattHours: number | Range, source: string) => ({
  id,
  name,
  year,
  terawattHours: typeof terawattHours === 'number' ? exactly(terawattHours) : terawattHours,
  source,
});

/** Electricity that all data centres used or are expected to use. */
export const DATA_CENTRES: readonly YearlySupply[] = [
  supply('us-data-centres', 'data centres, US', 2023, 176, 'LBNL 2024; 4.4 % of US electricity'),
  supply(
    'us-data-centres-2028',
    'data centres, US',
    2028,
    { low: 325, typical: 452.5, high: 580 },
    'LBNL 2024, scenarios; typical: their middle',
  ),
  supply('world-data-centres', 'data centres, world', 2024, 415, 'IEA 2025, Energy and AI'),
  supply('world-data-centres-2030', 'data centres, world', 2030, 945, 'IEA 2025, Energy and AI, base case'),
];

/** Electricity generated in a year. */
export const GENERATION: readonly YearlySupply[] = [
  supply('world', 'all electricity, world', 2024, 30_900, 'Ember 2025'),
  supply('china', 'all electricity, China', 2023, 9460, 'National Bureau of Statistics'),
  supply('us', 'all electricity, US', 2023, 4180, 'EIA, utility scale'),
  supply('eu', 'all electricity, EU', 2023, 2700, 'Ember 2024'),
  supply('india', 'all electricity, India', 2023, 1960, 'Ember 2024'),
  supply('france', 'all electricity, France', 2023, 495, 'RTE'),
  supply('germany', 'all electricity, Germany', 2023, 449, 'Bundesnetzagentur, net'),
  supply('uk', 'all electricity, UK', 2023, 293, 'DESNZ'),
  supply('poland', 'all electricity, Poland', 2023, 164, 'PSE'),
  supply('sweden', 'all electricity, Sweden', 2023, 163, 'Swedish Energy Agency'),
];
