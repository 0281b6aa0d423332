// The console: one page on one target.

import { Api, Refusal, type Part, type Recommendation, type Target } from "./api";
import { Backtests } from "./backtests";
import { Charts, SPANS } from "./charts";
import { Timeline } from "./decisions";
import { showDetails } from "./details";
import { byId, h } from "./dom";
import { amount, iso, percent, time } from "./format";
import { PolicyPanel } from "./policy";
import { signIn } from "./session";
import "./style.css";

/** The charts are read anew at most this often. */
const REFRESH_MS = 1000;

class Page {
  private part: string;
  private span = SPANS[1] as (typeof SPANS)[number];
  private paused = false;
  private mark: number | undefined;
  private due = false;
  private readonly charts = new Charts(byId("load-chart"), byId("capacity-chart"));
  private readonly timeline: Timeline;
  private readonly policy: PolicyPanel;
  private readonly backtests: Backtests;
  private readonly tabs = new Map<string, HTMLElement>();

  constructor(
    private readonly api: Api,
    namespace: string,
    private target: Target,
  ) {
    this.part = target.parts[0]?.id ?? "";
    byId("where").textContent = `${namespace} /`;
    this.policy = new PolicyPanel(api, target.name);
    this.backtests = new Backtests(api, target.name, () => this.part);
    this.timeline = new Timeline(api, byId("timeline"), byId("older"), (it) => void this.open(it));
    this.controls();
    this.listen();
  }

  async load(): Promise<void> {
    this.show(this.target);
    await Promise.all([this.draw(), this.decisions(), this.policy.load(), this.backtests.load()]);
    setInterval(() => {
      if (this.due && !this.paused) void this.draw();
    }, REFRESH_MS);
  }

  private show(target: Target): void {
    this.target = target;
    byId("clock").replaceChildren(h("time", { datetime: iso(target.at) }, `${time(target.at)} UTC`));
    const { budget_spent: spent, violation_budget: budget } = target.objective;
    byId("summary").textContent =
      `${target.summary.replace(/[^.]$/, "$&.")} Load may exceed capacity ${percent(budget)} of the time; ${percent(Math.round(spent * 1000) / 1000)} of that is spent.`;
    for (const part of target.parts) this.tab(part);
    this.due = true;
  }

  /** A part in short; choosing it shows it in the charts. */
  private tab(part: Part): void {
    let tab = this.tabs.get(part.id);
    if (!tab) {
      tab = h("button", { type: "button", role: "tab", "aria-controls": "panel" });
      tab.addEventListener("click", () => this.select(part.id));
      this.tabs.set(part.id, tab);
      byId("parts").append(tab);
    }
    const capacity = part.ready * part.capacity_per_replica;
    const used = part.demand === null || capacity === 0 ? null : part.demand / capacity;
    const state = used !== null && used > 1 ? "over" : used !== null && used > this.target.objective.max_utilization ? "hot" : "";
    tab.className = state;
    tab.setAttribute("aria-selected", String(part.id === this.part));
    tab.tabIndex = part.id === this.part ? 0 : -1;
    tab.replaceChildren(
      h("span", { class: "name" }, part.id || this.target.name),
      h("span", { class: "count" }, `${part.ready}`, part.wanted !== part.ready && h("small", {}, ` → ${part.wanted}`)),
      h("span", { class: "muted" }, `${amount(part.demand)} of ${amount(capacity)} ${part.unit}`),
      h("span", { class: "muted" }, used === null ? `data ${part.quality}` : `${percent(Math.round(used * 1000) / 1000)} used`),
    );
  }

  private select(part: string): void {
    this.part = part;
    for (const it of this.target.parts) this.tab(it);
    void this.draw();
    if (byId<HTMLInputElement>("only-part").checked) void this.decisions();
  }

  private async draw(): Promise<void> {
    this.due = false;
    const part = this.target.parts.find((it) => it.id === this.part);
    if (!part) return;
    const { span } = this;
    const now = this.target.at;
    const since = Math.floor((now - span.back) / span.step) * span.step;
    const [columns, forecast] = await Promise.all([
      this.api.series(this.target.name, part.id, since, span.step),
      this.api.forecast(this.target.name, part.id),
    ]);
    if (!columns || part.id !== this.part) return;
    this.charts.draw({ now, span, part, columns, forecast, mark: this.mark });
    const note = byId("forecast-note");
    note.classList.toggle("bad", forecast !== undefined && !forecast.reliable);
    note.textContent = forecast
      ? `${forecast.model}; skill ${amount(forecast.skill)}. ` +
        (forecast.reliable ? "" : "Demoted, so plain HPA decides. ") +
        forecast.reasons.join("; ")
      : "There is no forecast yet.";
  }

  private decisions(): Promise<void> {
    const query: Record<string, string> = { target: this.target.name };
    if (byId<HTMLInputElement>("only-part").checked) query["part"] = this.part;
    return this.timeline.show(query);
  }

  private async open(decision: Recommendation): Promise<void> {
    const changed = decision.parts.find((it) => it.from !== it.to && it.part === this.part);
    const shown = changed ?? decision.parts.find((it) => it.from !== it.to);
    this.mark = decision.at;
    if (shown) this.select(shown.part);
    showDetails(byId<HTMLDialogElement>("details"), this.api, await this.api.explanation(decision.id));
  }

