//! How results are printed.

use std::process::ExitCode;

use foreshard_cli::output;
use serde::Serialize;
use serde_json::Value;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs, and for files.
    Yaml,
}

/// The object or list that a command is about does not allow what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotGood(pub(crate) String);

/// Prints an error; the exit code.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    let code = output::fail(error);
    if error.downcast_ref::<NotGood>().is_some() {
        return ExitCode::from(output::NOT_GOOD);
    }
    code
}

/// Prints a document, or what `text` makes of it for people.
pub(crate) fn show<T: Serialize>(
    document: &T,
    format: Format,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match format {
        Format::Table => output::text(&text()),
        Format::Json => output::json(&without_managed_fields(document)?),
        Format::Yaml => {
            let shown = without_managed_fields(document)?;
            output::text(&serde_saphyr::to_string(&shown)?)
        }
    }
}

/// An object, or a list of objects, without what says who wrote which field: as kubectl shows it.
fn without_managed_fields(document: &impl Serialize) -> serde_json::Result<Value> {
    let mut shown = serde_json::to_value(document)?;
    forget_managers(&mut shown);
    let items = shown.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        forget_managers(item);
    }
    Ok(shown)
}

fn forget_managers(object: &mut Value) {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        metadata.remove("managedFields");
    }
}

/// Says something that is no result.
pub(crate) fn note(text: &str) {
    use std::io::Write as _;
    // Where standard error is gone nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Columns as kubectl has them.
pub(crate) struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Wide enough for all rows.
    pub(crate) fn fit<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> Self {
        let mut widths = Vec::new();
        for row in rows {
            widths.resize(row.len().max(widths.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        Self { widths }
    }

    /// One line, with its end.
    pub(crate) fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (width, cell) in self.widths.iter().zip(row) {
            line += &format!("{cell:<width$}   ");
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// Rows below a header, each line after `indent`.
pub(crate) fn table(indent: &str, header: &[&str], rows: Vec<Vec<String>>) -> String {
    let header = header.iter().map(|it| (*it).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let columns = Columns::fit(all.iter());
    all.iter()
        .map(|row| indent.to_owned() + &columns.line(row))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_wrote_which_field_is_not_shown() {
        let object =
            json!({"metadata": {"name": "web", "managedFields": [{"manager": "a"}]}, "spec": {}});
        let plain = json!({"metadata": {"name": "web"}, "spec": {}});
        assert_eq!(without_managed_fields(&object).unwrap(), plain);
        let list = json!({"metadata": {}, "items": [object, {}]});
        assert_eq!(
            without_managed_fields(&list).unwrap(),
            json!({"metadata": {}, "items": [plain, {}]})
        );
    }
}
