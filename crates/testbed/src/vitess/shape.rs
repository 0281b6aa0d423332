//! What a cluster consists of.

use foreshard_vtctld::VSchema;

use super::VitessError;
use crate::load;

/// What a cluster consists of: one cell, one keyspace, shards of the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The keyspace.
    pub keyspace: String,
    /// Its shards; none starts the topology alone: etcd and vtctld.
    pub shards: Vec<String>,
    /// Tablets of a shard that can be primary, the primary included.
    pub replicas: u32,
    /// Tablets of a shard for batch jobs.
    pub rdonly: u32,
    /// Which replicas must have a transaction before it is committed.
    pub durability_policy: String,
    /// Statements that make its tables.
    pub schema: Vec<String>,
    /// How they are spread over shards.
    pub vschema: VSchema,
}

/// More would not fit on a machine on which tests run.
const TABLETS_MAX: usize = 24;

impl Default for Shape {
    /// Two shards of three tablets each, with the tables that [`load`] works on.
    fn default() -> Self {
        Self::of_shards(&["-80", "80-"])
    }
}

impl Shape {
    /// Shards of three tablets each, with the tables that [`load`] works on.
    #[must_use]
    pub fn of_shards(shards: &[&str]) -> Self {
        Self {
            keyspace: "commerce".to_owned(),
            shards: shards.iter().map(|shard| (*shard).to_owned()).collect(),
            // Semi-synchronous: of two replicas one can be away.
            replicas: 3,
            rdonly: 0,
            durability_policy: "semi_sync".to_owned(),
            schema: load::SCHEMA.iter().map(|sql| (*sql).to_owned()).collect(),
            vschema: load::vschema(),
        }
    }

    pub(super) fn check(&self) -> Result<(), VitessError> {
        let wrong = |field, problem: String| Err(VitessError::Shape { field, problem });
        if self.replicas == 0 {
            return wrong("replicas", "is 0; a shard needs a primary".to_owned());
        }
        let semi_sync = self.durability_policy != "none";
        if semi_sync && self.replicas < 2 && !self.shards.is_empty() {
            return wrong(
                "replicas",
                format!(
                    "is 1, and with durability {} no write would ever be acknowledged; give 2 or more",
                    self.durability_policy
                ),
            );
        }
        let tablets = self.shards.len() * (self.replicas + self.rdonly) as usize;
        if tablets > TABLETS_MAX {
            let problem = format!("make {tablets} tablets; give at most {TABLETS_MAX} in all");
            return wrong("shards", problem);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_shapes_that_never_serve() {
        assert!(Shape::default().check().is_ok());
        assert!(Shape::of_shards(&[]).check().is_ok());
        let shapes = [
            Shape {
                replicas: 0,
                ..Shape::default()
            },
            Shape {
                replicas: 1,
                ..Shape::default()
            },
            Shape {
                replicas: 12,
                rdonly: 2,
                ..Shape::default()
            },
        ];
        for shape in shapes {
            assert!(shape.check().is_err(), "{shape:?}");
        }
        let alone = Shape {
            replicas: 1,
            durability_policy: "none".to_owned(),
            ..Shape::default()
        };
        assert!(alone.check().is_ok());
    }
}
