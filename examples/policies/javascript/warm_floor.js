// Never fewer than a number of replicas between two hours of the day, as a policy in JavaScript.

function settings(config) {
  const found = { replicas: 2, fromHour: 8, toHour: 20, ...JSON.parse(config || "{}") };
  for (const key of Object.keys(found)) {
    if (!["replicas", "fromHour", "toHour"].includes(key)) {
      throw [{ path: `/${key}`, message: "is not a setting: replicas, fromHour, toHour are" }];
    }
  }
  if (!(found.fromHour < found.toHour)) {
    throw [{ path: "/fromHour", message: "must be before toHour" }];
  }
  return found;
}

export const scaling = {
  describe() {
    return {
      name: "warm-floor-js",
      version: "0.1.0",
      summary: "never fewer than a number of replicas between two hours of the day",
      targetKinds: [],
      actions: ["replicas"],
      configSchema: '{"type": "object"}',
      memoryVersion: 1,
    };
  },

  configure(config, _targetKind) {
    settings(config);
    return { signals: [], forecasts: [], partKinds: [], recentChanges: 0 };
  },

  evaluate(context) {
    const asked = settings(context.config);
    const offset = context.calendar.offsets.filter((o) => o.since <= context.now).at(-1)?.seconds ?? 0;
    const hour = ((context.now + offset) / 3600) % 24;
    if (hour < asked.fromHour || hour >= asked.toHour) {
      return { tag: "abstain", val: "outside of its hours" };
    }
    const reason = `at least ${asked.replicas} in these hours`;
    const proposals = context.parts
      .filter((part) => part.replicas !== undefined)
      .map((part) => ({ part: part.id, action: { tag: "replicas", val: asked.replicas }, notBefore: undefined, reason }));
    return { tag: "decide", val: { proposals, reason: "its hours", measures: [], memory: undefined } };
  },
};
