//! Comparing the rows of a workflow's two sides.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Client, Error, TabletType, call,
    reshard::to_wire,
    wire::{
        query::{QueryResult, Row},
        tabletmanagerdata::TabletSelectionPreference,
        vtctldata,
    },
};

/// A comparison to begin. The workflow must run, and its writes must not be switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VdiffRequest {
    /// The keyspace.
    pub keyspace: String,
    /// The workflow.
    pub workflow: String,
    /// Which tablets to read, the best first. Primaries are the ones to trust: a replica that has not caught up gives a
    /// mismatch that is none.
    pub tablet_types: Vec<TabletType>,
    /// How long the two sides may take to come to the same position, in whole seconds.
    pub catch_up: Duration,
}

impl VdiffRequest {
    /// A comparison of primaries.
    pub fn new(keyspace: &str, workflow: &str) -> Self {
        Self {
            keyspace: keyspace.to_owned(),
            workflow: workflow.to_owned(),
            tablet_types: vec![TabletType::Primary],
            catch_up: Duration::from_secs(30),
        }
    }
}

/// A comparison: how far it is, and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vdiff {
    /// Target shards by name.
    pub shards: BTreeMap<String, VdiffShard>,
}

/// One target shard's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VdiffShard {
    /// How far this part is.
    pub state: VdiffState,
    /// What went wrong last; empty if nothing did.
    pub last_error: String,
    /// Tables by name; empty before the first is begun.
    pub tables: BTreeMap<String, VdiffTable>,
}

/// One table's part on one target shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VdiffTable {
    /// How far it is.
    pub state: VdiffState,
    /// Rows compared so far.
    pub rows_compared: u64,
    /// Rows to compare, by MySQL's estimate; 0 where it has none yet.
    pub rows_total: u64,
    /// Whether a row differs, or is on one side only.
    pub mismatch: bool,
    /// The server's report, as JSON; empty before the end.
    pub report: String,
}

/// How far a comparison is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VdiffState {
    /// It waits.
    Pending,
    /// It compares.
    Started,
    /// Someone stopped it.
    Stopped,
    /// It failed; if the cause may pass it is begun again by itself.
    Error,
    /// It is done.
    Completed,
    /// What this client does not know, as the server writes it.
    Other(String),
}

impl VdiffState {
    fn from_wire(state: &str) -> Self {
        match state.to_ascii_lowercase().as_str() {
            "pending" => Self::Pending,
            "started" => Self::Started,
            "stopped" => Self::Stopped,
            "error" => Self::Error,
            "completed" => Self::Completed,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Vdiff {
    /// The state of the whole: completed only if every table of every shard is.
    pub fn state(&self) -> VdiffState {
        let shards = || self.shards.values();
        let tables = || shards().flat_map(|shard| shard.tables.values());
        let any = |state: VdiffState| {
            shards().any(|shard| shard.state == state) || tables().any(|table| table.state == state)
        };
        let all_completed = !self.shards.is_empty()
            && shards().all(|shard| {
                // A shard without tables compared nothing.
                shard.state == VdiffState::Completed && !shard.tables.is_empty()
            })
            && tables().all(|table| table.state == VdiffState::Completed);
        if any(VdiffState::Stopped) {
            VdiffState::Stopped
        } else if any(VdiffState::Error) {
            VdiffState::Error
        } else if all_completed {
            VdiffState::Completed
        } else if any(VdiffState::Started) || any(VdiffState::Completed) {
            VdiffState::Started
        } else {
            VdiffState::Pending
        }
    }

    /// Whether any row was found to differ, or to be on one side only, so far.
    pub fn has_mismatch(&self) -> bool {
        let tables = self.shards.values().flat_map(|shard| shard.tables.values());
        tables.into_iter().any(|table| table.mismatch)
    }

    /// Rows compared so far, over all shards and tables.
    pub fn rows_compared(&self) -> u64 {
        let tables = self.shards.values().flat_map(|shard| shard.tables.values());
        tables.map(|table| table.rows_compared).sum()
    }

    /// The errors, each with its shard.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shards
            .iter()
            .filter(|(_, shard)| !shard.last_error.is_empty())
            .map(|(name, shard)| (name.as_str(), shard.last_error.as_str()))
    }
}

/// The form in which a tablet answers: one row for each table, with the shard's own columns repeated.
struct Rows<'answer> {
    columns: Vec<&'answer str>,
    rows: Vec<Vec<Option<&'answer [u8]>>>,
}

impl<'answer> Rows<'answer> {
    fn read(result: &'answer QueryResult) -> Result<Self, String> {
        let columns: Vec<&str> = result
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let rows = result
            .rows
            .iter()
            .map(|row| split(row, columns.len()))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns, rows })
    }

    /// A cell's text; empty for NULL and for a column that there is not.
    fn text(&self, row: usize, column: &str) -> String {
        let cell = self
            .columns
            .iter()
            .position(|name| *name == column)
            .and_then(|position| *self.rows.get(row)?.get(position)?);
        String::from_utf8_lossy(cell.unwrap_or_default()).into_owned()
    }

    fn number(&self, row: usize, column: &str) -> Result<u64, String> {
        let text = self.text(row, column);
        if text.is_empty() {
            return Ok(0);
        }
        text.parse()
            .map_err(|_| format!("column {column} is {text:?}, not a number"))
    }
}

