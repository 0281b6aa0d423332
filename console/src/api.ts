// What the server says: see /api/v1/openapi.json. Times are Unix seconds.

import { Events } from "./events";
import { authorized } from "./session";

export interface Part {
  id: string;
  parent: string;
  kind: string;
  demand: number | null;
  unit: string;
  quality: string;
  capacity_per_replica: number;
  ready: number;
  wanted: number;
  min: number;
  max: number;
  lead_seconds: number;
}

export interface Target {
  name: string;
  kind: string;
  at: number;
  objective: {
    violation_budget: number;
    budget_spent: number;
    target_utilization: number;
    max_utilization: number;
  };
  parts: Part[];
  summary: string;
}

type Values = (number | null)[];

export interface Columns {
  part: string;
  step_seconds: number;
  at: number[];
  demand: Values;
  capacity: Values;
  wanted: Values;
  ready: Values;
  expected_middle: Values;
  expected_high: Values;
}

export interface Forecast {
  signal: string;
  part: string;
  issued_at: number;
  model: string;
  reliable: boolean;
  reasons: string[];
  skill: number | null;
  start: number;
  step_seconds: number;
  quantiles: { q: number; values: Values }[];
  peaks: {
    action: string;
    lead_seconds: number;
    window_seconds: number;
    quantiles: { q: number; value: number | null }[];
  }[];
}

export interface Recommendation {
  id: string;
  target: string;
  at: number;
  changed: boolean;
  policy: string;
  reason: string;
  parts: { part: string; from: number; to: number; reason: string }[];
}

export interface Explanation {
  summary: string;
  verdicts: {
    policy: string;
    digest: string;
    abstained: boolean;
    reason: string;
    measures: { name: string; value: number }[];
  }[];
  parts: PartExplanation[];
  findings: { code: string; part: string; subject: string; message: string }[];
}

export interface PartExplanation {
  part: string;
  action: string;
  before: number;
  wanted: number;
  "without-forecast": number;
  inputs: {
    signal: string;
    quality: string;
    age: number | null;
    coverage: number;
    seen: number | null;
    "per-replica": number;
    censored: boolean;
  }[];
  forecasts: {
    signal: string;
    model: string;
    acted: boolean;
    reasons: string[];
    skill: number | null;
    level: number;
    "calibrated-to": number;
    lead: number;
    window: number;
    peak: number | null;
  }[];
  floors: { reactive: number; live: number; "in-force": number; rule: string; reason: string };
  asks: { policy: string; count: number; reason: string }[];
  combined: number;
  clamps: { guard: string; from: number; to: number; reason: string }[];
  summary: string;
}

export interface ActivePolicy {
  module: string;
  digest: string;
  config: unknown;
  since: number | null;
}

export interface PolicyState {
  in_force: ActivePolicy | null;
  asked: ActivePolicy | null;
}

export interface PolicyModule {
  name: string;
  digest: string;
  bytes: number;
  builtin: boolean;
  descriptor: {
    name: string;
    version: string;
    summary: string;
    config_schema: string;
  };
}

export interface Backtest {
  id: string;
  created_at: number;
  load: string;
  module: string | null;
  state: "waiting" | "running" | "done" | "failed";
  progress_percent: number;
  error: string | null;
  result?: { policies: { policy: string; over_capacity_share: number; cost: number }[] };
}

/** What the server refuses, in its own words. */
export class Refusal extends Error {
  constructor(
    readonly title: string,
    detail: string,
    readonly fix: string,
    readonly issues: { path: string; message: string }[],
    readonly status = 0,
  ) {
    super(detail);
  }
}

async function refusal(response: Response): Promise<Refusal> {
  const problem = await response.json().catch(() => ({}));
  return new Refusal(
    problem.title ?? `HTTP ${response.status}`,
    problem.detail ?? response.statusText,
    problem.fix ?? "",
    problem.errors ?? [],
    response.status,
  );
}

async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, authorized(init));
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? (undefined as T) : await response.json();
}

/** The API of one namespace. */
export class Api {
  private readonly base: string;

  constructor(namespace: string) {
    this.base = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  }

  static async namespaces(): Promise<string[]> {
    return (await ask<{ items: string[] }>("/api/v1/namespaces")).items;
  }

  async targets(): Promise<Target[]> {
    return (await ask<{ items: Target[] }>(`${this.base}/targets`)).items;
  }

  async series(target: string, part: string, since: number, step: number): Promise<Columns | undefined> {
    const query = new URLSearchParams({ part, since: String(since), step: String(step) });
    return (await ask<{ items: Columns[] }>(`${this.base}/targets/${target}/series?${query}`)).items[0];
  }

  async forecast(target: string, part: string): Promise<Forecast | undefined> {
    const query = new URLSearchParams({ part });
    return (await ask<{ items: Forecast[] }>(`${this.base}/forecasts/${target}?${query}`)).items[0];
  }

  recommendations(query: Record<string, string>): Promise<{ items: Recommendation[]; next: string | null }> {
    return ask(`${this.base}/recommendations?${new URLSearchParams(query)}`);
  }

  recommendationUrl(id: string): string {
    return `${this.base}/recommendations/${id}`;
  }

  explanation(id: string): Promise<Recommendation & { explanation: Explanation }> {
    return ask(`${this.recommendationUrl(id)}?record=false`);
  }

  policy(target: string): Promise<PolicyState> {
    return ask(`${this.base}/targets/${target}/policy`);
  }

  activate(target: string, module: string, config: unknown): Promise<PolicyState> {
    return ask(`${this.base}/targets/${target}/policy`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ module, config }),
    });
  }

  async modules(): Promise<PolicyModule[]> {
    return (await ask<{ items: PolicyModule[] }>(`${this.base}/policymodules`)).items;
  }

  upload(name: string, component: Blob): Promise<PolicyModule> {
    return ask(`${this.base}/policymodules/${encodeURIComponent(name)}`, {
      method: "PUT",
      headers: { "content-type": "application/wasm" },
      body: component,
    });
  }

  async backtests(): Promise<Backtest[]> {
    return (await ask<{ items: Backtest[] }>(`${this.base}/backtests`)).items;
  }

  backtestOf(id: string): Promise<Backtest> {
    return ask(`${this.base}/backtests/${id}`);
  }

  backtest(order: { target: string; part: string; module: string; config: unknown }): Promise<Backtest> {
    return ask(`${this.base}/backtests`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(order),
    });
  }

  forgetBacktest(id: string): Promise<void> {
    return ask(`${this.base}/backtests/${id}`, { method: "DELETE" });
  }

  events(connected: (yes: boolean) => void, failed: (error: unknown) => void): Events {
    return new Events(`${this.base}/events`, connected, async (response) => failed(await refusal(response)));
  }
}
