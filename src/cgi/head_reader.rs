//! Where does the head of a guest's output end?
//!
//! RFC 3875 §6 and WAGI 0.8: the first blank line ends it, and carriage returns before that are ignored, so LF, CRLF and
//! mixtures are accepted. `gateway` feeds the output of the guest, chunk by chunk, until the end is found; `response` then
//! interprets the fields.

use crate::cgi::response::{HeadError, ResponseHead};

/// A reader for the head of a guest's output. The result does not depend on how the output is split into chunks.
#[derive(Clone, Debug)]
pub struct HeadReader {
    limit: usize,
    consumed: usize,
    /// The bytes read so far, without carriage returns.
    collected: Vec<u8>,
    after_newline: bool,
    /// The parsed head, once it is complete.
    parsed: Option<Result<ResponseHead, HeadError>>,
}

impl HeadReader {
    /// A reader for a head of at most `limit` bytes, the blank line included.
    pub fn new(limit: usize) -> Self {
        Self { limit, consumed: 0, collected: Vec::new(), after_newline: false, parsed: None }
    }

    /// Takes the next chunk of output. `Some(n)` means that the head is complete and that the body begins with
    /// byte `n` of this chunk.
    pub fn read(&mut self, chunk: &[u8]) -> Result<Option<usize>, HeadError> {
        if self.parsed.is_some() {
            return Ok(Some(0));
        }
        let window = chunk.get(..self.limit.saturating_sub(self.consumed)).unwrap_or(chunk);
        let end = self.end_in(window);
        let head = end.and_then(|end| window.get(..end)).unwrap_or(window);
        // A header part in one chunk without carriage returns, the usual case, is parsed in place.
        if end.is_some() && self.consumed == 0 && !head.contains(&b'\r') {
            self.parsed = Some(ResponseHead::parse(head));
            return Ok(end);
        }
        self.collect(head);
        self.parsed = end.map(|_| ResponseHead::parse(&self.collected));
        if end.is_none() && window.len() < chunk.len() {
            return Err(HeadError::TooLong { limit: self.limit });
        }
        Ok(end)
    }

    /// Whether the head is complete and is not the head of a response.
    pub fn is_invalid(&self) -> bool {
        matches!(self.parsed, Some(Err(_)))
    }

    /// The start of the output, given the last chunk of it.
    pub fn printed<'a>(&'a self, last: &'a [u8]) -> &'a [u8] {
        if self.collected.is_empty() { last } else { &self.collected }
    }

    /// The parsed head. At the end of the output this is an error if there was no blank line.
    pub fn finish(self) -> Result<ResponseHead, HeadError> {
        self.parsed.unwrap_or(Err(HeadError::NoBlankLine))
    }

    /// The end of the head in `window`, if it is there.
    fn end_in(&mut self, window: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = window.get(at) {
            at += match byte {
                b'\n' if self.after_newline => return Some(at + 1),
                b'\r' if self.after_newline => 1,
                _ => {
                    let newline = window.get(at..)?.iter().position(|&byte| byte == b'\n');
                    self.after_newline = newline.is_some();
                    newline? + 1
                }
            };
        }
        None
    }

