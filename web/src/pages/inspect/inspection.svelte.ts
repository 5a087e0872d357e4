// One question to the model under way, and what has come of it so far.

import { ApiError } from '../../api/client';
import type { ChatEvent, Trace } from '../../api/types';
import { api } from '../../shell/session.svelte';
import { grow } from '../../trace/live';
import { chatRequest, traceRequest, type Ask } from './ask';

export type Status = 'idle' | 'waiting' | 'queued' | 'writing' | 'done' | 'failed';
type End = Extract<ChatEvent, { event: 'end' }>['data'];

export class Inspection {
  status = $state<Status>('idle');
  trace = $state.raw<Trace | null>(null);
  end = $state.raw<End | null>(null);
  error = $state.raw<unknown>(null);
  ahead = $state(0);
  private controller: AbortController | null = null;
  private growing: Trace | null = null;
  private shownAt = 0;

  get busy() {
    return this.status === 'waiting' || this.status === 'queued' || this.status === 'writing';
  }

  async start(ask: Ask) {
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.status = 'waiting';
    this.trace = null;
    this.growing = null;
    this.end = null;
    this.error = null;
    try {
      if (ask.mode === 'trace') {
        const trace = await api.trace(traceRequest(ask), controller.signal);
        if (this.controller !== controller) return;
        this.trace = trace;
      } else {
        for await (const event of api.chat(chatRequest(ask), controller.signal)) {
          if (this.controller !== controller) return;
          this.take(event);
        }
        if (!this.end) throw new ApiError(0, 'unreachable', 'The answer broke off.', '');
      }
      this.status = 'done';
    } catch (error) {
      if (this.controller !== controller) return;
      this.show();
      if (error instanceof DOMException && error.name === 'AbortError') {
        this.status = this.trace ? 'done' : 'idle';
      } else {
        this.error = error;
        this.status = 'failed';
      }
    }
  }

  /** Nothing is asked, and nothing shown. */
  clear() {
    this.controller?.abort();
    this.controller = null;
    this.status = 'idle';
    this.trace = this.growing = this.end = this.error = null;
  }

  /** Keeps what has come. The server sees the closed connection and ends its work. */
  stop() {
    this.controller?.abort();
  }

  private take(event: ChatEvent) {
    if (event.event === 'error') {
      const { code, message, remedy } = event.data.error;
      throw new ApiError(200, code, message, remedy);
    }
    if (event.event === 'queued') {
      this.status = 'queued';
      this.ahead = event.data.position;
      return;
    }
    if (event.event === 'end') this.end = event.data;
    else this.status = 'writing';
    this.growing = grow(this.growing, event);
    // Often enough for the eye; each time all tokens are coloured anew.
    if (event.event === 'end' || performance.now() - this.shownAt > 80) this.show();
  }

  private show() {
    this.shownAt = performance.now();
    if (this.growing) this.trace = this.growing;
  }
}
