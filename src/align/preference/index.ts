/** Preferences: their data, losses and batches. Browser-safe. */
export { dpoLoss, hingeLoss, ipoLoss, klOfMismatched, ktoLoss, orpoLoss, simpoLoss } from './losses.ts';
export { PreferenceBatches, referenceLogprobs } from './preference-batches.ts';
export {
  type Answer,
  type LabelledAnswer,
  labelsIn,
  labelsOfPair,
  type PreferencePair,
  type PreferenceRecord,
  pairsIn,
  pairsOfRanking,
  preferenceOf,
  type RankedAnswers,
} from './preference-data.ts';
export { PREFERENCE_LOSSES, preferenceSettings } from './preference-loss.ts';
export { type PreferenceBatch, preferenceObjective } from './preference-objective.ts';
export {
  PREFERENCE_LOSS_NAMES,
  type PreferenceLossName,
  type PreferenceSettings,
  type PreferenceValues,
} from './preference-settings.ts';
export {
  type PreferenceModel,
  type PreparedPreferences,
  type PreparePreferencesOptions,
  preparePreferences,
  secondsPerPreferenceStep,
} from './prepare-preferences.ts';
