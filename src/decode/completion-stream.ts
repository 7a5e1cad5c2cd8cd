/** An answer's pieces as an async iterable. Pieces wait here until they are asked for. */
import type { Completion, CompletionChunk, CompletionStream } from './language-model.ts';

/**
 * `start` begins the answer and gives its completion; `cancel` is called when the reader leaves early. A
 * rejected completion ends the iteration with the same error.
 */
export function completionStream(
  start: (push: (chunk: CompletionChunk) => void) => Promise<Completion>,
  cancel: () => void,
): CompletionStream {
  const chunks: CompletionChunk[] = [];
  let isDone = false;
  let wake: (() => void) | undefined;
  const signal = () => {
    wake?.();
    wake = undefined;
  };
  const completion = start((chunk) => {
    chunks.push(chunk);
    signal();
  });
  const end = () => {
    isDone = true;
    signal();
  };
  // Also keeps a rejection from counting as unhandled when only the pieces are read.
  completion.then(end, end);
  return {
    completion,
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const chunk = chunks.shift();
          if (chunk) yield chunk;
          else if (isDone) break;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
        await completion;
      } finally {
        if (!isDone) cancel();
      }
    },
  };
}
