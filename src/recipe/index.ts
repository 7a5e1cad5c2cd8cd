/** Recipes: what to learn, the facts, the plan and the report. Browser-safe. */
export * from './facts/index.ts';
export { type Dial, modelConfig, planModel, planSteps } from './plan.ts';
export { defineRecipe, type Recipe, type RecipeSettings, type RecipeSource } from './recipe.ts';
export { renderReport } from './report/html.ts';
export type { Report, Score } from './report/report.ts';
