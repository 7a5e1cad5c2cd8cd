/** Every cleaning rule by name. */
import { ConfigError } from '../../../core/errors.ts';
import { nearestNames } from '../../../core/nearest-name.ts';
import type { Rule, RuleDefinition, Settings } from '../rule.ts';
import { C4_LINE_RULES } from './c4-lines.ts';
import { C4_PAGE_RULES } from './c4-pages.ts';
import { CC_NET_RULES } from './cc-net.ts';
import { FINEWEB_QUALITY_RULES } from './fineweb-quality.ts';
import { GOPHER_QUALITY_RULES } from './gopher-quality.ts';
import { GOPHER_REPETITION_RULES } from './gopher-repetition.ts';
import { LANGUAGE_RULES } from './language.ts';
import { NEMO_RULES } from './nemo.ts';
import { PATTERN_RULES } from './patterns.ts';
import { URL_RULES } from './urls.ts';
import { WORD_LIST_RULES } from './word-lists.ts';

export const RULE_DEFINITIONS: readonly RuleDefinition[] = [
  ...URL_RULES,
  ...LANGUAGE_RULES,
  ...C4_PAGE_RULES,
  ...C4_LINE_RULES,
  ...WORD_LIST_RULES,
  ...PATTERN_RULES,
  ...GOPHER_REPETITION_RULES,
  ...GOPHER_QUALITY_RULES,
  ...FINEWEB_QUALITY_RULES,
  ...CC_NET_RULES,
  ...NEMO_RULES,
];

const byName = new Map(RULE_DEFINITIONS.map((definition) => [definition.name, definition]));

/** @throws ConfigError for an unknown rule or setting. */
export function ruleOf(name: string, overrides: Settings = {}): Rule {
  const definition = byName.get(name);
  if (definition === undefined) {
    throw new ConfigError(`There is no rule "${name}". Rules: ${nearestNames(name, [...byName.keys()])}.`);
  }
  return definition.create(overrides);
}
