/**
 * Plinth's front door for Node: what most programs need. Everything else is under its own path
 * (`plinth/tensor`, `plinth/train`, ...).
 */
export { PlinthError } from './core/errors.ts';
export type { EventSink, PlinthEvent } from './core/events.ts';
export type { Completion, GenerateOptions, LanguageModel } from './decode/language-model.ts';
export { loadLanguageModel } from './decode/load-model.node.ts';
export { openLanguageModel } from './decode/open-model.node.ts';
export { defineRecipe, type Recipe, runRecipe } from './recipe/index.node.ts';
