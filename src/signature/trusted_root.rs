//! Who is trusted by a trusted root?
//!
//! The file is Sigstore's: the authorities that issue certificates to those who sign, the logs in which signatures and
//! certificates are written down, and the authorities that say what time it is. Each is good for a period.

use serde_json::Value;

use crate::signature::der::unix_time;
use crate::signature::json::{bytes, list, text};
use crate::signature::key::PublicKey;

/// The file of a trusted root, as far as it is needed.
#[derive(Clone)]
pub struct TrustedRoot {
    /// Who issues certificates to those who sign.
    pub(in crate::signature) authorities: Vec<TrustedAuthority>,
    /// Where signatures are written down.
    pub(in crate::signature) signature_logs: Vec<TrustedLog>,
    /// Where certificates are written down.
    pub(in crate::signature) certificate_logs: Vec<TrustedLog>,
    /// Who says what time it is.
    pub(in crate::signature) clocks: Vec<TrustedAuthority>,
}

/// A log, by its key.
#[derive(Clone)]
pub(in crate::signature) struct TrustedLog {
    pub id: Vec<u8>,
    /// The id whose first bytes are in the signatures of its checkpoints.
    pub checkpoint_id: Vec<u8>,
    pub key: PublicKey,
    pub period: Period,
}

/// An authority, by the certificates that lead to its root, which is the last.
#[derive(Clone)]
pub(in crate::signature) struct TrustedAuthority {
    pub chain: Vec<Vec<u8>>,
    pub period: Period,
}

/// From when until when something is trusted, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signature) struct Period {
    start: u64,
    end: u64,
}

/// Why a file is no trusted root that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedRootError {
    /// It is not JSON, or not that of a trusted root.
    #[error("it is not a trusted root of Sigstore: {0}")]
    Form(&'static str),
    /// It cannot be used.
    #[error("`{list}` has nothing in it that can be used")]
    Unusable {
        /// The name of the list.
        list: &'static str,
    },
}

impl TrustedRoot {
    /// Reads a file.
    pub fn parse(file: &[u8]) -> Result<Self, TrustedRootError> {
        let root: Value = serde_json::from_slice(file).map_err(|_| TrustedRootError::Form("it is not JSON"))?;
        let media_type = text(&root, "/mediaType").unwrap_or_default();
        if !media_type.starts_with("application/vnd.dev.sigstore.trustedroot") {
            return Err(TrustedRootError::Form(
                "`mediaType` does not begin `application/vnd.dev.sigstore.trustedroot`",
            ));
        }
        let root = Self {
            authorities: elements(&root, "certificateAuthorities", authority)?,
            signature_logs: elements(&root, "tlogs", log)?,
            certificate_logs: elements(&root, "ctlogs", log)?,
            clocks: elements(&root, "timestampAuthorities", authority)?,
        };
        match root.signature_logs.is_empty() && root.clocks.is_empty() {
            true => Err(TrustedRootError::Form("it has neither `tlogs` nor `timestampAuthorities`")),
            false => Ok(root),
        }
    }
}

impl Period {
    pub fn has(&self, time: u64) -> bool {
        (self.start..=self.end).contains(&time)
    }
}

/// The elements of a list that can be used. What is not known yet is left out, but not all of it: a list that seems to be empty
/// would ask for less.
fn elements<T>(root: &Value, name: &'static str, read: fn(&Value) -> Option<T>) -> Result<Vec<T>, TrustedRootError> {
    let path = format!("/{name}");
    let found: Vec<T> = list(root, &path).filter_map(read).collect();
    match found.is_empty() && list(root, &path).next().is_some() {
        true => Err(TrustedRootError::Unusable { list: name }),
        false => Ok(found),
    }
}

fn log(value: &Value) -> Option<TrustedLog> {
    let (log_id, checkpoint_id) = (bytes(value, "/logId/keyId"), bytes(value, "/checkpointKeyId/keyId"));
    // Roots of logs of the newer kind may have one of the two only.
    let id = log_id.or_else(|| checkpoint_id.clone())?;
    let checkpoint_id = checkpoint_id.unwrap_or_else(|| id.clone());
    let key = PublicKey::from_spki(&bytes(value, "/publicKey/rawBytes")?).ok()?;
    Some(TrustedLog { id, checkpoint_id, key, period: period(value, "/publicKey/validFor")? })
}

fn authority(value: &Value) -> Option<TrustedAuthority> {
    let chain = list(value, "/certChain/certificates").map(|certificate| bytes(certificate, "/rawBytes"));
    let chain = chain.collect::<Option<Vec<_>>>()?;
    (!chain.is_empty()).then_some(TrustedAuthority { chain, period: period(value, "/validFor")? })
}

/// A period without an end lasts. `None` if it is damaged.
fn period(value: &Value, path: &str) -> Option<Period> {
    let bound = |name: &str, default: u64| match value.pointer(&format!("{path}/{name}")) {
        None | Some(Value::Null) => Some(default),
        Some(written) => unix_time(written.as_str()?),
    };
    Some(Period { start: bound("start", 0)?, end: bound("end", u64::MAX)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::signature::trusted_root::*;

    #[test]
    fn a_list_of_which_nothing_can_be_used_is_an_error() {
        let parse =
            |value: Value| TrustedRoot::parse(value.to_string().as_bytes()).err().map(|error| error.to_string());
        let media_type = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
        let clock = json!([{ "certChain": { "certificates": [{ "rawBytes": "MAA=" }] }, "validFor": { "start": "2020-01-01T00:00:00Z" } }]);
        assert_eq!(parse(json!({ "mediaType": media_type, "timestampAuthorities": clock })), None);
        for (value, part) in [
            (json!([]), "`mediaType`"),
            (json!({ "mediaType": media_type }), "neither `tlogs`"),
            (json!({ "mediaType": media_type, "tlogs": [{}], "timestampAuthorities": clock }), "`tlogs` has nothing"),
            (json!({ "mediaType": media_type, "timestampAuthorities": [{ "certChain": {} }] }), "has nothing"),
        ] {
            assert!(parse(value.clone()).is_some_and(|error| error.contains(part)), "{value}");
        }
    }

    #[test]
    fn a_period_has_its_bounds_and_may_have_no_end() {
        let read = |value: Value| period(&value, "/validFor");
        let whole = read(json!({ "validFor": { "start": "1970-01-01T00:00:10Z", "end": "1970-01-01T00:00:20.5Z" } }));
        let whole = whole.expect("a period");
        assert_eq!([9, 10, 20, 21].map(|time| whole.has(time)), [false, true, true, false]);
        assert!(
            read(json!({ "validFor": { "start": "1970-01-01T00:00:10Z" } })).is_some_and(|open| open.has(u64::MAX))
        );
        assert_eq!(read(json!({ "validFor": { "end": "soon" } })), None);
    }
}
