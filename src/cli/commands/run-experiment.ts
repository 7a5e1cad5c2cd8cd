/** The part of `plinth run` that runs an experiment: all arms and seeds, then the matrix. */
import { resolve } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { Experiment } from '../../recipe/experiment/experiment.ts';
import { shownPath } from '../model-folder.ts';
import { AFTER_THIS_STEP, withSession } from '../session.ts';
import { parseSettings } from '../settings-override.ts';
import type { RunFlags } from './run.ts';

export async function runExperimentCommand(experiment: Experiment, flags: RunFlags): Promise<void> {
  if (flags.flops !== undefined || flags.profile) {
    throw new ConfigError(
      `${flags.profile ? '--profile' : '--flops'} is for recipes; "${experiment.name}" is an experiment. Use --minutes.`,
    );
  }
  const params = flags.params === undefined ? {} : { params: flags.params };
  const overrides = parseSettings(flags.set ?? []);
  const { defaultExperimentFolder, runExperiment } = await import(
    '../../recipe/experiment/run-experiment.node.ts'
  );
  const asked = {
    ...params,
    ...(flags.minutes !== undefined && { minutes: flags.minutes }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
    ...(flags.seeds !== undefined && { numSeeds: flags.seeds }),
  };
  const folder = resolve(flags.out ?? defaultExperimentFolder(experiment, asked));
  const result = await withSession(`plinth run ${experiment.name}`, AFTER_THIS_STEP, (session) =>
    runExperiment(experiment, {
      ...asked,
      ...session,
      folder,
      device: flags.device,
      ...(flags.threads !== undefined && { numThreads: flags.threads }),
      overrides,
      fresh: flags.fresh ?? false,
    }),
  );
  const { report, trained } = result;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ folder: result.folder, trained, report })}\n`);
    return;
  }
  const { experimentSummary } = await import('../../recipe/experiment/text-experiment.ts');
  if (!trained) process.stderr.write('This experiment was finished before; --fresh runs it again.\n');
  process.stdout.write(
    `\n${experimentSummary(report)}\n\nReport   ${shownPath(result.folder)}/report.html\n`,
  );
}
