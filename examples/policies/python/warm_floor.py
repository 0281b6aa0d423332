"""Never fewer than a number of replicas between two hours of the day, as a policy in Python."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import scaling
from wit_world.imports import types


def settings(config: str) -> dict:
    """The config, with every key checked: what the user sees when one is wrong."""
    found = {"replicas": 2, "fromHour": 8, "toHour": 20, **json.loads(config or "{}")}
    for key in found:
        if key not in ("replicas", "fromHour", "toHour"):
            raise Err([types.ConfigIssue(f"/{key}", "is not a setting: replicas, fromHour, toHour are")])
    if not found["fromHour"] < found["toHour"]:
        raise Err([types.ConfigIssue("/fromHour", "must be before toHour")])
    return found


class Scaling(exports.Scaling):
    def describe(self) -> scaling.Descriptor:
        return scaling.Descriptor(
            name="warm-floor-py",
            version="0.1.0",
            summary="never fewer than a number of replicas between two hours of the day",
            target_kinds=[],
            actions=["replicas"],
            config_schema='{"type": "object"}',
            memory_version=1,
        )

    def configure(self, config: str, target_kind: str) -> scaling.Needs:
        settings(config)
        return scaling.Needs(signals=[], forecasts=[], part_kinds=[], recent_changes=0)

    def evaluate(self, context: types.Context) -> types.Verdict:
        asked = settings(context.config)
        known = [o.seconds for o in context.calendar.offsets if o.since <= context.now]
        hour = (context.now + (known[-1] if known else 0)) / 3600 % 24
        if not asked["fromHour"] <= hour < asked["toHour"]:
            return types.Verdict_Abstain("outside of its hours")
        proposals = [
            types.Proposal(part.id, types.Action_Replicas(asked["replicas"]), None, f"at least {asked['replicas']} in these hours")
            for part in context.parts
            if part.replicas is not None
        ]
        return types.Verdict_Decide(types.Decision(proposals, "its hours", [], None))
