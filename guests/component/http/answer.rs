//! How does the probe answer?

use std::io::Write;

use wasip2::http::types::{ErrorCode, Fields, HeaderError, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// An answer whose head is on its way.
pub struct Answer {
    // Dropped first: what belongs to something must not be there longer.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Answer {
    pub fn begin(out: ResponseOutparam, status: u16, headers: &[(&str, &str)]) -> Self {
        let response = OutgoingResponse::new(fields(headers));
        response.set_status_code(status).expect("a status");
        let body = response.body().expect("the body is asked for once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream is asked for once");
        Self { body, stream }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        crate::write_all(&mut self.stream, bytes);
    }

    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn end(self) {
        self.try_end().expect("the body is complete");
    }

    pub fn try_end(self) -> Result<(), ErrorCode> {
        drop(self.stream);
        crate::finish(self.body)
    }

    pub fn end_with(self, trailers: &[(&str, &str)]) {
        drop(self.stream);
        OutgoingBody::finish(self.body, Some(fields(trailers))).expect("the body is complete");
    }

    /// Stops in the middle.
    pub fn leave(mut self, bytes: &[u8]) {
        self.write(bytes);
    }
}

pub fn whole(out: ResponseOutparam, text: &str) {
    let mut answer = Answer::begin(out, 200, &[("content-type", "text/plain")]);
    answer.write(text.as_bytes());
    answer.end();
}

pub fn set(name: &str, value: &str) -> Result<(), HeaderError> {
    Fields::new().set(name, &[value.as_bytes().to_vec()])
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in list {
        fields.append(name, value.as_bytes()).expect("a header");
    }
    fields
}
