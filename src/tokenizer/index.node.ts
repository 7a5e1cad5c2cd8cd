/** The parts of the tokenizer that need a file system. */
export {
  type LoadedTokenizer,
  loadTokenizer,
  MAX_TOKENIZER_FILE_BYTES,
  saveTokenizer,
} from './tokenizer-files.node.ts';
