/** `plinth data`: gather, clean, deduplicate, decontaminate, mix, audit and look at documents. */
import { Command } from 'commander';
import { auditCommand } from './data-audit.ts';
import { cleanCommand } from './data-clean.ts';
import { decontaminateCommand } from './data-decontaminate.ts';
import { dedupCommand } from './data-dedup.ts';
import { inspectCommand } from './data-inspect.ts';
import { mixCommand } from './data-mix.ts';
import { qualityCommand } from './data-quality.ts';

export function dataCommand(): Command {
  return new Command('data')
    .description('Gather, clean, deduplicate, mix and audit training data.')
    .helpCommand(false)
    .addCommand(auditCommand())
    .addCommand(cleanCommand())
    .addCommand(dedupCommand())
    .addCommand(decontaminateCommand())
    .addCommand(mixCommand())
    .addCommand(inspectCommand())
    .addCommand(qualityCommand())
    .addHelpText(
      'after',
      `
Each command reads files, folders and the folders of the others, so they chain:
  $ plinth data clean crawl/ --rules fineweb --out clean
  $ plinth data dedup clean --out unique
  $ plinth data decontaminate unique --against test.jsonl --out train
  $ plinth data audit train --for test.jsonl --html coverage.html`,
    );
}
