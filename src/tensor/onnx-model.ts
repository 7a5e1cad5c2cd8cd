/**
 * Writes an ONNX ModelProto. Field numbers are those of onnx.proto (IR version 10); the wire encoding is
 * @bufbuild/protobuf's. Knows nothing of graphs or operators.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { OnnxAttribute } from './operator.ts';
import type { DType, Shape, TensorData } from './tensor.ts';

/** TensorProto.DataType */
export const DATA_TYPES: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};
const IR_VERSION = 10;
export const OPSET = 21;

export interface OnnxNode {
  type: string;
  domain: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValue {
  name: string;
  dtype: DType;
  shape: Shape;
}

export interface OnnxInitializer {
  name: string;
  dtype: DType;
  shape: readonly number[];
  data: TensorData;
}

export interface OnnxModel {
  name: string;
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  initializers: readonly OnnxInitializer[];
}

export function encodeOnnxModel(model: OnnxModel): Uint8Array {
  return message((w) => {
    writeProducer(w);
    nested(w, 7, (graph) => writeGraph(graph, model));
    writeOpsets(w);
  });
}

/** A model's fields before the graph (field 7). */
export function writeProducer(w: BinaryWriter): void {
  w.tag(1, WireType.Varint).int64(IR_VERSION);
  w.tag(2, WireType.LengthDelimited).string('plinth');
}

/** A model's fields after the graph. */
export function writeOpsets(w: BinaryWriter): void {
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    nested(w, 8, (opset) => {
      opset.tag(1, WireType.LengthDelimited).string(domain);
      opset.tag(2, WireType.Varint).int64(version);
    });
  }
}

export function message(write: (w: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

export function nested(w: BinaryWriter, field: number, write: (inner: BinaryWriter) => void): void {
  w.tag(field, WireType.LengthDelimited).bytes(message(write));
}

export function writeGraph(w: BinaryWriter, model: OnnxModel): void {
  for (const node of model.nodes) nested(w, 1, (inner) => writeNode(inner, node));
  w.tag(2, WireType.LengthDelimited).string(model.name);
  for (const initializer of model.initializers) nested(w, 5, (inner) => writeInitializer(inner, initializer));
  for (const value of model.inputs) nested(w, 11, (inner) => writeValue(inner, value));
  for (const value of model.outputs) nested(w, 12, (inner) => writeValue(inner, value));
}

function writeNode(w: BinaryWriter, node: OnnxNode): void {
  for (const name of node.inputs) w.tag(1, WireType.LengthDelimited).string(name);
  for (const name of node.outputs) w.tag(2, WireType.LengthDelimited).string(name);
  w.tag(3, WireType.LengthDelimited).string(node.outputs.find((name) => name !== '') ?? node.type);
  w.tag(4, WireType.LengthDelimited).string(node.type);
  for (const [name, value] of Object.entries(node.attributes))
    nested(w, 5, (inner) => writeAttribute(inner, name, value));
  if (node.domain) w.tag(7, WireType.LengthDelimited).string(node.domain);
}

function writeAttribute(w: BinaryWriter, name: string, value: OnnxAttribute): void {
  w.tag(1, WireType.LengthDelimited).string(name);
  if (typeof value === 'number') {
    w.tag(3, WireType.Varint).int64(value);
    w.tag(20, WireType.Varint).int32(2);
  } else if (typeof value === 'string') {
    w.tag(4, WireType.LengthDelimited).bytes(new TextEncoder().encode(value));
    w.tag(20, WireType.Varint).int32(3);
  } else if ('float' in value) {
    w.tag(2, WireType.Bit32).float(value.float);
    w.tag(20, WireType.Varint).int32(1);
  } else {
    for (const item of value) w.tag(8, WireType.Varint).int64(item);
    w.tag(20, WireType.Varint).int32(7);
  }
}

function writeInitializer(w: BinaryWriter, { name, dtype, shape, data }: OnnxInitializer): void {
  for (const dim of shape) w.tag(1, WireType.Varint).int64(dim);
  w.tag(2, WireType.Varint).int32(DATA_TYPES[dtype]);
  w.tag(8, WireType.LengthDelimited).string(name);
  w.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValue(w: BinaryWriter, { name, dtype, shape }: OnnxValue): void {
  w.tag(1, WireType.LengthDelimited).string(name);
  nested(w, 2, (type) =>
    nested(type, 1, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(DATA_TYPES[dtype]);
      nested(tensor, 2, (shapeWriter) => {
        for (const dim of shape) {
          nested(shapeWriter, 1, (inner) => {
            if (typeof dim === 'number') inner.tag(1, WireType.Varint).int64(dim);
            else inner.tag(2, WireType.LengthDelimited).string(dim);
          });
        }
      });
    }),
  );
}
