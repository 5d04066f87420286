//! Suggestions for misspelt keys.

use strsim::osa_distance;

/// Returns the word of `known` that `word` is most likely a misspelling of, if one is near enough.
pub(in crate::config) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let written = folded(word);
    // One slip in three letters still tells words apart. No key is longer than 60 letters.
    let max_slips = (written.chars().count() / 3).max(1);
    if written.chars().count() > 60 {
        return None;
    }
    let candidates = known.into_iter().map(|candidate| (osa_distance(&written, &folded(candidate)), candidate));
    candidates.filter(|(slips, _)| *slips <= max_slips).min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are never what tells two keys apart.
fn folded(word: &str) -> String {
    word.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::reader::suggest::*;

    #[test]
    fn slips_are_counted() {
        let count = |from: &str, to: &str| osa_distance(&folded(from), &folded(to));
        for (from, to, slips) in [
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
            assert_eq!(count(from, to), slips, "{from} {to}");
            assert_eq!(count(to, from), slips, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_word_is_offered_if_it_is_near() {
        let known = ["route", "module", "volumes", "environment", "host"];
        for (word, meant) in [
            ("rotue", Some("route")),
            ("modules", Some("module")),
            ("volume", Some("volumes")),
            ("enviroment", Some("environment")),
            ("hosts", Some("host")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
