// One decision with everything that had a say in it.

import type { Api, Explanation, PartExplanation, Recommendation } from "./api";
import { h, table } from "./dom";
import { amount, duration, iso, percent, short, time } from "./format";

/** Shows the decision in the dialog. */
export function showDetails(
  dialog: HTMLDialogElement,
  api: Api,
  decision: Recommendation & { explanation: Explanation },
): void {
  const { explanation } = decision;
  const close = h("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(
    h(
      "div",
      { class: "bar" },
      h("h2", { id: "details-title" }, `Decision ${decision.id}, `, h("time", { datetime: iso(decision.at) }, `${time(decision.at)} UTC`)),
      close,
    ),
    h("p", { class: "lead" }, explanation.summary),
    ...explanation.parts.map(part),
    verdicts(explanation),
    findings(explanation),
    h("p", {}, h("a", { href: api.recommendationUrl(decision.id), target: "_blank" }, "The record that replays (JSON)")),
  );
  dialog.showModal();
}

function part(it: PartExplanation): HTMLElement {
  const changed = it.before !== it.wanted;
  return h(
    "details",
    changed ? { open: "" } : {},
    h(
      "summary",
      {},
      h("strong", {}, it.part || "the target"),
      ` ${it.before} → ${it.wanted}`,
      h("span", { class: "muted" }, ` (${it["without-forecast"]} without the forecast)`),
    ),
    h("p", {}, it.summary),
    table(
      "What was seen",
      ["signal", "value", "a replica serves", "age", "quality", "coverage"],
      it.inputs.map((input) => [
        input.signal,
        (input.censored ? "≥ " : "") + amount(input.seen),
        amount(input["per-replica"]),
        duration(input.age),
        quality(input.quality),
        percent(input.coverage),
      ]),
    ),
    it.forecasts.length > 0 &&
      table(
        "The forecast used",
        ["signal", "peak", "level", "from", "over", "skill", "acted", "model"],
        it.forecasts.map((used) => [
          used.signal,
          amount(used.peak),
          `P${amount(used.level * 100)}${used.level > used["calibrated-to"] ? " (tail model)" : ""}`,
          `+${duration(used.lead)}`,
          duration(used.window),
          amount(used.skill),
          used.acted ? "yes" : h("span", { class: "bad" }, "no"),
          [used.model, ...used.reasons].join("; "),
        ]),
      ),
    table(
      "How the count came about",
      ["step", "count", "why"],
      [
        ["HPA's rule at the target", it.floors.reactive, ""],
        ["the live floor", it.floors.live, ""],
        [`floor in force: ${it.floors.rule}`, it.floors["in-force"], it.floors.reason],
        ...it.asks.map((ask) => [`policy ${ask.policy}`, ask.count, ask.reason]),
        ["policies and floor together", it.combined, ""],
        ...it.clamps.map((clamp) => [h("span", { class: "clamp" }, clamp.guard), `${clamp.from} → ${clamp.to}`, clamp.reason]),
        [h("strong", {}, "wanted"), h("strong", {}, String(it.wanted)), ""],
        ["without the forecast", it["without-forecast"], "HPA's full rule within the same guardrails"],
      ],
    ),
  );
}

function quality(it: string): HTMLElement {
  return h("span", it === "ok" ? {} : { class: "bad" }, it);
}

function verdicts(explanation: Explanation): HTMLElement {
  const rows = explanation.verdicts.map((it) => [
    it.policy,
    h("code", { title: it.digest }, short(it.digest)),
    it.abstained ? h("span", { class: "bad" }, "abstained") : "decided",
    it.reason,
    it.measures.map((measure) => `${measure.name} ${amount(measure.value)}`).join(", "),
  ]);
  return table("Verdicts", ["policy", "digest", "", "reason", "measures"], rows);
}

function findings(explanation: Explanation): HTMLElement | string {
  if (explanation.findings.length === 0) return "";
  return table(
    "Findings",
    ["kind", "part", "about", "what"],
    explanation.findings.map((it) => [it.code, it.part, it.subject, it.message]),
  );
}
