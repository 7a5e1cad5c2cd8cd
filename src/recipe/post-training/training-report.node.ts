/**
 * `report.json` of a post-training's folder: what it took, by stage, beside whatever the training has to tell of
 * itself. Written field by field, so that each part adds its own.
 */
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { PlinthEvent } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import { type Accounting, accountFor, type StageUse, stepSeconds, trainingWork } from '../accounting.ts';
import { MetricsLog } from '../metrics-log.node.ts';
import type { TrainingFolder } from '../training-folder.node.ts';

type ReportFolder = Pick<TrainingFolder, 'file'>;

/** Puts fields into the folder's report, in place of those of the same name. */
export async function addToReport(folder: ReportFolder, fields: object): Promise<void> {
  const path = folder.file('report.json');
  const before = await readJsonFile(path, 'Delete it; the same command writes it again.');
  const report = { ...(before as object | null | undefined), ...fields };
  await writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`);
}

/**
 * What a training's steps took, of all sessions, from the events in its folder. Time is that of the steps, batches
 * (rollouts) included.
 * @param more of what the steps did beside training, such as generating answers
 */
export async function accountForTraining(
  folder: ReportFolder,
  stage: string,
  more: (events: readonly PlinthEvent[]) => Pick<StageUse, 'generation' | 'scoring'> = () => ({}),
): Promise<Accounting> {
  const events = await new MetricsLog(folder.file('metrics.jsonl')).read();
  const training = trainingWork(events, stage);
  const use = { stage, seconds: stepSeconds(events, stage), ...(training && { training }), ...more(events) };
  return accountFor([use]);
}
