//! Which files does a program have open at its checkpoint?
//!
//! Files of volumes, open to be read. A request gets them again under the same numbers, and the numbers of files that were closed before
//! are given away again in the same order.

use serde_json::{Value, json};

use crate::runtime::resume::files::FileIdentity;

/// The descriptors of a program that are not there at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct HeldFiles {
    /// The number of the first descriptor behind those of the volumes.
    first: i32,
    /// What is open under this number and each that follows; `None` for a number that was given back.
    numbers: Vec<Option<HeldFile>>,
}

/// An open file, and how it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct HeldFile {
    /// The descriptor of its volume.
    pub volume: i32,
    /// Its path below the volume.
    pub path: String,
    /// The parameters of `path_open`.
    pub lookup: i32,
    pub rights: i64,
    /// The flags that it has now, which are parameters of `path_open`, too.
    pub flags: u16,
    /// Where the program reads on.
    pub offset: i64,
    pub identity: FileIdentity,
}

impl HeldFiles {
    /// What is open under each number from `first` on.
    pub fn new(first: i32, numbers: Vec<Option<HeldFile>>) -> Self {
        Self { first, numbers }
    }

    /// Whether a program at its start has the same: nothing is open, and the next number is the same. A number that was given back
    /// is the next one anyway.
    pub fn is_start(&self) -> bool {
        self.files() == 0 && self.numbers.len() <= 1
    }

    /// How many files are open.
    pub fn files(&self) -> usize {
        self.numbers.iter().flatten().count()
    }

    /// All numbers that were ever given away, and what is open there.
    pub fn numbers(&self) -> impl Iterator<Item = (i32, Option<&HeldFile>)> {
        (self.first..).zip(self.numbers.iter().map(Option::as_ref))
    }

    /// As they are written down.
    pub fn written(&self) -> Value {
        let file = |file: &HeldFile| {
            let HeldFile { volume, path, lookup, rights, flags, offset, identity } = file;
            json!([volume, path, lookup, rights, flags, offset, identity.numbers()])
        };
        let numbers: Value = self.numbers.iter().map(|held| held.as_ref().map(file)).collect();
        json!([self.first, numbers])
    }

    /// What was written down.
    pub fn read(written: &Value) -> Option<Self> {
        let number = |value: &Value| i32::try_from(value.as_i64()?).ok();
        let file = |written: &Value| {
            Some(HeldFile {
                volume: number(written.get(0)?)?,
                path: written.get(1)?.as_str()?.to_owned(),
                lookup: number(written.get(2)?)?,
                rights: written.get(3)?.as_i64()?,
                flags: u16::try_from(written.get(4)?.as_u64()?).ok()?,
                offset: written.get(5)?.as_i64()?,
                identity: FileIdentity::of_numbers(written.get(6)?)?,
            })
        };
        let held = |written: &Value| if written.is_null() { Some(None) } else { file(written).map(Some) };
        let numbers = written.get(1)?.as_array()?.iter().map(held).collect::<Option<_>>()?;
        Some(Self { first: number(written.get(0)?)?, numbers })
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::held_files::*;

    fn a_file() -> HeldFile {
        let identity = FileIdentity::of(std::path::Path::new("/")).expect("there is a root");
        HeldFile { volume: 3, path: "a\"b".to_owned(), lookup: 1, rights: 2, flags: 4, offset: 70, identity }
    }

    #[test]
    fn files_are_the_same_after_they_were_written_down() {
        let held = HeldFiles::new(5, vec![Some(a_file()), None]);
        assert_eq!(HeldFiles::read(&held.written()).as_ref(), Some(&held));
        assert_eq!(
            held.numbers().map(|(number, file)| (number, file.is_some())).collect::<Vec<_>>(),
            [(5, true), (6, false)]
        );
        for damaged in [json!(null), json!([5]), json!([5, [[3]]]), json!(["5", []]), json!([5, [7]])] {
            assert_eq!(HeldFiles::read(&damaged), None, "{damaged}");
        }
    }

    #[test]
    fn one_number_that_was_given_back_is_the_next_one_at_the_start_too() {
        assert!(HeldFiles::default().is_start() && HeldFiles::new(4, vec![None]).is_start());
        assert!(!HeldFiles::new(4, vec![None, None]).is_start(), "the higher one is the next");
        assert!(!HeldFiles::new(4, vec![Some(a_file())]).is_start());
    }
}
