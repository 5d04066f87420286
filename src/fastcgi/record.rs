//! What is a record of FastCGI 1.0 (§3.3), and which records does wagi write?

use bytes::{BufMut, Bytes, BytesMut};

/// The types of records.
pub(super) const BEGIN_REQUEST: u8 = 1;
pub(super) const ABORT_REQUEST: u8 = 2;
pub(super) const END_REQUEST: u8 = 3;
pub(super) const PARAMS: u8 = 4;
pub(super) const STDIN: u8 = 5;
pub(super) const STDOUT: u8 = 6;
pub(super) const GET_VALUES: u8 = 9;
pub(super) const GET_VALUES_RESULT: u8 = 10;
pub(super) const UNKNOWN_TYPE: u8 = 11;

/// How a request ended (§5.5).
pub(super) const REQUEST_COMPLETE: u8 = 0;
pub(super) const CANT_MPX_CONN: u8 = 1;
pub(super) const UNKNOWN_ROLE: u8 = 3;

const VERSION: u8 = 1;
const HEADER: usize = 8;
/// The most content of one record that wagi writes: a multiple of 8, so that no padding is needed.
const MAX_CONTENT: usize = 65_528;

/// A record that a web server has sent.
#[derive(Debug)]
pub(super) struct FastCgiRecord {
    pub kind: u8,
    pub id: u16,
    pub content: Bytes,
}

/// A record of another version.
#[derive(Debug)]
pub(super) struct OtherVersion;

impl FastCgiRecord {
    /// Takes the first record from `input`, if it is there completely.
    pub fn take(input: &mut BytesMut) -> Result<Option<Self>, OtherVersion> {
        if input.first().is_some_and(|version| *version != VERSION) {
            return Err(OtherVersion);
        }
        let Some(&[_, kind, id_high, id_low, length_high, length_low, padding, _]) = input.first_chunk::<HEADER>()
        else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if input.len() < HEADER + length + usize::from(padding) {
            return Ok(None);
        }
        let mut whole = input.split_to(HEADER + length + usize::from(padding));
        let content = whole.split_off(HEADER).split_to(length).freeze();
        Ok(Some(Self { kind, id: u16::from_be_bytes([id_high, id_low]), content }))
    }
}

/// Appends one record. Its content has at most 65,535 bytes.
pub(super) fn append(out: &mut BytesMut, kind: u8, id: u16, content: &[u8]) {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    out.put_slice(&[VERSION, kind]);
    out.put_u16(id);
    out.put_u16(length);
    out.put_slice(&[0, 0]);
    out.put_slice(&content[..usize::from(length)]);
}

/// Appends output of a request.
pub(crate) fn append_output(out: &mut BytesMut, id: u16, output: &[u8]) {
    output.chunks(MAX_CONTENT).for_each(|content| append(out, STDOUT, id, content));
}

/// Appends the end of the output of a request, and of the request.
pub(crate) fn append_end(out: &mut BytesMut, id: u16) {
    append(out, STDOUT, id, &[]);
    append(out, END_REQUEST, id, &[0, 0, 0, 0, REQUEST_COMPLETE, 0, 0, 0]);
}

/// The record that refuses a request.
pub(super) fn refusal(id: u16, reason: u8) -> Bytes {
    let mut out = BytesMut::new();
    append(&mut out, END_REQUEST, id, &[0, 0, 0, 0, reason, 0, 0, 0]);
    out.freeze()
}
