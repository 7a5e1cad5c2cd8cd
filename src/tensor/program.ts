/**
 * From expressions to a program: passes, then lowering to one ONNX model for a target. A program is plain
 * data: model bytes and the names, shapes and dtypes of what goes in and out. `runtime/` runs it.
 */
import { PlinthError } from '../core/errors.ts';
import { encodeOnnxModel, type OnnxInitializer, type OnnxModel, type OnnxNode } from './onnx-model.ts';
import type { Lowering, Target } from './operator.ts';
import { isInput } from './operators/source.ts';
import { fuse } from './passes/fuse.ts';
import { mergeDuplicates } from './passes/merge-duplicates.ts';
import { simplify } from './passes/simplify.ts';
import { inlineRemat } from './remat.ts';
import { reachableNodes } from './rewrite.ts';
import { type DType, type Node, sizeOf, type Tensor, type TensorData, type TensorSpec } from './tensor.ts';

export interface Program {
  readonly target: Target;
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  readonly outputs: Readonly<Record<string, TensorSpec>>;
  readonly onnx: Uint8Array;
  readonly numNodes: number;
}

export interface CompileOptions {
  target?: Target;
  /** Inputs to keep in the signature even when no output depends on them. */
  inputs?: readonly Tensor[];
  /** Leave the passes out, to compare against: the slow and plain form of the same program. */
  optimize?: boolean;
}

/** Constants of one repeated value from this size on are made at run time instead of stored. */
const STORE_LIMIT = 1024;

/** Runs the passes on a graph; the result computes the same values. */
export function optimize(outputs: readonly Tensor[]): Tensor[] {
  let current = simplify(outputs);
  current = mergeDuplicates(current);
  current = fuse(current);
  current = simplify(current);
  return mergeDuplicates(current);
}

/** Compiles named outputs into a program. Throws PlinthError `graph` for name clashes. */
export function compile(outputs: Readonly<Record<string, Tensor>>, options: CompileOptions = {}): Program {
  const { model, ...signature } = lowerProgram(outputs, options);
  return { ...signature, onnx: encodeOnnxModel(model), numNodes: model.nodes.length };
}

/** A program before it is written: for files in which what is an input here is stored. */
export interface LoweredProgram extends Pick<Program, 'target' | 'inputs' | 'outputs'> {
  readonly model: OnnxModel;
}

/** What `compile` writes down. Throws PlinthError `graph` for name clashes. */
export function lowerProgram(
  outputs: Readonly<Record<string, Tensor>>,
  options: CompileOptions = {},
): LoweredProgram {
  const target = options.target ?? 'cpu';
  const names = Object.keys(outputs);
  const inlined = inlineRemat(names.map((name) => outputs[name]!));
  const roots = options.optimize === false ? inlined : optimize(inlined);
  const nodes = reachableNodes(roots);
  const inputs = collectInputs(nodes, options.inputs ?? []);
  const emitter = new Emitter(target, nodes, roots, inputs, names);
  const produced = emitter.run(nodes);
  const renames = new Map<string, string>();
  names.forEach((name, i) => {
    if (Object.hasOwn(inputs, name)) {
      throw new PlinthError(
        'graph',
        `"${name}" names both an input and an output of the program; rename one.`,
      );
    }
    const root = roots[i]!;
    const own = produced.get(root.node)![root.index]!;
    // Some operators hand their input through without a node of their own, so ask by name.
    const fixed = Object.hasOwn(inputs, own) || emitter.isStored(own) || renames.has(own);
    if (fixed)
      emitter.nodes.push({ type: 'Identity', domain: '', inputs: [own], outputs: [name], attributes: {} });
    else renames.set(own, name);
  });
  const rename = (name: string) => renames.get(name) ?? name;
  const onnxNodes = emitter.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const signature = Object.fromEntries(
    names.map((name, i) => [name, { shape: roots[i]!.shape, dtype: roots[i]!.dtype }]),
  );
  const model = {
    name: 'plinth',
    nodes: onnxNodes,
    inputs: Object.entries(inputs).map(([name, spec]) => ({ name, ...spec })),
    outputs: Object.entries(signature).map(([name, spec]) => ({ name, ...spec })),
    initializers: emitter.initializers,
  };
  return { target, inputs, outputs: signature, model };
}

function collectInputs(nodes: readonly Node[], extra: readonly Tensor[]): Record<string, TensorSpec> {
  const owners = new Map<string, Node>();
  for (const node of [...extra.map((x) => x.node), ...nodes]) {
    if (node.operator.name !== 'input') continue;
    const name = node.attributes.name as string;
    const owner = owners.get(name);
    if (owner && owner !== node) {
      throw new PlinthError(
        'graph',
        `Two inputs are named "${name}"; give each its own name or pass one tensor on.`,
      );
    }
    owners.set(name, node);
  }
  if (extra.some((x) => !isInput(x))) {
    throw new PlinthError('graph', 'compile: options.inputs must be made by input(name, shape).');
  }
  return Object.fromEntries([...owners].map(([name, node]) => [name, node.outputs[0]!]));
}

