//! Which responses does a run hold, and under which handles?
//!
//! The imports of `wasi_experimental_http` keep one [`OpenResponses`] per run. A handle is the lowest number that is free,
//! the first one 0.

use crate::outbound::budget::CallLimits;
use crate::outbound::error::Error;
use crate::outbound::response::CallResponse;

/// The responses that one run holds.
#[derive(Debug)]
pub struct OpenResponses {
    open: Vec<Option<OpenResponse>>,
    /// How many of them may be open.
    max_open: Option<u32>,
    /// Calls made, and how many may be.
    calls: u32,
    max_calls: u32,
    /// How many bytes of bodies may be held.
    max_held: usize,
}

/// A response, and how far the guest has read it.
#[derive(Debug)]
struct OpenResponse {
    response: CallResponse,
    read: usize,
}

impl OpenResponses {
    pub(super) fn new(limits: &CallLimits, max_open: Option<u32>) -> Self {
        Self { open: Vec::new(), max_open, calls: 0, max_calls: limits.calls, max_held: limits.held }
    }

    /// Counts one more call, if there may be another.
    pub fn admit(&mut self) -> Result<(), Error> {
        if self.max_open.is_some_and(|max| self.count() >= max as usize) {
            return Err(Error::TooManyOpen);
        }
        if self.calls >= self.max_calls {
            return Err(Error::TooManyCalls(self.max_calls));
        }
        self.calls += 1;
        Ok(())
    }

    /// The number of open responses.
    pub fn count(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Opens a handle for a response. Fails when the run holds too many bytes already.
    pub fn open(&mut self, response: CallResponse) -> Result<u32, Error> {
        let held: usize = self.open.iter().flatten().map(|open| open.response.body().len()).sum();
        if held.saturating_add(response.body().len()) > self.max_held {
            return Err(Error::TooManyOpen);
        }
        let open_response = Some(OpenResponse { response, read: 0 });
        let free = self.open.iter().position(Option::is_none);
        match free.and_then(|handle| self.open.get_mut(handle)) {
            Some(slot) => *slot = open_response,
            None => self.open.push(open_response),
        }
        u32::try_from(free.unwrap_or(self.open.len() - 1)).map_err(|_| Error::TooManyOpen)
    }

    /// Drops a response. There need not be one.
    pub fn close(&mut self, handle: u32) {
        if let Some(slot) = self.open.get_mut(handle as usize) {
            *slot = None;
        }
    }

    /// Whether the handle is that of an open response.
    pub fn check(&self, handle: u32) -> Result<(), Error> {
        self.open_response(handle).map(|_| ())
    }

    /// The first value of a header. Names are compared without regard to case.
    pub fn header(&self, handle: u32, name: &[u8]) -> Result<&[u8], Error> {
        let response = &self.open_response(handle)?.response;
        let name = std::str::from_utf8(name).map_err(|_| Error::NotUtf8)?;
        response.headers().get(name).map(|value| value.as_bytes()).ok_or(Error::HeaderNotFound)
    }

    /// All headers as lines of `name:value`, each ended by LF.
    pub fn headers_text(&self, handle: u32) -> Result<String, Error> {
        self.open_response(handle)?.response.headers_text()
    }

    /// Fills `into` with what comes next of the body and returns the number of bytes, 0 at its end.
    pub fn read(&mut self, handle: u32, into: &mut [u8]) -> Result<usize, Error> {
        let open_response = self.open.get_mut(handle as usize).and_then(Option::as_mut).ok_or(Error::InvalidHandle)?;
        let rest = open_response.response.body().get(open_response.read..).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        open_response.read += count;
        Ok(count)
    }

    fn open_response(&self, handle: u32) -> Result<&OpenResponse, Error> {
        self.open.get(handle as usize).and_then(Option::as_ref).ok_or(Error::InvalidHandle)
    }
}

#[cfg(test)]
mod tests {
    use crate::outbound::open_responses::*;

    fn open_responses(max_open: Option<u32>) -> OpenResponses {
        OpenResponses::new(&CallLimits { calls: 5, held: 10, ..CallLimits::default() }, max_open)
    }

    fn code<T>(result: Result<T, Error>) -> u32 {
        result.err().map_or(0, |error| error.code())
    }

