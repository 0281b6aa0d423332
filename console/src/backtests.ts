// The target's history replayed with the chosen policy.

import { type Api, type Backtest, Refusal } from "./api";
import { byId, h, table } from "./dom";
import { amount, percent, time } from "./format";

/** How often one that is not over is looked at. */
const LOOK_MS = 1000;
/** Beside the policy itself. */
const PEERS = ["hpa", "reactive at equal cost", "foresight"];

export class Backtests {
  private readonly list = byId("backtests");
  private readonly outcome = byId("backtest-outcome");
  private timer: number | undefined;

  constructor(
    private readonly api: Api,
    private readonly target: string,
    private readonly part: () => string,
  ) {
    byId("replay").addEventListener("click", () => void this.reporting(() => this.order()));
  }

  /** Shows what there is; where no backtests are run there is nothing to show. */
  async load(): Promise<void> {
    try {
      await this.show();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      byId("backtest-panel").hidden = true;
    }
  }

  private async order(): Promise<void> {
    const module = byId<HTMLSelectElement>("module").value;
    const config = JSON.parse(byId<HTMLTextAreaElement>("config").value) as unknown;
    await this.api.backtest({ target: this.target, part: this.part(), module, config });
    this.outcome.textContent = "";
    await this.show();
  }

  private async show(): Promise<void> {
    const all = await this.api.backtests();
    const newest = all.find((it) => it.state === "done");
    const result = newest && (await this.api.backtestOf(newest.id)).result;
    this.list.replaceChildren(...all.map((it) => this.item(it)));
    const shown = result?.policies.filter((it, at) => at === 0 || PEERS.includes(it.policy)) ?? [];
    const rows = shown.map((it) => [it.policy, percent(it.over_capacity_share), amount(it.cost)]);
    const caption = `${newest?.load}, as ${newest?.module ?? "the default"} would have handled it`;
    const tables = rows.length > 0 ? [table(caption, ["Policy", "Time over capacity", "Cost"], rows)] : [];
    byId("backtest-result").replaceChildren(...tables);
    clearTimeout(this.timer);
    if (all.some((it) => it.state === "waiting" || it.state === "running")) {
      this.timer = window.setTimeout(() => void this.reporting(() => this.show()), LOOK_MS);
    }
  }

  private item(backtest: Backtest): HTMLElement {
    const { id, state, progress_percent: done } = backtest;
    const remove = h("button", { type: "button" }, state === "done" || state === "failed" ? "Forget" : "Cancel");
    remove.addEventListener("click", () =>
      void this.reporting(async () => {
        await this.api.forgetBacktest(id);
        await this.show();
      }),
    );
    return h(
      "li",
      {},
      `${time(backtest.created_at)} ${backtest.load}, ${backtest.module ?? "the default"}: ${state} `,
      state === "running" && h("progress", { max: "100", value: String(done), "aria-label": "Progress" }, `${done} %`),
      backtest.error && h("span", { class: "muted" }, `: ${backtest.error}`),
      " ",
      remove,
    );
  }

  /** Runs it and says what was refused. */
  private async reporting(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const issues = error instanceof Refusal ? error.issues.map((it) => `${it.path} ${it.message}`) : [];
      this.outcome.textContent = [String(error instanceof Error ? error.message : error), ...issues].join("; ");
    }
  }
}
