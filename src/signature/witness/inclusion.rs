//! Is an entry in the tree of a log? RFC 9162, section 2.1.3.2.

use sha2::{Digest as _, Sha256};

/// The hash of a tree with an entry at `index` of `size`, by the hashes beside its way to the top. `None` if it is not that way.
pub(super) fn root(entry: &[u8], index: u64, size: u64, path: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (mut index, mut last) = (index, size.checked_sub(1).filter(|last| index <= *last)?);
    let mut hash = Sha256::new().chain_update([0]).chain_update(entry).finalize();
    let join =
        |left: &[u8], right: &[u8]| Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize();
    for beside in path {
        if last == 0 {
            return None;
        }
        if index & 1 == 1 || index == last {
            hash = join(beside, &hash);
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            hash = join(&hash, beside);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    (last == 0).then(|| hash.to_vec())
}

#[cfg(test)]
mod tests {
    use crate::signature::witness::inclusion::*;

    fn leaf(entry: u8) -> Vec<u8> {
        Sha256::new().chain_update([0, entry]).finalize().to_vec()
    }

    fn join(left: &[u8], right: &[u8]) -> Vec<u8> {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().to_vec()
    }

    /// The hash of the tree of some entries, and the path of one of them, as RFC 9162 defines both.
    fn tree(entries: &[u8], index: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        if let [entry] = entries {
            return (leaf(*entry), Vec::new());
        }
        let half = entries.len().next_power_of_two() / 2;
        let (left, right) = entries.split_at(half);
        let (own, other) = if index < half {
            (tree(left, index), tree(right, 0).0)
        } else {
            (tree(right, index - half), tree(left, 0).0)
        };
        let hash = if index < half { join(&own.0, &other) } else { join(&other, &own.0) };
        (hash, [own.1, vec![other]].concat())
    }

    #[test]
    fn each_entry_of_each_tree_is_in_it_and_nowhere_else() {
        for size in 1..=20_u8 {
            let entries: Vec<u8> = (0..size).collect();
            for index in 0..size {
                let (hash, path) = tree(&entries, index.into());
                let found = |entry: u8, index: u64, size: u64, path: &[Vec<u8>]| root(&[entry], index, size, path);
                let (at, of) = (u64::from(index), u64::from(size));
                assert_eq!(found(index, at, of, &path).as_ref(), Some(&hash), "{index} of {size}");
                assert_ne!(found(size, at, of, &path).as_ref(), Some(&hash));
                assert_eq!(found(index, of, of, &path), None);
                assert_eq!(found(index, at, 0, &path), None);
                assert_ne!(found(index, at, of, &[path.clone(), vec![hash.clone()]].concat()).as_ref(), Some(&hash));
                if !path.is_empty() {
                    assert_ne!(found(index, at, of, &path[1..]).as_ref(), Some(&hash));
                }
            }
        }
    }
}
