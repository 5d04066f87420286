//! Suggestions for misspelt keys.

use strsim::osa_distance;

/// Returns the word of `known` that is nearest to `word`, if one is near enough to be a misspelling of it.
pub(in crate::config) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded_word = fold(word);
    // With one edit in three letters words can still be told apart. No key is longer than 60 letters.
    let max_distance = (folded_word.chars().count() / 3).max(1);
    if folded_word.chars().count() > 60 {
        return None;
    }
    let candidates = known.into_iter().map(|candidate| (osa_distance(&folded_word, &fold(candidate)), candidate));
    candidates
        .filter(|(distance, _)| *distance <= max_distance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Removes differences in which two keys never differ: of case, between `-` and `_`, and of number.
fn fold(word: &str) -> String {
    let folded: String =
        word.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect();
    match folded.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => folded,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::reader::suggest::*;

    #[test]
    fn distance_are_counted() {
        let count = |from: &str, to: &str| osa_distance(&fold(from), &fold(to));
        for (from, to, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("route", "route", 0),
            ("rout", "route", 1),
            ("ruote", "route", 1),
            ("Route", "route", 0),
            ("time-to-head", "time_to_head", 0),
            ("kitten", "sitting", 3),
            ("entry", "entrypoint", 5),
        ] {
            assert_eq!(count(from, to), distance, "{from} {to}");
            assert_eq!(count(to, from), distance, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_word_is_offered_if_it_is_near() {
        let known = ["route", "module", "volumes", "environment", "host", "registries"];
        for (word, meant) in [
            ("rotue", Some("route")),
            ("modules", Some("module")),
            ("volume", Some("volumes")),
            ("enviroment", Some("environment")),
            ("hosts", Some("host")),
            ("registry", Some("registries")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
