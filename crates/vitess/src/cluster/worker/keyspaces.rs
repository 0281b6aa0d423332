//! Keyspaces: a vtorc for each, and its shards.

use foreshard_api::v1alpha1::KeyRange;
use foreshard_api::v1alpha1::vitess::keyspace::Keyspace;

use super::Round;
use crate::apply::ApplyError;
use crate::cluster::build;
use crate::cluster::status::Told;

impl Round<'_> {
    /// Has each keyspace's vtorc and shards be there. The first shards of a keyspace follow from its spec; from then on
    /// those that exist are kept as the spec says, and no other is made.
    pub(super) async fn keyspaces(&self, told: &mut Told) -> Result<(), ApplyError> {
        let (shared, namespace) = (self.shared, &self.wanted.names.namespace);
        let writer = &shared.writers.cluster;
        // One that this pass has forgotten is recorded before anything is made of it.
        let over = [&*told.ending, &*told.forgotten].concat();
        let is_over = |name: &String| over.contains(name);
        let lasting = self.wanted.spec.keyspaces.iter();
        for keyspace in lasting.filter(|it| !is_over(&it.name)) {
            let vtorc = build::vtorc(self.wanted, keyspace);
            let live = shared.deployments.get(namespace, &vtorc.name);
            let wanted = vtorc.deployment(self.wanted, self.owner);
            writer.apply(&wanted, live.as_deref()).await?;
            let live = shared.budgets.get(namespace, &vtorc.name);
            let wanted = vtorc.budget(self.wanted, self.owner);
            writer.apply(&wanted, live.as_deref()).await?;
            let has_begun = told.begun.contains(&keyspace.name);
            let ranges = if has_begun {
                self.ranges(keyspace)
            } else {
                build::first_ranges(keyspace)
            };
            for range in ranges {
                let mut wanted = build::shard(self.wanted, keyspace, &range, self.owner);
                let name = wanted.metadata.name.clone().unwrap_or_default();
                let live = shared.shards.get(namespace, &name);
                if let Some(live) = &live {
                    // With what it began does not change while its tablets are made.
                    wanted.spec.restore_from.clone_from(&live.spec.restore_from);
                }
                writer.apply(&wanted, live.as_deref()).await?;
            }
            if !has_begun {
                told.begun.push(keyspace.name.clone());
            }
        }
        Ok(())
    }

    /// Ranges of the shards that exist.
    fn ranges(&self, keyspace: &Keyspace) -> Vec<KeyRange> {
        let of_keyspace = self.shards.iter();
        of_keyspace
            .filter(|it| it.spec.keyspace == keyspace.name)
            .map(|it| it.spec.key_range.clone())
            .collect()
    }
}
