//! The HorizontalPodAutoscaler's rule (`ceil(ready * utilisation / target)` with a tolerance, and the highest
//! recommendation of the last while when the count would fall) as a function of plain numbers.

/// What the rule looks at.
#[derive(Clone, Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) demand: f64,
    /// Means of the bins of the stabilisation window; NaN where there is none.
    pub(crate) recent_demands: &'a [f64],
    /// Positive.
    pub(crate) capacity_per_replica: f64,
    /// (0, 1].
    pub(crate) target_utilization: f64,
    pub(crate) tolerance: f64,
    pub(crate) wanted: u32,
    pub(crate) ready: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// The count, within the bounds; nothing when an input makes no sense.
pub(crate) fn wanted(inputs: &Inputs<'_>) -> Option<u32> {
    let per_replica = inputs.capacity_per_replica * inputs.target_utilization;
    if !(per_replica > 0.0
        && per_replica.is_finite()
        && inputs.demand >= 0.0
        && inputs.demand.is_finite())
    {
        return None;
    }
    let count_for = |demand: f64| {
        (demand / per_replica - 1e-9)
            .ceil()
            .clamp(0.0, f64::from(u32::MAX)) as u32
    };
    let ratio = inputs.demand / (f64::from(inputs.ready.max(1)) * per_replica);
    let now = if inputs.ready > 0 && (ratio - 1.0).abs() <= inputs.tolerance {
        inputs.wanted
    } else {
        count_for(inputs.demand)
    };
    let recent = inputs
        .recent_demands
        .iter()
        .copied()
        .filter(|demand| demand.is_finite());
    let highest = recent.fold(0.0, f64::max);
    let count = if now < inputs.wanted {
        now.max(count_for(highest).min(inputs.wanted))
    } else {
        now
    };
    Some(count.max(inputs.min).min(inputs.max.max(inputs.min)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Inputs<'static> = Inputs {
        demand: 700.0,
        recent_demands: &[],
        capacity_per_replica: 100.0,
        target_utilization: 0.7,
        tolerance: 0.1,
        wanted: 10,
        ready: 10,
        min: 1,
        max: 100,
    };

    #[test]
    fn follows_demand_as_hpa_does() {
        let cases: [(&str, Inputs<'_>, Option<u32>); 10] = [
            ("on target", BASE, Some(10)),
            (
                "within tolerance",
                Inputs {
                    demand: 769.0,
                    ..BASE
                },
                Some(10),
            ),
            (
                "above tolerance",
                Inputs {
                    demand: 771.0,
                    ..BASE
                },
                Some(12),
            ),
            (
                "below",
                Inputs {
                    demand: 350.0,
                    ..BASE
                },
                Some(5),
            ),
            (
                "an hour ago it was more",
                Inputs {
                    demand: 350.0,
                    recent_demands: &[600.0, f64::NAN, 350.0],
                    ..BASE
                },
                Some(9),
            ),
            (
                "an old peak raises nothing",
                Inputs {
                    demand: 350.0,
                    recent_demands: &[9000.0],
                    ..BASE
                },
                Some(10),
            ),
            (
                "at least the minimum",
                Inputs {
                    demand: 0.0,
                    min: 3,
                    ..BASE
                },
                Some(3),
            ),
            (
                "at most the maximum",
                Inputs {
                    demand: 1e12,
                    max: 20,
                    ..BASE
                },
                Some(20),
            ),
            (
                "nothing is ready",
                Inputs {
                    demand: 140.0,
                    ready: 0,
                    wanted: 1,
                    ..BASE
                },
                Some(2),
            ),
            (
                "no demand known",
                Inputs {
                    demand: f64::NAN,
                    ..BASE
                },
                None,
            ),
        ];
        for (name, inputs, expected) in cases {
            assert_eq!(wanted(&inputs), expected, "{name}");
        }
    }
}
