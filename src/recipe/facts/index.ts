/** Tables to facts, statements, questions and evaluation sets. Browser-safe. */
export { collectFacts, type Fact, type FactSource, type LeftOutFact } from './collect-facts.ts';
export { type DraftOptions, draftFactSheet, type FactSheetDraft, factSheetSource } from './draft-sheet.ts';
export { checkFactSheet, type FactAttribute, type FactSheet, type ReverseQuestions } from './fact-sheet.ts';
export { type FactChat, factArticles, factChat, factChats } from './fact-texts.ts';
export { gradeExact } from './grade.ts';
export { createNameInventor, type InventorOptions, type NameInventor } from './invented-names.ts';
export { inferNameStyles, type NameStyles } from './name-styles.ts';
export { type FactStatistics, factStatistics, formatFactStatistics } from './statistics.ts';
export { nameInText, renderTemplate } from './templates.ts';
export {
  attributeKey,
  type FactCorpus,
  type FactOptions,
  type FactSplit,
  type QuestionAnswer,
  type Statement,
  writeFacts,
} from './write-facts.ts';
