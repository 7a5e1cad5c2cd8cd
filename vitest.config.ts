import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    // Two workers share the cores; more threads each would only wait for one another.
    env: { PLINTH_THREADS: '1' },
    // A busy machine may be several times slower; kills and resumes take longest.
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