  private controls(): void {
    const pause = byId("pause");
    pause.addEventListener("click", () => {
      this.paused = !this.paused;
      pause.setAttribute("aria-pressed", String(this.paused));
      pause.textContent = this.paused ? "Go on" : "Pause";
      if (!this.paused) void this.decisions();
    });
    byId("only-part").addEventListener("change", () => void this.decisions());
    const buttons = SPANS.map((span) => {
      const button = h("button", { type: "button", "aria-pressed": String(span === this.span) }, span.label);
      button.addEventListener("click", () => {
        this.span = span;
        for (const it of buttons) it.setAttribute("aria-pressed", String(it === button));
        void this.draw();
      });
      return button;
    });
    byId("windows").append(...buttons);
    byId("parts").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const ids = [...this.tabs.keys()];
      const next = ids[(ids.indexOf(this.part) + step + ids.length) % ids.length];
      if (next === undefined) return;
      this.select(next);
      this.tabs.get(next)?.focus();
    });
  }

  private listen(): void {
    const live = byId("live");
    const connected = (yes: boolean) => {
      live.textContent = yes ? "live" : "connection lost, trying again";
      live.className = yes ? "good" : "bad";
    };
    let before = false;
    const events = this.api.events(
      (yes) => {
        connected(yes);
        // What happened in between may be told by nobody.
        if (yes && before && !this.paused) void this.decisions();
        before ||= yes;
      },
      failed,
    );
    const on = <T>(kind: string, take: (data: T) => void) => events.on(kind, (data) => take(JSON.parse(data)));
    on<Target>("tick", (target) => {
      if (target.name === this.target.name && !this.paused) this.show(target);
    });
    on<Recommendation>("decision", (it) => {
      if (it.target === this.target.name && !this.paused) this.timeline.add(it);
    });
    on<{ target: string; policy: Parameters<PolicyPanel["show"]>[0] }>("policy", (it) => {
      if (it.target === this.target.name) this.policy.show(it.policy);
    });
    on("module", () => void this.policy.loadModules());
    on<{ target: string }>("gone", (it) => {
      if (it.target !== this.target.name) return;
      byId("summary").textContent = `${it.target} is no longer scaled.`;
    });
    on("missed", () => void this.decisions());
    void events.run();
  }
}

/** Which of a namespace's targets is shown; another one is another page. */
function choose(namespace: string, targets: Target[], shown: Target): void {
  const select = byId<HTMLSelectElement>("target");
  select.replaceChildren(...targets.map((it) => h("option", { value: it.name }, it.name)));
  select.value = shown.name;
  select.hidden = false;
  select.addEventListener("change", () => {
    location.search = new URLSearchParams({ namespace, target: select.value }).toString();
  });
}

/** What the server refuses, with the fields and the fix. */
function words(why: Refusal): string {
  const issues = why.issues.map((it) => `${it.path}: ${it.message}`);
  return [why.message, ...issues, why.fix].filter(Boolean).join("; ");
}

/** Why there is nothing to show of a namespace, if so, and whether something may come. */
async function lack(namespace: string): Promise<{ message: string; mayCome: boolean } | undefined> {
  try {
    if ((await new Api(namespace).targets()).length > 0) return undefined;
    const others = await Api.namespaces().catch(() => []);
    const hint = others.length > 0 ? ` There is something in ${others.join(", ")}.` : "";
    const message = `Nothing is scaled in namespace ${namespace}.${hint} Go on once more to wait for it.`;
    return { message, mayCome: true };
  } catch (error) {
    return { message: error instanceof Refusal ? words(error) : String(error), mayCome: false };
  }
}

/** Asks who it is, and where to look; a caller may have rights in one namespace only. */
function askWho(why: Refusal, namespace: string): void {
  const dialog = byId<HTMLDialogElement>("sign-in");
  const told = byId("sign-in-why");
  const where = byId<HTMLInputElement>("namespace");
  told.textContent = words(why);
  if (dialog.open) return;
  where.value = namespace;
  let tried = "";
  byId<HTMLFormElement>("sign-in-form").onsubmit = async (event) => {
    // It stays open until the server has taken both.
    event.preventDefault();
    const given = byId<HTMLInputElement>("token").value.trim();
    if (given) signIn(given);
    const wanted = where.value.trim();
    const lacks = await lack(wanted);
    if (lacks && !(lacks.mayCome && tried === wanted)) {
      tried = wanted;
      told.textContent = lacks.message;
      where.focus();
      return;
    }
    const search = new URLSearchParams(location.search);
    search.set("namespace", wanted);
    // Of another namespace it would be another one.
    if (wanted !== namespace) search.delete("target");
    location.search = search.toString();
  };
  dialog.showModal();
}

async function start(): Promise<void> {
  const wanted = new URLSearchParams(location.search);
  const namespace = wanted.get("namespace") ?? (await Api.namespaces())[0] ?? "";
  const api = new Api(namespace);
  const targets = namespace ? await api.targets().catch((error) => unknown(error, namespace)) : [];
  const target = targets.find((it) => it.name === wanted.get("target")) ?? targets[0];
  if (!target) {
    const where = namespace ? `in namespace ${namespace}` : "here";
    byId("summary").textContent = `Nothing is scaled ${where} yet; looking again …`;
    setTimeout(() => void start().catch(failed), 1000);
    return;
  }
  choose(namespace, targets, target);
  await new Page(api, namespace, target).load();
}

/** A namespace that is none, or is not known, can be corrected. */
function unknown(error: unknown, namespace: string): never {
  if (error instanceof Refusal && (error.status === 400 || error.status === 404)) askWho(error, namespace);
  throw error;
}

function failed(error: unknown): void {
  if (error instanceof Refusal && (error.status === 401 || error.status === 403)) {
    askWho(error, new URLSearchParams(location.search).get("namespace") ?? "");
  }
  byId("live").className = "bad";
  byId("live").textContent = String(error);
}

start().catch(failed);