/// A row's cells, which the wire has end to end.
fn split(row: &Row, columns: usize) -> Result<Vec<Option<&[u8]>>, String> {
    if row.lengths.len() != columns {
        return Err(format!(
            "a row has {} cells for {columns} columns",
            row.lengths.len()
        ));
    }
    let mut rest = row.values.as_slice();
    let mut cells = Vec::with_capacity(columns);
    for &length in &row.lengths {
        cells.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (cell, after) = rest
                    .split_at_checked(length)
                    .ok_or("a row's cells are longer than the row")?;
                rest = after;
                Some(cell)
            }
        });
    }
    Ok(cells)
}

impl VdiffShard {
    fn from_wire(result: &QueryResult) -> Result<Self, String> {
        let rows = Rows::read(result)?;
        let mut shard = Self {
            state: VdiffState::from_wire(&rows.text(0, "vdiff_state")),
            last_error: rows.text(0, "last_error"),
            tables: BTreeMap::new(),
        };
        for row in 0..rows.rows.len() {
            let name = rows.text(row, "table_name");
            // Before the first table is begun there is one row without any.
            if !name.is_empty() {
                let table = VdiffTable {
                    state: VdiffState::from_wire(&rows.text(row, "table_state")),
                    rows_compared: rows.number(row, "rows_compared")?,
                    rows_total: rows.number(row, "table_rows")?,
                    mismatch: rows.number(row, "has_mismatch")? != 0,
                    report: rows.text(row, "report"),
                };
                shard.tables.insert(name, table);
            }
        }
        Ok(shard)
    }
}

impl Client {
    /// Begins a comparison; gives its UUID.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn create_vdiff(&self, vdiff: &VdiffRequest) -> Result<String, Error> {
        let message = vtctldata::VDiffCreateRequest {
            workflow: vdiff.workflow.clone(),
            target_keyspace: vdiff.keyspace.clone(),
            uuid: String::new(),
            tablet_types: to_wire(&vdiff.tablet_types),
            tablet_selection_preference: TabletSelectionPreference::Inorder.into(),
            filtered_replication_wait_time: Some(vdiff.catch_up.into()),
            max_extra_rows_to_compare: MAX_EXTRA_ROWS,
            auto_retry: true,
            max_report_sample_rows: MAX_SAMPLE_ROWS,
            max_diff_duration: Some(Duration::ZERO.into()),
            auto_start: Some(true),
        };
        let answer = self
            .ask(call::VDIFF_CREATE, message, async |mut service, request| {
                service.v_diff_create(request).await
            })
            .await?;
        Ok(answer.uuid)
    }

    /// How far the comparison with this UUID is, and what it found.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is no such workflow.
    pub async fn vdiff(&self, keyspace: &str, workflow: &str, uuid: &str) -> Result<Vdiff, Error> {
        let message = vtctldata::VDiffShowRequest {
            workflow: workflow.to_owned(),
            target_keyspace: keyspace.to_owned(),
            arg: uuid.to_owned(),
        };
        let answer = self
            .ask(call::VDIFF_SHOW, message, async |mut service, request| {
                service.v_diff_show(request).await
            })
            .await?;
        Vdiff::from_wire(&answer)
            .map_err(|reason| self.unusable(call::VDIFF_SHOW, "tablet_responses", &reason))
    }
}

