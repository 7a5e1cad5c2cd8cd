/**
 * An example page: fetches a model from beside itself, answers what is typed as a stream, and tells the speed. The
 * address may choose: ?model=models/small&device=wasm or webgpu&threads=1&quantize=8.
 */
import { fetchLanguageModel } from '../../../src/decode/fetch-model.ts';
import type { OnnxLanguageModel } from '../../../src/decode/index.ts';
import { wasmDevice, webWebgpuDevice } from '../../../src/runtime/index.web.ts';

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const question = element<HTMLInputElement>('question');
const answer = element<HTMLOutputElement>('answer');
const status = element('status');
const speed = element('speed');
const ask = element<HTMLButtonElement>('ask');
const stop = element<HTMLButtonElement>('stop');

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;

async function load(): Promise<OnnxLanguageModel> {
  const choice = new URLSearchParams(location.search);
  const threads = choice.get('threads');
  const device =
    choice.get('device') === 'webgpu'
      ? await webWebgpuDevice()
      : await wasmDevice(threads === null ? {} : { numThreads: Number(threads) });
  const start = performance.now();
  let size = 0;
  const model = await fetchLanguageModel(choice.get('model') ?? 'models/small', {
    device,
    ...(choice.has('quantize') && { quantize: Number(choice.get('quantize')) as 4 | 8 }),
    requireTokenizer: true,
    onProgress: ({ loadedBytes, totalBytes }) => {
      size = loadedBytes;
      const total = totalBytes === undefined ? '' : ` of ${megabytes(totalBytes)}`;
      status.textContent = `Loading: ${megabytes(loadedBytes)}${total}`;
    },
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const threadText = device.numThreads === 1 ? '1 thread' : `${device.numThreads} threads`;
  status.textContent = `${megabytes(size)} of weights in ${seconds} s; answers on ${device.name}, ${threadText}.`;
  return model;
}

async function reply(model: OnnxLanguageModel): Promise<void> {
  const stopping = new AbortController();
  const onStop = () => stopping.abort();
  stop.addEventListener('click', onStop);
  ask.disabled = true;
  stop.disabled = false;
  answer.textContent = '';
  speed.textContent = '';
  try {
    const prompt = { messages: [{ role: 'user', content: question.value }] } as const;
    const stream = model.stream(prompt, { maxTokens: 200, temperature: 0, signal: stopping.signal });
    // Speed counts from the first token: reading the question, and compiling at the first one, comes before it.
    let first: number | undefined;
    let numTokens = 0;
    for await (const { text, tokens } of stream) {
      answer.textContent += text;
      if (first === undefined) first = performance.now();
      else numTokens += tokens.length;
      if (numTokens > 0) {
        const seconds = (performance.now() - first) / 1000;
        speed.textContent = `${(numTokens / seconds).toFixed(0)} tokens a second`;
      }
    }
    const { finishReason } = await stream.completion;
    if (finishReason === 'cancelled') speed.textContent += ' (stopped)';
  } catch (error) {
    answer.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    stop.removeEventListener('click', onStop);
    ask.disabled = false;
    stop.disabled = true;
  }
}

try {
  const model = await load();
  element('form').addEventListener('submit', (event) => {
    event.preventDefault();
    reply(model);
  });
  question.disabled = false;
  ask.disabled = false;
  window.model = model;
} catch (error) {
  status.textContent = error instanceof Error ? error.message : String(error);
}

declare global {
  interface Window {
    /** For the console, and for tests. */
    model: OnnxLanguageModel;
  }
}