class Emitter implements Lowering {
  readonly target: Target;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #stored = new Map<string, string>();
  readonly #storedNames = new Set<string>();
  readonly #used = new Map<Node, Set<number>>();
  readonly #taken: ReadonlySet<string>;
  readonly #inputs: Readonly<Record<string, TensorSpec>>;
  readonly #dimensions = new Map<string, string>();
  #current: Node | undefined;
  #next = 0;

  constructor(
    target: Target,
    nodes: readonly Node[],
    roots: readonly Tensor[],
    inputs: Readonly<Record<string, TensorSpec>>,
    outputNames: readonly string[],
  ) {
    this.target = target;
    this.#inputs = inputs;
    this.#taken = new Set([...Object.keys(inputs), ...outputNames]);
    for (const tensor of [...roots, ...nodes.flatMap((node) => node.inputs)]) {
      const used = this.#used.get(tensor.node) ?? new Set<number>();
      this.#used.set(tensor.node, used.add(tensor.index));
    }
  }

  run(nodes: readonly Node[]): Map<Node, readonly string[]> {
    const produced = new Map<Node, readonly string[]>();
    for (const node of nodes) {
      this.#current = node;
      const inputs = node.inputs.map((x) => produced.get(x.node)![x.index]!);
      produced.set(node, node.operator.lower(this, node, inputs));
    }
    return produced;
  }

  isUsed(index: number): boolean {
    return this.#used.get(this.#current!)?.has(index) ?? false;
  }

  isStored(name: string): boolean {
    return this.#storedNames.has(name);
  }

  emit(
    type: string,
    inputs: readonly string[],
    attributes: OnnxNode['attributes'] = {},
    options: { numOutputs?: number; domain?: string } = {},
  ): string[] {
    const outputs = Array.from({ length: options.numOutputs ?? 1 }, () => this.#freshName('t'));
    this.nodes.push({ type, domain: options.domain ?? '', inputs, outputs, attributes });
    return outputs;
  }

  constant(data: TensorData, shape: readonly number[], dtype: DType): string {
    const small = data.length <= 16;
    const bytes = small ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : [];
    const key = `${dtype} [${shape.join()}] ${bytes.join()}`;
    const known = small ? this.#stored.get(key) : undefined;
    if (known) return known;
    if (data.length >= STORE_LIMIT && isUniform(data)) return this.#fill(data, shape, dtype);
    const name = this.#freshName('c');
    this.initializers.push({ name, dtype, shape, data });
    this.#storedNames.add(name);
    if (small) this.#stored.set(key, name);
    return name;
  }

  dimension(name: string): string | undefined {
    const known = this.#dimensions.get(name);
    if (known !== undefined) return known;
    const size = this.#inputSize(name) ?? this.#product(name);
    if (size !== undefined) this.#dimensions.set(name, size);
    return size;
  }

  #inputSize(name: string): string | undefined {
    for (const [input, { shape }] of Object.entries(this.#inputs)) {
      const axis = shape.indexOf(name);
      if (axis >= 0) return this.emit('Shape', [input], { start: axis, end: axis + 1 })[0]!;
    }
    return undefined;
  }

  #product(name: string): string | undefined {
    const factors = name.split('*');
    if (factors.length === 1) return undefined;
    const sizes = factors.map((factor) =>
      /^\d+$/.test(factor)
        ? this.constant(BigInt64Array.of(BigInt(factor)), [1], 'int64')
        : this.dimension(factor),
    );
    if (sizes.includes(undefined)) return undefined;
    return (sizes as string[]).reduce((a, b) => this.emit('Mul', [a, b])[0]!);
  }

  #freshName(letter: string): string {
    let name = `${letter}${this.#next++}`;
    while (this.#taken.has(name)) name = `${letter}${this.#next++}`;
    return name;
  }

  #fill(data: TensorData, shape: readonly number[], dtype: DType): string {
    const value = this.constant(data.slice(0, 1) as TensorData, [], dtype);
    const dims = this.constant(BigInt64Array.from(shape, BigInt), [shape.length], 'int64');
    return this.emit('Expand', [value, dims])[0]!;
  }
}

function isUniform(data: TensorData): boolean {
  const first = data[0];
  for (let i = 1; i < data.length; i++) if (data[i] !== first) return false;
  return true;
}

/** Multiply-adds times two of a graph's matrix products: the FLOPs that a step's rate is counted by. */
export function matmulFlops(outputs: readonly Tensor[]): number {
  let flops = 0;
  for (const node of reachableNodes(optimize(inlineRemat(outputs)))) {
    if (node.operator.name !== 'matmul') continue;
    const { shape } = node.outputs[0]!;
    const a = node.inputs[0]!.shape;
    const inner = (node.attributes.transposeA ? a.at(-2) : a.at(-1)) as number;
    flops += 2 * sizeOf(shape) * inner;
  }
  return flops;
}
