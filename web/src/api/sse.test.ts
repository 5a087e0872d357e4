import { describe, expect, it } from 'vitest';
import { readEvents, type ServerEvent } from './sse';

function body(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function parse(...chunks: Uint8Array[]): Promise<ServerEvent[]> {
  const events = [];
  for await (const event of readEvents(body(...chunks))) events.push(event);
  return events;
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe('server-sent events', () => {
  it('are the same wherever the network cuts them', async () => {
    const stream = 'event: token\r\ndata: {"text":"你🙂"}\r\n\r\nevent: end\ndata: {}\n\n';
    const all = bytes(stream);
    const whole = await parse(all);
    expect(whole).toEqual([
      { event: 'token', data: '{"text":"你🙂"}' },
      { event: 'end', data: '{}' },
    ]);
    for (let cut = 1; cut < all.length; cut++)
      expect(await parse(all.subarray(0, cut), all.subarray(cut))).toEqual(whole);
    expect(await parse(...Array.from(all, (_, i) => all.subarray(i, i + 1)))).toEqual(whole);
  });

  it('join their lines of data, ignore comments and other fields', async () => {
    expect(
      await parse(bytes(': still here\n\nid: 4\nretry: 5\ndata: a\ndata:b\ndata\n\n')),
    ).toEqual([{ event: 'message', data: 'a\nb\n' }]);
  });

  it('drop what the end cuts off', async () => {
    expect(await parse(bytes('data: whole\n\ndata: half\n'))).toEqual([
      { event: 'message', data: 'whole' },
    ]);
  });

  it('release the stream when the reader stops early', async () => {
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytes('data: x\n\n')),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const event of readEvents(endless)) if (event.data === 'x') break;
    expect(cancelled).toBe(true);
  });
});
