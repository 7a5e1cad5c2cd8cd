/** The parts of the tokenizer that need a file system. */

export { GPT_ENCODINGS, openTokenCounter } from './premium-counters.node.ts';
export {
  DEFAULT_PREMIUM_LANGUAGES,
  listDeclarations,
  loadDeclarations,
  unitsOfDeclaration,
} from './premium-udhr.node.ts';
export {
  type LoadedTokenizer,
  loadTokenizer,
  MAX_TOKENIZER_FILE_BYTES,
  saveTokenizer,
} from './tokenizer-files.node.ts';