/// Rows that are equal but sorted otherwise are compared a second time, up to so many: the command line's default.
const MAX_EXTRA_ROWS: i64 = 1_000;
/// Rows of which a report shows the difference: the command line's default.
const MAX_SAMPLE_ROWS: i64 = 10;

impl Vdiff {
    pub(crate) fn from_wire(answer: &vtctldata::VDiffShowResponse) -> Result<Self, String> {
        let mut shards = BTreeMap::new();
        for (name, tablet) in &answer.tablet_responses {
            if let Some(result) = &tablet.output {
                let shard = VdiffShard::from_wire(result)
                    .map_err(|reason| format!("shard {name}: {reason}"))?;
                shards.insert(name.clone(), shard);
            }
        }
        Ok(Self { shards })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(state: VdiffState, tables: &[(VdiffState, bool)]) -> VdiffShard {
        let table = |(state, mismatch): &(VdiffState, bool)| VdiffTable {
            state: state.clone(),
            rows_compared: 10,
            rows_total: 10,
            mismatch: *mismatch,
            report: String::new(),
        };
        VdiffShard {
            state,
            last_error: String::new(),
            tables: tables
                .iter()
                .enumerate()
                .map(|(number, from)| (format!("table{number}"), table(from)))
                .collect(),
        }
    }

    #[test]
    fn is_as_far_as_its_slowest_part() {
        use VdiffState::{Completed, Error, Pending, Started, Stopped};
        let done = || shard(Completed, &[(Completed, false), (Completed, true)]);
        let table = [
            (vec![], Pending),
            (vec![shard(Pending, &[])], Pending),
            (vec![done()], Completed),
            // Nothing was compared.
            (vec![shard(Completed, &[])], Started),
            (vec![done(), shard(Pending, &[])], Started),
            // A merge: the table is done for one source, the shard is not.
            (vec![shard(Started, &[(Completed, false)])], Started),
            (vec![done(), shard(Started, &[(Error, false)])], Error),
            (vec![done(), shard(Error, &[])], Error),
            (vec![shard(Stopped, &[(Completed, false)]), done()], Stopped),
        ];
        for (shards, expected) in table {
            let vdiff = Vdiff {
                shards: shards
                    .into_iter()
                    .enumerate()
                    .map(|(number, shard)| (number.to_string(), shard))
                    .collect(),
            };
            assert_eq!(vdiff.state(), expected, "{vdiff:#?}");
        }
        let vdiff = Vdiff {
            shards: BTreeMap::from([("-80".to_owned(), done())]),
        };
        assert!(vdiff.has_mismatch());
        assert_eq!(vdiff.rows_compared(), 20);
    }

    #[test]
    fn refuses_rows_that_contradict_themselves() {
        let row = |lengths: &[i64], values: &str| Row {
            lengths: lengths.to_vec(),
            values: values.as_bytes().to_vec(),
        };
        let cells = row(&[2, -1, 0, 3], "abcde");
        let expected: Vec<Option<&[u8]>> = vec![Some(b"ab"), None, Some(b""), Some(b"cde")];
        assert_eq!(split(&cells, 4), Ok(expected));
        assert!(split(&row(&[2], "ab"), 2).is_err());
        assert!(split(&row(&[3], "ab"), 1).is_err());
        assert!(split(&row(&[i64::MAX], "ab"), 1).is_err());
    }
}
