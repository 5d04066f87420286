//! Which values does a modules.toml have, and where? For those who show where each value comes from.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::config::manifest::MAX_FILE_SIZE;
use crate::config::reader::file;
use crate::config::reader::report::{Report, parse_toml};
use crate::config::{SourceFile, SourceLocation};

/// A value of a modules.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenValue {
    /// Its tables and its key, such as `limits.queue` or `module[0].limits.memory`. An array is one value, but for the
    /// arrays of tables `module` and `static`.
    pub key: String,
    /// Where it is.
    pub location: SourceLocation,
}

/// All values of the file at `path`. Of a file that is no TOML there are none.
pub fn written_values(path: &Path) -> Vec<WrittenValue> {
    let Ok(file) = file::read(path, "configuration file", MAX_FILE_SIZE, SourceFile::new) else { return Vec::new() };
    let root = parse_toml(&file, &mut Report::new(Arc::clone(&file), false));
    let mut values = Vec::new();
    root.iter().for_each(|root| add(&file, "", root.get_ref(), &mut values));
    values
}

fn add(file: &Arc<SourceFile>, prefix: &str, table: &DeTable<'_>, values: &mut Vec<WrittenValue>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => add(file, &format!("{key}."), inner, values),
            DeValue::Array(items) if prefix.is_empty() && ["module", "static"].contains(&key.as_str()) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(inner) = item.get_ref().as_table() {
                        add(file, &format!("{key}[{index}]."), inner, values);
                    }
                }
            }
            _ => values.push(WrittenValue { key, location: SourceLocation::new(file, value.span()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::manifest::written::*;

    #[test]
    fn each_value_has_its_tables_and_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("modules.toml");
        let text = "default_host = 'a'\n[limits]\nqueue = 1\n[[module]]\nroute = '/'\nlimits = { memory = '1MiB' }\n[[module]]\nargv = ['a']\n";
        std::fs::write(&path, text).expect("a file");
        let values = written_values(&path);
        let mut shown: Vec<_> = values.iter().map(|value| (value.key.as_str(), value.location.position())).collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                ("default_host", (1, 16)),
                ("limits.queue", (3, 9)),
                ("module[0].limits.memory", (6, 21)),
                ("module[0].route", (5, 9)),
                ("module[1].argv", (8, 8)),
            ]
        );
        std::fs::write(&path, "a = ").expect("a file");
        assert_eq!(written_values(&path), []);
        assert_eq!(written_values(&directory.path().join("none.toml")), []);
    }
}
