import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventStreamParser, type ServerEvent, serverEvents } from '../../src/decode/openai/event-stream.ts';

const line = fc.string({
  unit: fc.constantFrom('a', ':', ' ', '{', '"', 'é', '\u{1f600}', '\u2028'),
  maxLength: 8,
});
const ending = fc.constantFrom('\n', '\r', '\r\n');
const eventType = fc.option(fc.constantFrom('error', 'message', 'ping'), { nil: undefined });

/** An event and one way to write it. */
const written = fc
  .record({
    type: eventType,
    lines: fc.array(line, { minLength: 1, maxLength: 3 }),
    end: ending,
    comment: fc.boolean(),
  })
  .map(({ type, lines, end, comment }) => {
    const rows = [
      ...(comment ? [': kept alive'] : []),
      ...(type === undefined ? [] : [`event: ${type}`]),
      ...lines.map((one, i) => `${i % 2 === 0 && !one.startsWith(' ') ? 'data:' : 'data: '}${one}`),
      'retry: 5',
    ];
    const event: ServerEvent = { event: type ?? 'message', data: lines.join('\n') };
    return { text: `${rows.join(end)}${end}${end}`, event };
  });

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, i) => bytes.slice(ends[i - 1] ?? 0, end));
}

async function read(parts: readonly Uint8Array[]): Promise<ServerEvent[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(body)) events.push(event);
  return events;
}

describe('server-sent events', () => {
  it('come out the same wherever the bytes are cut, with any line endings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(written, { maxLength: 5 }),
        fc.array(fc.nat(400), { maxLength: 12 }),
        async (all, cuts) => {
          const bytes = new TextEncoder().encode(all.map(({ text }) => text).join(''));
          expect(await read(pieces(bytes, cuts))).toEqual(all.map(({ event }) => event));
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });

  it('come out the same from single bytes', async () => {
    const text =
      '\ufeffdata: {"a":"\u{1f600}"}\r\n\r\nevent: error\rdata: x\rdata\r\r: comment\n\ndata: [DONE]\n\n';
    const bytes = new TextEncoder().encode(text);
    const expected = [
      { event: 'message', data: '{"a":"\u{1f600}"}' },
      { event: 'error', data: 'x\n' },
      { event: 'message', data: '[DONE]' },
    ];
    expect(await read([bytes])).toEqual(expected);
    expect(await read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it('that break off are no events, and endless ones end with an error', async () => {
    expect(await read([new TextEncoder().encode('data: 1\n\ndata: 2\n')])).toEqual([
      { event: 'message', data: '1' },
    ]);
    const parser = new EventStreamParser();
    const piece = 'x'.repeat(2 ** 20);
    expect(() => {
      for (let i = 0; i < 20; i++) parser.push(piece);
    }).toThrow(expect.objectContaining({ code: 'limit' }));
    const lines = new EventStreamParser();
    expect(() => {
      for (let i = 0; i < 20; i++) lines.push(`data: ${piece}\n`);
    }).toThrow(expect.objectContaining({ code: 'limit' }));
  });
});
