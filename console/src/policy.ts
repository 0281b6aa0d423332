// The policy in force, and how to try another.

import { type Api, type PolicyModule, type PolicyState, Refusal } from "./api";
import { byId, h } from "./dom";
import { bytes, short, time } from "./format";

export class PolicyPanel {
  private modules: PolicyModule[] = [];
  private readonly module = byId<HTMLSelectElement>("module");
  private readonly config = byId<HTMLTextAreaElement>("config");
  private readonly outcome = byId("outcome");

  constructor(
    private readonly api: Api,
    private readonly target: string,
  ) {
    byId("activate").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.reporting(() => this.activate());
    });
    this.module.addEventListener("change", () => this.describe());
    this.takeFiles();
  }

  async load(): Promise<void> {
    this.show(await this.api.policy(this.target));
    await this.loadModules();
  }

  async loadModules(choose?: string): Promise<void> {
    this.modules = await this.api.modules();
    const chosen = choose ?? this.module.value;
    this.module.replaceChildren(
      ...this.modules.map((it) => h("option", { value: it.name }, it.builtin ? `${it.name} (built in)` : it.name)),
    );
    if (this.modules.some((it) => it.name === chosen)) this.module.value = chosen;
    this.describe();
  }

  show(state: PolicyState): void {
    const { in_force: active, asked } = state;
    const children = [];
    if (active) {
      const fact = (name: string, value: HTMLElement | string) => [h("dt", {}, name), h("dd", {}, value)];
      children.push(
        h(
          "dl",
          {},
          ...fact("Module", h("strong", {}, active.module)),
          ...fact("Digest", h("code", { title: active.digest }, short(active.digest))),
          ...fact("Config", h("code", {}, JSON.stringify(active.config))),
          ...fact("Acts since", active.since === null ? "–" : `${time(active.since)} UTC`),
        ),
      );
    } else {
      children.push(h("p", {}, "None: the reactive rule decides alone."));
    }
    if (asked) children.push(h("p", { class: "asked" }, `${asked.module} acts from the next evaluation on.`));
    byId("policy-state").replaceChildren(...children);
  }

  private describe(): void {
    const chosen = this.modules.find((it) => it.name === this.module.value);
    const about = chosen?.descriptor;
    byId("module-about").textContent = about
      ? `${about.summary} ${about.name} ${about.version}, ${bytes(chosen.bytes)}, ${short(chosen.digest)}`
      : "";
  }

  private async activate(): Promise<void> {
    let config: unknown;
    try {
      config = JSON.parse(this.config.value);
    } catch (error) {
      throw new Refusal("The config is not JSON", String(error), "", []);
    }
    const name = this.module.value;
    this.show(await this.api.activate(this.target, name, config));
    this.say("good", h("p", {}, `${name} was activated.`));
  }

  private async upload(file: File): Promise<void> {
    const name = nameOf(file);
    this.say("", h("p", {}, `Checking ${file.name} (${bytes(file.size)}) …`));
    const module = await this.api.upload(name, file);
    await this.loadModules(name);
    const button = h("button", { type: "button" }, `Let ${name} act`);
    button.addEventListener("click", () => {
      this.module.value = name;
      this.describe();
      void this.reporting(() => this.activate());
    });
    const about = module.descriptor;
    this.say(
      "good",
      h("p", {}, h("strong", {}, name), ` was checked and stored: ${about.name} ${about.version}. ${about.summary}`),
      h("p", {}, h("code", {}, module.digest)),
      button,
    );
  }

  private takeFiles(): void {
    const drop = byId("drop");
    const input = byId<HTMLInputElement>("file");
    const take = (file: File | undefined) => file && void this.reporting(() => this.upload(file));
    input.addEventListener("change", () => {
      take(input.files?.[0]);
      input.value = "";
    });
    for (const kind of ["dragenter", "dragover"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      take(event.dataTransfer?.files[0]);
    });
    // A file that misses the place must not replace the page.
    for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  }

  /** Runs it and says what was refused. */
  private async reporting(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) {
        this.say("bad", h("p", {}, `The server can't be reached: ${String(error)}`));
        return;
      }
      const issues = error.issues.map((it) => h("li", {}, it.path && h("code", {}, it.path), it.path && ": ", it.message));
      this.say(
        "bad",
        h("p", {}, h("strong", {}, error.title), `: ${error.message}`),
        ...(issues.length > 0 ? [h("ul", {}, ...issues)] : []),
        ...(error.fix ? [h("p", {}, `Fix: ${error.fix}`)] : []),
      );
    }
  }

  private say(kind: string, ...children: HTMLElement[]): void {
    this.outcome.className = kind;
    this.outcome.replaceChildren(...children);
  }
}

/** A name that the server takes, from a file's. */
function nameOf(file: File): string {
  const stem = file.name.replace(/\.wasm$/i, "").toLowerCase();
  return stem.replace(/[^a-z0-9]+/g, "-").slice(0, 63).replace(/^-+|-+$/g, "") || "policy";
}
