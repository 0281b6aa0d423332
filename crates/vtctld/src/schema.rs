//! Schemas and VSchemas, applied.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Client, Error, call, wire::vschema, wire::vtctldata};

/// How a keyspace's tables are spread over its shards, in the JSON form of Vitess's documentation.
///
/// What the form has and this type has not is refused, so that nothing is dropped in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VSchema {
    /// Whether tables are spread at all.
    pub sharded: bool,
    /// Functions from column values to keyspace ids, by name.
    pub vindexes: BTreeMap<String, Vindex>,
    /// Tables by name.
    pub tables: BTreeMap<String, Table>,
    /// Whether tables are found only by `keyspace.table`.
    pub require_explicit_routing: bool,
}

/// A function from column values to keyspace ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vindex {
    /// Which function: `xxhash`, `lookup`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// The table that a lookup's rows follow.
    pub owner: String,
}

/// How one table is spread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// `sequence`, `reference`, or nothing.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which columns make the keyspace id; the first is the primary one.
    pub column_vindexes: Vec<ColumnVindex>,
    /// Where numbers for a column come from.
    pub auto_increment: Option<AutoIncrement>,
    /// The keyspace id, in hex, that all rows of an unsharded table have.
    pub pinned: String,
    /// For a reference table, whose rows it repeats.
    pub source: String,
}

/// Columns and their vindex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnVindex {
    /// One column; for several see `columns`.
    pub column: String,
    /// Which of the keyspace's vindexes.
    pub name: String,
    /// Several columns.
    pub columns: Vec<String>,
}

/// Where numbers for a column come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoIncrement {
    /// The column.
    pub column: String,
    /// The table of type `sequence`.
    pub sequence: String,
}

/// How long replicas may take to have a statement.
const WAIT_REPLICAS: Duration = Duration::from_secs(30);

impl Client {
    /// Runs statements on every primary of a keyspace, at once and in order. They block writers as MySQL does: for
    /// big tables there are Vitess's schema migrations, which are not this call.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn apply_schema(&self, keyspace: &str, statements: &[&str]) -> Result<(), Error> {
        let message = vtctldata::ApplySchemaRequest {
            keyspace: keyspace.to_owned(),
            sql: statements.iter().map(|sql| (*sql).to_owned()).collect(),
            ddl_strategy: "direct".to_owned(),
            wait_replicas_timeout: Some(WAIT_REPLICAS.into()),
        };
        self.ask(call::APPLY_SCHEMA, message, async |mut service, request| {
            service.apply_schema(request).await
        })
        .await?;
        Ok(())
    }

    /// Replaces a keyspace's VSchema; one with vindex parameters that no vindex knows is refused.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn apply_vschema(&self, keyspace: &str, vschema: &VSchema) -> Result<(), Error> {
        let message = vtctldata::ApplyVSchemaRequest {
            keyspace: keyspace.to_owned(),
            v_schema: Some(vschema.clone().into()),
            strict: true,
        };
        self.ask(
            call::APPLY_VSCHEMA,
            message,
            async |mut service, request| service.apply_v_schema(request).await,
        )
        .await?;
        Ok(())
    }
}

impl From<VSchema> for vschema::Keyspace {
    fn from(vschema: VSchema) -> Self {
        let VSchema {
            sharded,
            vindexes,
            tables,
            require_explicit_routing,
        } = vschema;
        let vindex = |vindex: Vindex| vschema::Vindex {
            r#type: vindex.kind,
            params: vindex.params,
            owner: vindex.owner,
        };
        Self {
            sharded,
            vindexes: vindexes
                .into_iter()
                .map(|(name, value)| (name, vindex(value)))
                .collect(),
            tables: tables
                .into_iter()
                .map(|(name, table)| (name, table.into()))
                .collect(),
            require_explicit_routing,
        }
    }
}

impl From<Table> for vschema::Table {
    fn from(table: Table) -> Self {
        let column_vindex = |from: ColumnVindex| vschema::ColumnVindex {
            column: from.column,
            name: from.name,
            columns: from.columns,
        };
        Self {
            r#type: table.kind,
            column_vindexes: table
                .column_vindexes
                .into_iter()
                .map(column_vindex)
                .collect(),
            auto_increment: table.auto_increment.map(|from| vschema::AutoIncrement {
                column: from.column,
                sequence: from.sequence,
            }),
            pinned: table.pinned,
            source: table.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_form_of_the_documentation() {
        let text = r#"{
            "sharded": true,
            "vindexes": {"xxhash": {"type": "xxhash"}},
            "tables": {"customer": {"column_vindexes": [{"column": "customer_id", "name": "xxhash"}]}}
        }"#;
        let vschema: VSchema = serde_json::from_str(text).unwrap();
        assert_eq!(
            vschema.tables["customer"].column_vindexes[0].column,
            "customer_id"
        );
        let wire = vschema::Keyspace::from(vschema);
        assert!(wire.sharded);
        assert_eq!(wire.vindexes["xxhash"].r#type, "xxhash");
    }

    #[test]
    fn refuses_what_it_would_drop() {
        let error = serde_json::from_str::<VSchema>(r#"{"multi_tenant_spec": {}}"#).unwrap_err();
        assert!(error.to_string().contains("multi_tenant_spec"), "{error}");
    }
}
