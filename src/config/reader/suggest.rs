//! Which known word did somebody probably mean? Asked for unknown keys.

/// The word of `known` that `word` is most likely a misspelling of, if any is near enough.
pub(in crate::config) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let written = folded(word);
    // One slip in three letters still tells words apart; no key is so long that a longer word could be one.
    let most = (written.len() / 3).max(1);
    if written.len() > 60 {
        return None;
    }
    let candidates = known.into_iter().map(|candidate| (distance(&written, &folded(candidate)), candidate));
    candidates.filter(|(slips, _)| *slips <= most).min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are never what tells two keys apart.
fn folded(word: &str) -> Vec<char> {
    word.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
}

/// How many letters have to be put in, left out, replaced or swapped with their neighbour to get from one to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use crate::config::reader::suggest::*;

    #[test]
    fn slips_are_counted() {
        let count = |from: &str, to: &str| distance(&folded(from), &folded(to));
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
