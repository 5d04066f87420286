//! Has a log written down a signature, and when?
//!
//! A log proves it in two ways: with a signature on the entry and its time, the promise, and with the entry's way to the top of
//! the tree, the proof. Each that is there has to be right, and one has to be there. Only the promise says when.

use serde_json::{Value, json};

use crate::format::hex;

use crate::signature::json::{bytes, list, number, text};
use crate::signature::trusted_root::{Period, TrustedLog};
use crate::signature::witness::{checkpoint, inclusion};

/// An entry, as the signer has received it from the log.
#[derive(Debug)]
pub(in crate::signature) struct LogEntry {
    log: Vec<u8>,
    index: u64,
    /// In seconds since 1970.
    time: u64,
    pub body: Vec<u8>,
    promise: Option<Vec<u8>>,
    proof: Option<InclusionProof>,
}

#[derive(Debug)]
struct InclusionProof {
    index: Option<u64>,
    /// What it says that the checkpoint says. Logs of the newer kind need not.
    size: Option<u64>,
    hash: Option<Vec<u8>>,
    path: Vec<Vec<u8>>,
    checkpoint: String,
}

/// What a trusted log says by an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signature) struct LogWitness {
    /// When it was written down, if the log has signed that.
    pub time: Option<u64>,
    /// When the log is trusted.
    pub period: Period,
}

/// Why an entry says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::signature) enum LogEntryError {
    #[error("the log in which it is written down is not trusted, or was not at that time")]
    UnknownLog,
    #[error("the log has not signed that it has written it down")]
    Promise,
    #[error("it is not in the tree of the log")]
    Proof,
    #[error("nothing proves that the log has written it down")]
    Unproven,
    #[error("what the log has written down is another signature")]
    OtherSignature,
}

impl LogEntry {
    /// An entry in a bundle.
    pub fn of_bundle(value: &Value) -> Option<Self> {
        let proof = match value.get("inclusionProof") {
            None | Some(Value::Null) => None,
            Some(proof) => Some(InclusionProof::parse(proof)?),
        };
        Some(Self {
            log: bytes(value, "/logId/keyId")?,
            index: number(value, "/logIndex").unwrap_or_default(),
            time: number(value, "/integratedTime").unwrap_or_default(),
            body: bytes(value, "/canonicalizedBody")?,
            promise: bytes(value, "/inclusionPromise/signedEntryTimestamp"),
            proof,
        })
    }

    /// An entry in an annotation of a signature of the older format.
    pub fn of_annotation(value: &Value) -> Option<Self> {
        let log = text(value, "/Payload/logID")?;
        let digits =
            log.as_bytes().chunks(2).map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        Some(Self {
            log: digits.collect::<Option<_>>()?,
            index: number(value, "/Payload/logIndex")?,
            time: number(value, "/Payload/integratedTime")?,
            body: bytes(value, "/Payload/body")?,
            promise: Some(bytes(value, "/SignedEntryTimestamp")?),
            proof: None,
        })
    }

    /// Checks that a trusted log has the entry.
    pub fn check(&self, logs: &[TrustedLog]) -> Result<LogWitness, LogEntryError> {
        let mut logs = logs.iter().filter(|log| log.id == self.log);
        // The time is known only if it is promised.
        let is_trusted = |log: &&TrustedLog| self.promise.is_none() || log.period.has(self.time);
        let log = logs.find(is_trusted).ok_or(LogEntryError::UnknownLog)?;
        if let Some(promise) = &self.promise
            && !log.key.has_signed(self.promised().as_bytes(), promise)
        {
            return Err(LogEntryError::Promise);
        }
        match &self.proof {
            Some(proof) if !proof.is_right(self, log) => Err(LogEntryError::Proof),
            None if self.promise.is_none() => Err(LogEntryError::Unproven),
            _ => Ok(LogWitness { time: self.promise.as_ref().map(|_| self.time), period: log.period }),
        }
    }

    /// What a log signs for a promise: JSON with its keys in order, and without blanks.
    fn promised(&self) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.body);
        let (time, log, index) = (self.time, hex(&self.log), self.index);
        // The text of `json!` is quoted, and has no characters that JSON would escape.
        format!("{{\"body\":{},\"integratedTime\":{time},\"logID\":{},\"logIndex\":{index}}}", json!(body), json!(log))
    }
}

impl InclusionProof {
    fn parse(value: &Value) -> Option<Self> {
        use base64::Engine as _;
        let decode = |hash: &Value| base64::engine::general_purpose::STANDARD.decode(hash.as_str()?).ok();
        Some(Self {
            index: number(value, "/logIndex"),
            size: number(value, "/treeSize"),
            hash: bytes(value, "/rootHash"),
            path: list(value, "/hashes").map(decode).collect::<Option<_>>()?,
            checkpoint: text(value, "/checkpoint/envelope")?.to_owned(),
        })
    }

    fn is_right(&self, entry: &LogEntry, log: &TrustedLog) -> bool {
        let Some(signed) = checkpoint::read(&self.checkpoint, log) else { return false };
        let says_the_same = self.size.is_none_or(|size| size == signed.size)
            && self.hash.as_ref().is_none_or(|hash| *hash == signed.hash);
        // Zeros are left out; and where a log has one tree only, the index of the entry is that in the tree.
        let indexes = self.index.map_or([0, entry.index], |index| [index, index]);
        let is_at = |index| inclusion::root(&entry.body, index, signed.size, &self.path).as_ref() == Some(&signed.hash);
        says_the_same && indexes.into_iter().any(is_at)
    }
}
