/** The compiler: symbolic tensors, differentiable operators, gradients and programs. Browser-safe. */
export { grad, type TensorRecord, valueAndGrad, vjp } from './autodiff.ts';
export { type ChunkedFile, onnxFiles, type StoredWeight } from './onnx-file.ts';
export { operators, type Target } from './operator.ts';
export * from './operators/binary.ts';
export * from './operators/compare.ts';
export * from './operators/composed.ts';
export * from './operators/gather.ts';
export * from './operators/matmul.ts';
export * from './operators/normalize.ts';
export * from './operators/quantized.ts';
export * from './operators/reduce.ts';
export * from './operators/shape.ts';
export { constant, dataOf, full, input, isConstant, scalar } from './operators/source.ts';
export * from './operators/unary.ts';
export { type CompileOptions, compile, lowerProgram, matmulFlops, type Program } from './program.ts';
export { remat } from './remat.ts';
export {
  type Dim,
  type DType,
  formatShape,
  type Shape,
  sizeOf,
  Tensor,
  type TensorData,
  type TensorSpec,
} from './tensor.ts';
