//! The keys `warm_start` and `snapshots` of a `[[module]]`.

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, boolean, count};
use crate::config::{Preparation, WarmStartConfig};

/// The most snapshots of an entry if it does not say.
const DEFAULT_SNAPSHOTS: u64 = 16;

/// The most that it can say: each takes memory.
const MAX_SNAPSHOTS: u64 = 1024;

/// Returns how guests begin warm, if they do.
///
/// `operator` are the variables of `--env` and `--env-file`, which replace those of the entry.
pub(super) fn read(
    entry: &DeTable<'_>,
    preparation: Preparation,
    operator: &[(String, String)],
    report: &mut Report,
) -> Option<WarmStartConfig> {
    let value = entry.get("warm_start");
    let shared_random = value.and_then(|value| read_table(value, report));
    let snapshots = report.optional(entry, "snapshots", |value| count("snapshots", value, 1..=MAX_SNAPSHOTS));
    if value.is_none()
        && let Some(snapshots) = entry.get("snapshots")
    {
        let error = ValueError::new("`snapshots` has no effect without `warm_start`");
        report.error(snapshots.span(), error.help("write `warm_start = true` as well, or remove it"));
    }
    let shared_random = shared_random?;
    check_preparation(value?, preparation, report);
    let snapshots = usize::try_from(snapshots.unwrap_or(DEFAULT_SNAPSHOTS)).unwrap_or(usize::MAX);
    Some(WarmStartConfig { shared_random, snapshots, plain_variables: plain_variables(entry, operator) })
}

/// Whether random numbers may be shared; `None` if guests do not begin warm.
fn read_table(value: &Value<'_>, report: &mut Report) -> Option<bool> {
    match value.get_ref() {
        DeValue::Boolean(is_on) => is_on.then_some(false),
        DeValue::Table(table) => {
            report.unknown_keys(table, &["shared_random"], "in `warm_start`");
            let shared = report.optional(table, "shared_random", |value| boolean("shared_random", value));
            Some(shared.unwrap_or(false))
        }
        _ => {
            let error = ValueError::new("`warm_start` must be `true`, `false` or a table");
            report.error(
                value.span(),
                error.help("write `warm_start = true` or `warm_start = { shared_random = true }`"),
            );
            None
        }
    }
}

fn check_preparation(value: &Value<'_>, preparation: Preparation, report: &mut Report) {
    let (key, help) = match preparation {
        Preparation::Compile => return,
        Preparation::Preinitialize => {
            ("preinitialize", "remove one of them: each lets guests begin later than at their start")
        }
        Preparation::Precompiled => {
            ("precompiled", "name the module itself: a snapshot is made of it, not of machine code")
        }
    };
    let error = ValueError::new(format!("`warm_start` and `{key}` exclude each other"));
    report.error(value.span(), error.help(help));
}

/// The variables whose values stand in the file itself. All others may be secret.
fn plain_variables(entry: &DeTable<'_>, operator: &[(String, String)]) -> Vec<String> {
    let variables = entry.get("environment").and_then(|value| value.get_ref().as_table());
    let is_plain = |value: &Value<'_>| value.get_ref().as_str().is_some_and(|text| !text.contains("${"));
    let is_replaced = |name: &str| operator.iter().any(|(other, _)| other == name);
    let plain = variables.into_iter().flatten();
    let plain = plain.filter(|(name, value)| is_plain(value) && !is_replaced(name.get_ref()));
    plain.map(|(name, _)| name.get_ref().to_string()).collect()
}
