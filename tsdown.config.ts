import { defineConfig } from 'tsdown';

// One output file per source file: dist/src/ and dist/recipes/ mirror the checkout.
export default defineConfig({
  entry: ['src/**/*.ts', 'recipes/*.ts'],
  format: 'esm',
  platform: 'neutral',
  target: 'es2023',
  unbundle: true,
  dts: true,
  clean: true,
  outDir: 'dist',
  hash: false,
});
