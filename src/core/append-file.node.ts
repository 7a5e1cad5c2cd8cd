/** Adds text to the end of a file, all of it or none, and returns when the disk has it. */
import { open } from 'node:fs/promises';

/** The file is made if need be. When writing fails, what was there before stays as it was and the error is passed on. */
export async function appendWhole(path: string, text: string): Promise<void> {
  const handle = await open(path, 'a');
  try {
    const { size } = await handle.stat();
    try {
      await handle.appendFile(text);
      await handle.datasync();
    } catch (error) {
      await handle.truncate(size).catch(() => {});
      throw error;
    }
  } finally {
    await handle.close();
  }
}
