//! How are the values of a JSON document of others read?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How many elements of a list are looked at. No module is signed so often.
pub(in crate::signature) const MAX_ELEMENTS: usize = 64;

/// How many characters of a text of others are shown.
const MAX_SHOWN: usize = 200;

/// The text at a path such as `/a/0/b`.
pub(in crate::signature) fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    value.pointer(path)?.as_str()
}

/// The bytes at a path, which are written in base64.
pub(in crate::signature) fn bytes(value: &Value, path: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text(value, path)?).ok()
}

/// The number at a path. Large ones are written as texts.
pub(in crate::signature) fn number(value: &Value, path: &str) -> Option<u64> {
    let found = value.pointer(path)?;
    found.as_u64().or_else(|| found.as_str()?.parse().ok())
}

/// The first elements of the list at a path.
pub(in crate::signature) fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten().take(MAX_ELEMENTS)
}

/// A text of others as it can be shown.
pub(in crate::signature) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_SHOWN).collect()
}
