/**
 * zlib's stream for a deflate stream of unknown length, asked for one piece at a time: it tells where in its input
 * the data ended, and an error without throwing away what came before the piece.
 */
import { createInflateRaw, type InflateRaw } from 'node:zlib';
import { readSizeBytes } from './byte-window.node.ts';

export class PieceInflate {
  readonly #stream: InflateRaw = createInflateRaw({ chunkSize: readSizeBytes });
  #outputs: Uint8Array[] = [];
  #isEnd = false;
  #written = 0;
  #fail: ((error: Error) => void) | null = null;

  constructor() {
    this.#stream.on('data', (bytes: Buffer) => this.#outputs.push(bytes));
    this.#stream.on('end', () => {
      this.#isEnd = true;
    });
    this.#stream.on('error', (error) => this.#fail?.(error));
  }

  /** What a piece of input unpacks to, and how much of it was used: less than all at the end of the data. */
  async push(piece: Buffer): Promise<{
    outputs: Uint8Array[];
    consumedBytes: number;
    isEnd: boolean;
    error?: string;
  }> {
    const before = this.#stream.bytesWritten;
    this.#written += piece.length;
    let error: string | undefined;
    await new Promise<void>((resolve) => {
      this.#fail = (failure) => {
        error = failure.message;
        resolve();
      };
      this.#stream.write(piece, (failure) => {
        if (failure) error = failure.message;
        resolve();
      });
    });
    const outputs = this.#outputs;
    this.#outputs = [];
    // Input that zlib left alone lies behind the end of the deflate stream.
    const isEnd = this.#isEnd || this.#stream.bytesWritten < this.#written;
    const consumedBytes = this.#stream.bytesWritten - before;
    return { outputs, consumedBytes, isEnd, ...(error !== undefined && { error }) };
  }

  close(): void {
    this.#stream.destroy();
  }
}
