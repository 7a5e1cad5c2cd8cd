/** Tells listeners where a pipeline stands: an event when a stage begins and one when it is done. */
import type { EventSink } from '../../core/events.ts';

/** Runs one named stage. A stage that throws is not announced as done. */
export type AnnouncedStage<S extends string> = <T>(
  stage: S,
  work: () => Promise<T> | T,
  detail?: (result: T) => string,
) => Promise<T>;

export function announceStages<S extends string>(
  stages: readonly S[],
  onEvent: EventSink,
): AnnouncedStage<S> {
  return async (stage, work, detail) => {
    const position = {
      type: 'stage',
      stage,
      index: stages.indexOf(stage) + 1,
      numStages: stages.length,
    } as const;
    onEvent({ ...position, state: 'start' });
    const start = performance.now();
    const result = await work();
    const seconds = (performance.now() - start) / 1000;
    onEvent({ ...position, state: 'done', seconds, ...(detail && { detail: detail(result) }) });
    return result;
  };
}
