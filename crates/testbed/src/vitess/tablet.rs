//! Tablets by their numbers.

use super::Shape;

/// A tablet that was given its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) uid: u32,
    pub(super) shard: String,
    /// Whether it can become primary.
    pub(super) is_replica: bool,
}

impl Placed {
    /// The tablets of one shard, numbered from `hundred`01.
    pub(super) fn of_shard(hundred: u32, shard: &str, shape: &Shape) -> Vec<Self> {
        (0..shape.replicas + shape.rdonly)
            .map(|number| Self {
                uid: hundred * 100 + number + 1,
                shard: shard.to_owned(),
                is_replica: number < shape.replicas,
            })
            .collect()
    }

    /// The part that is its mysqlctld, which starts mysqld.
    pub(super) fn mysqlctld(&self) -> String {
        format!("mysqlctld-{}", self.uid)
    }

    /// The part that is its vttablet.
    pub(super) fn vttablet(&self) -> String {
        format!("vttablet-{}", self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_shard() {
        let shape = Shape {
            replicas: 2,
            rdonly: 1,
            ..Shape::default()
        };
        let placed = Placed::of_shard(3, "80-", &shape);
        let numbers: Vec<_> = placed.iter().map(|it| (it.uid, it.is_replica)).collect();
        assert_eq!(numbers, [(301, true), (302, true), (303, false)]);
        assert_eq!(placed[0].vttablet(), "vttablet-301");
    }
}
