/** What an architecture needs: parameters, arithmetic, memory. */
export { countParameters, type LayerParameters, type ParameterCount } from './parameters.ts';
