/** CCNet's length rule (Wenzek et al. 2020, arXiv 1911.00359). Its paragraph deduplication is a matter of dedup. */
import { defineRule, type RuleDefinition } from '../rule.ts';

const minLength = defineRule({
  name: 'cc-net-length',
  description: 'Drops documents with fewer characters.',
  source: 'CCNet, facebookresearch/cc_net mine.py, min_len: 300',
  settings: { minCharacters: 300 },
  create: ({ minCharacters }) => ({
    kind: 'document',
    check: ({ numCharacters }) =>
      numCharacters < minCharacters ? `${numCharacters} characters < ${minCharacters}` : null,
  }),
});

export const CC_NET_RULES: readonly RuleDefinition[] = [minLength];
