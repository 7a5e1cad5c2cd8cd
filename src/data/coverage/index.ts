/** What a set of documents covers, and what an evaluation asks for that it does not. */
export {
  type Amount,
  amountsBy,
  type CoverageCell,
  CoverageCounter,
  type CoverageCounts,
  MAX_DOMAINS,
  OTHER_DOMAINS,
  totalOf,
} from './coverage-counts.ts';
export { type CoverageGap, coverageGaps, type GapOptions } from './coverage-gaps.ts';
export { type DomainOptions, domainOf, type Facets, LENGTH_NAMES, lengthClassOf } from './document-facets.ts';
