// Server-sent events by fetch: EventSource cannot send a token.

import { authorized } from "./session";

const AGAIN_MS = 2000;

/** Takes events until the page is left, and connects again whenever the connection ends. */
export class Events {
  private readonly takers = new Map<string, (data: string) => void>();
  private last = "";

  constructor(
    private readonly url: string,
    private readonly connected: (yes: boolean) => void,
  ) {}

  on(kind: string, take: (data: string) => void): void {
    this.takers.set(kind, take);
  }

  async run(): Promise<never> {
    for (;;) {
      await this.once().catch(() => undefined);
      this.connected(false);
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  private async once(): Promise<void> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.last) headers["last-event-id"] = this.last;
    const response = await fetch(this.url, authorized({ headers, cache: "no-store" }));
    if (!response.ok || !response.body) return;
    this.connected(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    let kind = "message";
    const data: string[] = [];
    for (const line of block.split(/\r?\n/)) {
      const [, field, value = ""] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? [];
      if (field === "event") kind = value;
      else if (field === "data") data.push(value);
      else if (field === "id") this.last = value;
    }
    if (data.length > 0) this.takers.get(kind)?.(data.join("\n"));
  }
}
