//! How does an HTTP/1.1 response become one of CGI?
//!
//! The HTTP library writes it, so it is well-formed; what is not ends nothing and never looks complete. Fields about the connection
//! are removed, and the chunked coding is.

/// The longest head that is kept until it is complete. The library's own bound is below.
const MAX_HEAD: usize = 4 << 20;

/// Reads one response.
#[derive(Debug)]
pub(crate) struct ResponseDecoder {
    step: DecoderStep,
    /// A head that is not complete.
    head: Vec<u8>,
    /// Whether the request was HEAD: its response has no body.
    is_head: bool,
    has_begun: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DecoderStep {
    Head,
    Body(u64),
    ChunkSize(u64),
    ChunkSizeEnd(u64),
    Chunk(u64),
    ChunkEnd,
    Trailer {
        is_empty: bool,
    },
    Done,
    /// The end of the body cannot be told from a failure.
    Endless,
}

impl ResponseDecoder {
    pub(crate) fn new(is_head: bool) -> Self {
        Self { step: DecoderStep::Head, head: Vec::new(), is_head, has_begun: false }
    }

    /// Whether a part of the response has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.step == DecoderStep::Done
    }

    /// Whether a part of the response has come, and not all.
    pub(crate) fn is_cut(&self) -> bool {
        self.has_begun && !self.is_complete()
    }

    /// Appends to `out` what `input` stands for.
    pub(crate) fn decode(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some((&first, rest)) = input.split_first() {
            self.has_begun = true;
            let (step, taken) = match self.step {
                DecoderStep::Head => (self.head_byte(first, out), 1),
                DecoderStep::Body(left) | DecoderStep::Chunk(left) => {
                    let length = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    out.extend_from_slice(&input[..length]);
                    (self.after(left - length as u64), length)
                }
                DecoderStep::Endless => {
                    out.extend_from_slice(input);
                    (DecoderStep::Endless, input.len())
                }
                DecoderStep::Done => return,
                step => (framing(step, first), 1),
            };
            self.step = step;
            input = if taken == 1 { rest } else { &input[taken..] };
        }
    }

    /// What comes when `left` bytes of a body or a chunk do.
    fn after(&self, left: u64) -> DecoderStep {
        match (self.step, left) {
            (DecoderStep::Chunk(_), 0) => DecoderStep::ChunkEnd,
            (DecoderStep::Chunk(_), _) => DecoderStep::Chunk(left),
            (_, 0) => DecoderStep::Done,
            _ => DecoderStep::Body(left),
        }
    }

    fn head_byte(&mut self, byte: u8, out: &mut Vec<u8>) -> DecoderStep {
        self.head.push(byte);
        if self.head.len() > MAX_HEAD {
            return DecoderStep::Endless;
        }
        if !self.head.ends_with(b"\r\n\r\n") {
            return DecoderStep::Head;
        }
        let head = std::mem::take(&mut self.head);
        self.convert(&head, out)
    }

    /// Writes the head as CGI has it. What follows it?
    fn convert(&self, head: &[u8], out: &mut Vec<u8>) -> DecoderStep {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status = lines.next().and_then(|line| line.get(9..)).unwrap_or(b"500");
        // Interim responses are not for the web server.
        if status.first() == Some(&b'1') {
            return DecoderStep::Head;
        }
        out.extend_from_slice(&[b"Status: ", status, b"\r\n"].concat());
        let mut step = DecoderStep::Endless;
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match &*name.to_ascii_lowercase() {
                b"connection" | b"keep-alive" | b"proxy-connection" | b"te" | b"trailer" | b"upgrade" => continue,
                // A second one could be taken for the first.
                b"status" => continue,
                b"transfer-encoding" => {
                    step = DecoderStep::ChunkSize(0);
                    continue;
                }
                b"content-length" => {
                    let length = std::str::from_utf8(value).ok().and_then(|length| length.parse().ok());
                    step = length.map_or(DecoderStep::Endless, |length| {
                        if length == 0 { DecoderStep::Done } else { DecoderStep::Body(length) }
                    });
                }
                _ => {}
            }
            out.extend_from_slice(&[line, b"\r\n"].concat());
        }
        out.extend_from_slice(b"\r\n");
        let is_empty = self.is_head || status.starts_with(b"204") || status.starts_with(b"304");
        if is_empty { DecoderStep::Done } else { step }
    }
}

/// What comes after one byte of the chunked coding (RFC 9112 §7.1).
fn framing(step: DecoderStep, byte: u8) -> DecoderStep {
    match (step, byte) {
        (DecoderStep::ChunkSize(size), b'\r') => DecoderStep::ChunkSizeEnd(size),
        (DecoderStep::ChunkSize(size), byte) => match char::from(byte).to_digit(16) {
            Some(digit) if size < 1 << 59 => DecoderStep::ChunkSize(size * 16 + u64::from(digit)),
            _ => DecoderStep::Endless,
        },
        (DecoderStep::ChunkSizeEnd(0), b'\n') => DecoderStep::Trailer { is_empty: true },
        (DecoderStep::ChunkSizeEnd(size), b'\n') => DecoderStep::Chunk(size),
        (DecoderStep::ChunkEnd, b'\r') => DecoderStep::ChunkEnd,
        (DecoderStep::ChunkEnd, b'\n') => DecoderStep::ChunkSize(0),
        (DecoderStep::Trailer { is_empty: true }, b'\n') => DecoderStep::Done,
        (DecoderStep::Trailer { .. }, b'\n') => DecoderStep::Trailer { is_empty: true },
        (DecoderStep::Trailer { is_empty }, b'\r') => DecoderStep::Trailer { is_empty },
        (DecoderStep::Trailer { .. }, _) => DecoderStep::Trailer { is_empty: false },
        _ => DecoderStep::Endless,
    }
}
