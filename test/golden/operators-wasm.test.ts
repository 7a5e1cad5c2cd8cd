import { describe } from 'vitest';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import { itMatchesPyTorch } from './operator-suite.ts';

const device = await wasmDevice({ numThreads: 1 });

describe("operators in WebAssembly: value, gradient and second derivative are PyTorch's", () => {
  itMatchesPyTorch(device, 2e-6);
});
