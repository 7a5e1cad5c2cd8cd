/** What `plinth train` and `plinth sft` share: running a training with progress and Ctrl-C, and saying how it ended. */
import { formatCount, formatDuration } from '../core/units.ts';
import type { TrainingOutcome } from '../recipe/training-outcome.node.ts';
import type { Device } from '../runtime/device.ts';
import { type DeviceFlags, openDevice } from './generation-options.ts';
import { shownPath } from './model-folder.ts';
import { AFTER_THIS_STEP, type Session, withSession } from './session.ts';

export interface TrainingSession extends Session {
  readonly device: Device;
}

export async function runTraining(
  title: string,
  flags: DeviceFlags & { json?: boolean | undefined },
  work: (session: TrainingSession) => Promise<TrainingOutcome>,
): Promise<void> {
  const device = await openDevice(flags);
  const outcome = await withSession(title, AFTER_THIS_STEP, (session) => work({ ...session, device }));
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
    return;
  }
  const { numParameters, steps, loss, seconds, tokensPerSecond, modelFolder, adapterFolder } = outcome;
  const { validationLoss, predictedLoss } = outcome;
  const adapter = adapterFolder === undefined ? '' : `Adapter  ${shownPath(adapterFolder)}\n`;
  const expected = expectedBesideActual(outcome);
  const validated =
    predictedLoss || validationLoss === undefined ? '' : `, validation ${validationLoss.toFixed(3)}`;
  const trained = Number.isFinite(loss)
    ? `${steps} steps, final loss ${loss.toFixed(3)}${validated}, ${formatDuration(seconds)}, ${formatCount(tokensPerSecond)} tokens/s.`
    : 'This training was finished before; --fresh starts it again.';
  process.stdout.write(
    `${formatCount(numParameters)} parameters. ${trained}\n${expected}${adapter}Model    ${shownPath(modelFolder)}\n`,
  );
}

/** What the plan said, beside what happened; nothing where nothing was planned or trained. */
function expectedBesideActual({
  loss,
  seconds,
  plannedSeconds,
  predictedLoss,
  validationLoss,
}: TrainingOutcome): string {
  if (!Number.isFinite(loss) || plannedSeconds === undefined || !predictedLoss) return '';
  const time = `Time     planned ${formatDuration(plannedSeconds)}, took ${formatDuration(seconds)}\n`;
  if (validationLoss === undefined) return time;
  const [low, high] = predictedLoss.interval ?? [];
  const interval = low === undefined ? '' : ` (${low.toFixed(2)} to ${high!.toFixed(2)})`;
  return `${time}Loss     predicted ${predictedLoss.loss.toFixed(3)}${interval} by the law "${predictedLoss.law}", validation ${validationLoss.toFixed(3)}\n`;
}
