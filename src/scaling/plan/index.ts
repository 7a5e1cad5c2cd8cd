/** A plan for one machine: size, tokens, batch and time for a budget, with the loss to expect. */
export {
  batchSizeFor,
  type ChosenPlan,
  chooseSize,
  type PlanRequest,
  planSize,
  type SizePlan,
  type TrainingBudget,
} from './choose-size.ts';
export { type DataLaw, expectedLoss, type TrainingAmount, tokensToReach } from './data-law.ts';
export {
  intermediateSizeOf,
  type ModelShape,
  modelShapes,
  shapeForParameters,
  shapeOfDepth,
  shapeParameters,
} from './model-shape.ts';
export { ATLAS_LAW, factsLaw, textLaw, UNKNOWN_TEXT } from './own-laws.ts';
export { type SizeChoice, type SizeTradeOff, sizeTradeOff } from './size-trade-off.ts';
export { type Machine, type StepShape, secondsPerStep, stepFlops, stepMemoryBytes } from './step-time.ts';
