import { defineConfig } from 'vitest/config';

/** Tests in a real browser: `npx vitest run --config vitest.browser.config.ts`. Needs Chromium. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
