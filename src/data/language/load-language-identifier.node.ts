/**
 * Finds lid.176.ftz in the installed package `fasttext.wasm.js`, of which nothing else is used. The model is by
 * Facebook, CC BY-SA 3.0.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf, PlinthError } from '../../core/errors.ts';
import { LanguageIdentifier } from './language-identifier.ts';

const MODEL_PACKAGE = 'fasttext.wasm.js';
const MODEL_PATH = 'models/language-identification/assets/lid.176.ftz';

/**
 * A new identifier; loading takes about 0.2 s and 15 MB, so keep one for each thread.
 * @throws PlinthError `runtime` when the package or its model file is missing, FormatError when it is damaged
 */
export async function loadLanguageIdentifier(): Promise<LanguageIdentifier> {
  let bytes: Uint8Array;
  try {
    // The package's main file is dist/main/node.cjs.
    const main = createRequire(import.meta.url).resolve(MODEL_PACKAGE);
    bytes = await readFile(join(dirname(dirname(main)), MODEL_PATH));
  } catch (error) {
    throw new PlinthError(
      'runtime',
      `The language model lid.176.ftz was not found in the package ${MODEL_PACKAGE}: ${messageOf(error)}. ` +
        `Run "npm install ${MODEL_PACKAGE}@1.0.0".`,
      { cause: error },
    );
  }
  return LanguageIdentifier.fromBytes(bytes);
}