    #[test]
    fn handles_are_the_lowest_free_numbers_from_zero() {
        let mut open_responses = open_responses(None);
        let mut open = || open_responses.open(CallResponse::of(&[], b"x")).expect("room");
        assert_eq!([open(), open(), open()], [0, 1, 2]);
        open_responses.close(1);
        assert_eq!(code(open_responses.check(1)), 1);
        open_responses.close(0);
        let mut open = || open_responses.open(CallResponse::of(&[], b"x")).expect("room");
        assert_eq!([open(), open(), open()], [0, 1, 3]);
        assert_eq!(open_responses.count(), 4);
    }

    #[test]
    fn closing_what_is_not_open_does_nothing() {
        let mut open_responses = open_responses(None);
        for handle in [0, 0, 7, u32::MAX] {
            open_responses.close(handle);
        }
        assert_eq!(open_responses.open(CallResponse::of(&[], b"")).expect("room"), 0);
    }

    #[test]
    fn handles_that_are_not_open_are_invalid() {
        let mut open_responses = open_responses(None);
        for handle in [0, 1, u32::MAX] {
            assert_eq!(code(open_responses.header(handle, b"\xff")), 1);
            assert_eq!(code(open_responses.headers_text(handle)), 1);
            assert_eq!(code(open_responses.read(handle, &mut [0; 4])), 1);
        }
    }

    #[test]
    fn headers_are_found_without_regard_to_case_and_the_first_counts() {
        let mut open_responses = open_responses(None);
        let headers = [("set-cookie", &b"a=1"[..]), ("set-cookie", b"b=2"), ("x-raw", b"\xff")];
        let handle = open_responses.open(CallResponse::of(&headers, b"")).expect("room");
        assert_eq!(open_responses.header(handle, b"SET-Cookie").expect("a header"), b"a=1");
        assert_eq!(open_responses.header(handle, b"x-raw").expect("a header"), b"\xff");
        for (name, expected) in [(&b"x-other"[..], 5), (b"", 5), (b"a b", 5), (b"\xff", 6)] {
            assert_eq!(code(open_responses.header(handle, name)), expected, "{name:?}");
        }
    }

    #[test]
    fn all_headers_are_one_line_for_each_value() {
        let mut open_responses = open_responses(None);
        let headers = [("set-cookie", &b"a=1"[..]), ("x-empty", b""), ("set-cookie", b"b=2")];
        let handle = open_responses.open(CallResponse::of(&headers, b"")).expect("room");
        let text = open_responses.headers_text(handle).expect("text");
        assert_eq!(text, "set-cookie:a=1\nset-cookie:b=2\nx-empty:\n");
        let handle = open_responses.open(CallResponse::of(&[], b"")).expect("room");
        assert_eq!(open_responses.headers_text(handle).expect("text"), "");
        for value in [&b"\xff"[..], b"a\tb", "\u{85}".as_bytes()] {
            let handle = open_responses.open(CallResponse::of(&[("x-raw", value)], b"")).expect("room");
            assert_eq!(code(open_responses.headers_text(handle)), 12, "{value:?}");
        }
    }

    #[test]
    fn bodies_are_read_in_pieces() {
        let mut open_responses = open_responses(None);
        let handle = open_responses.open(CallResponse::of(&[], b"hello")).expect("room");
        let mut into = [0; 3];
        let mut pieces = Vec::new();
        for expected in [3, 2, 0, 0] {
            let count = open_responses.read(handle, &mut into).expect("open");
            assert_eq!(count, expected);
            pieces.extend_from_slice(&into[..count]);
            assert_eq!(open_responses.read(handle, &mut []).expect("open"), 0);
        }
        assert_eq!(pieces, b"hello");
    }

    #[test]
    fn open_responses_calls_and_bytes_are_counted() {
        let mut few = open_responses(Some(1));
        few.admit().expect("the first");
        few.open(CallResponse::of(&[], b"")).expect("room");
        assert_eq!(code(few.admit()), 13);
        few.close(0);
        few.admit().expect("the next");

        let mut many = open_responses(None);
        for _ in 0..5 {
            many.admit().expect("one of five");
        }
        assert_eq!(code(many.admit()), 13);

        let mut large = open_responses(None);
        large.open(CallResponse::of(&[], b"123456")).expect("room");
        assert_eq!(code(large.open(CallResponse::of(&[], b"12345"))), 13);
        large.open(CallResponse::of(&[], b"1234")).expect("room");
    }
}
