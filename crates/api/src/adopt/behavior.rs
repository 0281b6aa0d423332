//! `behavior` of an HPA, as far as it means the same here.

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior,
};

use super::Draft;
use crate::v1alpha1::{Behavior, Direction, StepLimit};

/// Longest stabilization that a policy may have.
const STABILIZATION_SECONDS_MAX: i32 = 86_400;
const REPLICAS_MAX: i32 = 10_000;
const PERCENT_MAX: i32 = 1_000;

impl Draft<'_> {
    /// Takes over what has an equivalent.
    pub(super) fn behave(&mut self, behavior: &HorizontalPodAutoscalerBehavior) {
        let up = behavior
            .scale_up
            .as_ref()
            .and_then(|rules| self.direction("scaleUp", rules));
        let down = behavior
            .scale_down
            .as_ref()
            .and_then(|rules| self.direction("scaleDown", rules));
        if up.is_some() || down.is_some() {
            self.behavior = Some(Behavior {
                scale_up: up,
                scale_down: down,
            });
        }
    }

    fn direction(&mut self, name: &str, rules: &HPAScalingRules) -> Option<Direction> {
        let down = name == "scaleDown";
        let mut direction = Direction::default();
        match rules.stabilization_window_seconds {
            Some(seconds) if down => {
                let seconds = seconds.clamp(0, STABILIZATION_SECONDS_MAX);
                direction.stabilization_window_seconds = Some(seconds);
            }
            Some(seconds) if seconds > 0 => self.not_adopted(format!(
                "behavior.{name}.stabilizationWindowSeconds {seconds}: increases do not wait"
            )),
            _ => {}
        }
        if rules.tolerance.is_some() {
            self.not_adopted(format!("behavior.{name}.tolerance: it is 10 % here"));
        }
        let select = rules.select_policy.as_deref().unwrap_or("Max");
        if select == "Disabled" {
            self.not_adopted(format!(
                "behavior.{name}.selectPolicy Disabled: nothing forbids a direction for good; `kubectl foreshard pause \
                 --direction {}` does for a while",
                if down { "down" } else { "up" }
            ));
        } else {
            let policies = rules.policies.as_deref().unwrap_or_default();
            direction.limit = self.limit(name, select, policies, down);
        }
        (direction != Direction::default()).then_some(direction)
    }

    /// The larger of a number and a share within one period: that is what `Max` over policies of one period means.
    fn limit(
        &mut self,
        name: &str,
        select: &str,
        policies: &[HPAScalingPolicy],
        down: bool,
    ) -> Option<StepLimit> {
        // All replicas at once is no limit.
        let bounded = policies
            .iter()
            .all(|it| !(down && it.type_ == "Percent" && it.value >= 100));
        let longest = policies.iter().map(|it| it.period_seconds).max()?;
        if select == "Max" && !bounded {
            return None;
        }
        let several = policies.iter().any(|it| it.period_seconds != longest);
        if several || (select == "Min" && policies.len() > 1) {
            self.check(format!(
                "behavior.{name}: there is one limit per direction, the larger of a number and a percentage within \
                 one period; it was made of those of the {} policies ({select}) that are over {longest} s",
                policies.len()
            ));
        }
        let of = |kind: &str| {
            let same = policies
                .iter()
                .filter(|it| it.period_seconds == longest && it.type_ == kind);
            let values = same.map(|it| it.value);
            if select == "Min" {
                values.min()
            } else {
                values.max()
            }
        };
        // The smaller of both cannot be said: a number alone is no more than it.
        let pods = of("Pods");
        let percent = of("Percent").filter(|_| select != "Min" || pods.is_none());
        if pods.is_none() && percent.is_some() {
            self.check(format!(
                "behavior.{name}: a percentage alone would never let the last replicas change: at least 1 may"
            ));
        }
        Some(StepLimit {
            replicas: pods.unwrap_or(1).clamp(1, REPLICAS_MAX),
            percent: percent.unwrap_or(0).clamp(0, PERCENT_MAX),
            period_seconds: longest.max(1),
        })
    }
}
