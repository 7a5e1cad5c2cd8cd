/** Cleaning: named rule sets over documents, with counts for every rule. Runs in the browser. */

export {
  addCleanCounts,
  type CleanCounts,
  type CleanSummary,
  cleanSummary,
  emptyCleanCounts,
  type InOut,
  type RuleCounts,
  type RuleSummary,
} from './clean-counts.ts';
export { Cleaner, type CleanResult, type CleanServices } from './cleaner.ts';
export type { IdentifyLanguage, LanguageGuess } from './page.ts';
export type { LineOutcome, Rule, RuleBody, RuleDefinition, Setting, Settings } from './rule.ts';
export {
  parseRuleSets,
  RULE_SET_NAMES,
  type RuleLists,
  type RuleSet,
  type RuleSetSpec,
  type RuleSpec,
  ruleSetOf,
} from './rule-sets.ts';
export { RULE_DEFINITIONS } from './rules/rule-table.ts';
