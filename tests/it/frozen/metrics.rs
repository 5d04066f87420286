//! The names, types and labels of metrics. That they are those that are written, the tests of `observe::metrics` say.

use crate::frozen::{are_the_same, promised, text};

#[test]
fn metrics_keep_their_names_types_and_labels() {
    let page = text("docs/metrics.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (name, kind) = (cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned());
        let labels = cells.next()?.split('`').skip(1).step_by(2).map(str::to_owned);
        Some([name, kind].into_iter().chain(labels).collect::<Vec<_>>().join(" "))
    };
    are_the_same("metrics", &promised(&["metrics", "families"]), page.lines().filter_map(row));
}
