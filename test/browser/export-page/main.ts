/** What the browser test calls: an exported model in transformers.js, with every file from the page's own server. */
/// <reference types="vite/client" />
import { AutoModelForCausalLM, AutoTokenizer, env, type Tensor } from '@huggingface/transformers';
import factoryUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = '/models/';
env.backends.onnx.wasm!.wasmPaths = { wasm: wasmUrl, mjs: factoryUrl };

export interface BrowserAnswer {
  readonly prompt: string;
  readonly tokens: number[];
  readonly text: string;
}

async function answer(name: string, question: string, numTokens: number): Promise<BrowserAnswer> {
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const model = await AutoModelForCausalLM.from_pretrained(name, { dtype: 'q8', device: 'wasm' });
  const prompt = tokenizer.apply_chat_template([{ role: 'user', content: question }], {
    add_generation_prompt: true,
    tokenize: false,
  }) as string;
  const inputs = tokenizer(prompt, { add_special_tokens: false });
  const length = inputs.input_ids.dims[1] as number;
  const output = (await model.generate({
    ...inputs,
    max_new_tokens: numTokens,
    do_sample: false,
  })) as Tensor;
  const tokens = (output.tolist() as (number | bigint)[][])[0]!.slice(length).map(Number);
  return { prompt, tokens, text: tokenizer.decode(tokens, { skip_special_tokens: true }) };
}

declare global {
  interface Window {
    answer: typeof answer;
  }
}
window.answer = answer;
