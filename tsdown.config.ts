import { defineConfig } from 'tsdown';

// One output file per source file, so that the folders of dist/ are those of src/.
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