    fn collect(&mut self, head: &[u8]) {
        self.consumed += head.len();
        if head.contains(&b'\r') {
            self.collected.extend(head.iter().filter(|&&byte| byte != b'\r'));
        } else {
            self.collected.extend_from_slice(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cgi::head_reader::*;

    /// Feeds `output` split at `cuts`; returns the head and the start of the body, or the error.
    fn read(output: &[u8], limit: usize, cuts: &[usize]) -> Result<(ResponseHead, usize), HeadError> {
        let mut reader = HeadReader::new(limit);
        let mut begin = 0;
        for &cut in cuts.iter().chain([&output.len()]) {
            if let Some(body) = reader.read(&output[begin..cut])? {
                return reader.finish().map(|head| (head, begin + body));
            }
            begin = cut;
        }
        reader.finish().map(|head| (head, begin))
    }

    /// RFC 3875 §6.2: a blank line ends the fields; §7.2: LF and CRLF both end lines.
    #[test]
    fn the_body_begins_after_the_first_blank_line() {
        for (output, body) in [
            (&b"status: 200\n\nbody"[..], &b"body"[..]),
            (b"status: 200\r\n\r\nbody", b"body"),
            (b"status: 200\n\r\nbody", b"body"),
            (b"status: 200\r\n\nbody", b"body"),
            (b"status: 200\n\r\r\r\nbody", b"body"),
            (b"st\ratus: 2\r00\n\n\r\n\nbody\r\n", b"\r\n\nbody\r\n"),
            (b"\nstatus: 200\n\n", b""),
            (b"\r\nstatus: 200\n\n", b""),
            (b"content-type: text/plain\r\n\r\nOh hi world\r\n", b"Oh hi world\r\n"),
            (b"status: 200\n\n\0\xff\n\n", b"\0\xff\n\n"),
        ] {
            let (_, begin) = read(output, 100, &[]).expect("a head");
            assert_eq!(&output[begin..], body, "{:?}", String::from_utf8_lossy(output));
        }
    }

    #[test]
    fn output_without_a_blank_line_has_no_header_part() {
        for output in [&b""[..], b"\n", b"content-type: text/plain", b"content-type: text/plain\n", b"a: b\n \nc: d"] {
            assert_eq!(read(output, 100, &[]), Err(HeadError::NoBlankLine));
        }
        for output in [&b"\n\nstatus: 200\n\n"[..], b"\n\r\nstatus: 200\n\n"] {
            assert_eq!(read(output, 100, &[]), Err(HeadError::Insufficient));
        }
    }

    #[test]
    fn a_header_part_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let output = b"status: 200\r\n\r\nbody";
        assert!(read(output, 15, &[]).is_ok());
        assert_eq!(read(output, 14, &[]), Err(HeadError::TooLong { limit: 14 }));
        let endless = vec![b'\r'; 1_000];
        assert_eq!(read(&endless, 999, &[500]), Err(HeadError::TooLong { limit: 999 }));
        assert_eq!(read(b"\n", 0, &[]), Err(HeadError::TooLong { limit: 0 }));
        assert_eq!(read(b"status: 200", 11, &[]), Err(HeadError::NoBlankLine));
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let mut reader = HeadReader::new(10);
        assert!(reader.read(&[b'x'; 1_000]).is_err());
        assert_eq!(reader.collected.len(), 10);
        assert!(reader.read(b"x").is_err());
        assert_eq!(reader.collected.len(), 10);
    }

    #[test]
    fn every_way_to_split_the_output_gives_the_same_head() {
        let corpus: [&[u8]; 16] = [
            b"content-type: text/plain\n\nhello",
            b"content-type: text/plain\r\n\r\nOh hi world\r\n",
            b"\r\nContent-Type: a/b\n\r\nrest\n\n",
            b"status: 404\n\n",
            b"Status: 303 See Other\r\nLocation: /x\r\n\r\n",
            b"Location: https://example.com/\n\n\n",
            b"status: oops\nx: y\n\n",
            b"set-cookie: a=1\nset-cookie: b=2\nstatus: 200\n\n",
            b"\n\nbody",
            b"no blank line\n",
            b"x: y\n\n",
            b"status: 200\nx: caf\xc3\xa9\n\n\xff",
            b"status: 200\nx: \xff\n\n",
            b"st\0atus: 2\r00\nx: \x01\n\r\r\n\r\n",
            b"status: 100\n\n",
            b"content-length: 3\nconnection: close\nstatus: 200\n\nabcdefgh",
        ];
        for output in corpus {
            for limit in [8, output.len(), 1_000] {
                let whole = read(output, limit, &[]);
                let bytewise: Vec<usize> = (0..output.len()).collect();
                assert_eq!(read(output, limit, &bytewise), whole, "{:?}", String::from_utf8_lossy(output));
                for first in 0..=output.len() {
                    for second in first..=output.len() {
                        assert_eq!(read(output, limit, &[first, second]), whole, "{first} {second} {output:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_at_random_never_cause_a_panic() {
        const LIKELY: &[u8] = b"\n\n\n\r::: \t\0\x01\x7f\xc3\xa9\xff019ab";
        const WORDS: [&[u8]; 6] = [b"status", b"Content-Type:", b"location", b"content-length:", b"Set-Cookie", b"200"];
        let mut state = 1_u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        for _ in 0..20_000 {
            let mut output = Vec::new();
            for _ in 0..below(40) {
                match below(4) {
                    0 => output.extend_from_slice(WORDS[below(WORDS.len())]),
                    1 => output.push(u8::try_from(below(256)).unwrap_or_default()),
                    _ => output.push(LIKELY[below(LIKELY.len())]),
                }
            }
            let limit = below(200);
            let cut = below(output.len() + 1);
            assert_eq!(read(&output, limit, &[]), read(&output, limit, &[cut]), "{output:?}");
        }
    }
}
