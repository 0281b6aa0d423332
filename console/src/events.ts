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
    private readonly refused: (response: Response) => Promise<void>,
  ) {}

  on(kind: string, take: (data: string) => void): void {
    this.takers.set(kind, take);
  }

  /** Ends only when the caller is refused: the same token helps no more. */
  async run(): Promise<void> {
    for (;;) {
      const response = await this.once().catch(() => undefined);
      if (response) return this.refused(response);
      this.connected(false);
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  /** The answer, where it refuses the caller. */
  private async once(): Promise<Response | undefined> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.last) headers["last-event-id"] = this.last;
    const response = await fetch(this.url, authorized({ headers, cache: "no-store" }));
    if (response.status === 401 || response.status === 403) return response;
    if (!response.ok || !response.body) return undefined;
    this.connected(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return undefined;
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
