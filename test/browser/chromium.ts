/**
 * An installed Chromium, headless, in a process group of its own that is killed whole: a browser whose
 * driver dies otherwise runs on.
 */
import { kill } from 'node:process';
import { type Browser, chromium } from 'playwright-core';

const LIFETIME_MS = 170_000;

export interface RunningBrowser {
  readonly browser: Browser;
  close(): Promise<void>;
}

export async function startChromium(path: string): Promise<RunningBrowser> {
  const server = await chromium.launchServer({
    executablePath: path,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
    ],
  });
  const group = server.process().pid!;
  const end = () => {
    try {
      kill(-group, 'SIGKILL');
    } catch {
      // The group has ended by itself.
    }
  };
  const timer = setTimeout(end, LIFETIME_MS);
  const browser = await chromium.connect(server.wsEndpoint());
  return {
    browser,
    close: async () => {
      clearTimeout(timer);
      await Promise.race([browser.close(), new Promise((resolve) => setTimeout(resolve, 5000))]);
      end();
    },
  };
}
