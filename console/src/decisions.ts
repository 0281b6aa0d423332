// The timeline of decisions, the newest first.

import type { Api, Recommendation } from "./api";
import { h } from "./dom";
import { iso, time } from "./format";

/** How many are shown before somebody asks for older ones. */
const SHOWN = 40;

export class Timeline {
  private readonly items = new Map<string, HTMLElement>();
  private query: Record<string, string> = {};
  private cursor: string | null = null;
  private wantsOlder = false;

  constructor(
    private readonly api: Api,
    private readonly list: HTMLElement,
    private readonly older: HTMLElement,
    private readonly choose: (decision: Recommendation) => void,
  ) {
    older.addEventListener("click", () => void this.loadOlder());
  }

  /** Shows what the query finds, from the newest on. */
  async show(query: Record<string, string>): Promise<void> {
    this.query = { changed: "true", limit: String(SHOWN), ...query };
    this.items.clear();
    this.wantsOlder = false;
    const page = await this.api.recommendations(this.query);
    this.list.replaceChildren();
    this.append(page);
  }

  /** Adds a decision that was just taken. */
  add(decision: Recommendation): void {
    const { part } = this.query;
    if (part !== undefined && !decision.parts.some((it) => it.part === part && it.from !== it.to)) return;
    if (this.items.has(decision.id)) return;
    this.list.prepend(this.item(decision));
    if (this.wantsOlder || this.items.size <= SHOWN) return;
    // The oldest goes: it can be had again with the button.
    const last = this.list.lastElementChild as HTMLElement | null;
    if (last && !last.contains(document.activeElement)) {
      this.items.delete(last.dataset["id"] ?? "");
      last.remove();
      this.cursor = (this.list.lastElementChild as HTMLElement).dataset["id"] ?? null;
      this.older.hidden = false;
    }
  }

  private async loadOlder(): Promise<void> {
    if (this.cursor === null) return;
    this.wantsOlder = true;
    this.append(await this.api.recommendations({ ...this.query, cursor: this.cursor }));
  }

  private append(page: { items: Recommendation[]; next: string | null }): void {
    this.list.append(...page.items.filter((it) => !this.items.has(it.id)).map((it) => this.item(it)));
    this.cursor = page.next;
    this.older.hidden = page.next === null;
    if (this.items.size === 0) this.list.append(h("li", { class: "muted" }, "Nothing has been changed yet."));
  }

  private item(decision: Recommendation): HTMLElement {
    if (this.items.size === 0) this.list.replaceChildren();
    const changes = decision.parts
      .filter((it) => it.from !== it.to)
      .map((it) => h("span", { class: it.to > it.from ? "up" : "down" }, `${it.part} ${it.from} → ${it.to}`));
    const button = h(
      "button",
      { type: "button" },
      h("time", { datetime: iso(decision.at) }, time(decision.at)),
      h("span", { class: "changes" }, ...changes),
      h("span", { class: "reason" }, decision.reason),
    );
    button.addEventListener("click", () => this.choose(decision));
    const item = h("li", { "data-id": decision.id }, button);
    this.items.set(decision.id, item);
    return item;
  }
}
