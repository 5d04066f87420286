//! What does a web server say over SCGI? A netstring with the parameters, then the body. One request per connection.

use bytes::{Buf, Bytes, BytesMut};

use crate::fastcgi::parameters::Parameters;
use crate::fastcgi::{BadInput, Event};

/// The most digits of a length.
const MAX_DIGITS: usize = 9;

/// Reads what a web server sends over one connection.
#[derive(Debug)]
pub(crate) struct ScgiReader {
    step: ScgiStep,
    /// The most bytes of parameters.
    limit: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum ScgiStep {
    Head,
    Body(u64),
    /// What comes behind the body means nothing.
    Response,
}

impl ScgiReader {
    pub(crate) fn new(limit: usize) -> Self {
        Self { step: ScgiStep::Head, limit }
    }

    /// Whether more of the request is to come.
    pub(crate) fn expects_more(&self) -> bool {
        matches!(self.step, ScgiStep::Head | ScgiStep::Body(1..))
    }

    /// The next event in `input`; `None` if more bytes are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Option<Event> {
        match self.step {
            ScgiStep::Head => self.head(input).unwrap_or_else(|error| {
                self.step = ScgiStep::Response;
                Some(Event::BadRequest(error))
            }),
            ScgiStep::Body(0) => {
                self.step = ScgiStep::Response;
                Some(Event::BodyEnd)
            }
            ScgiStep::Body(_) if input.is_empty() => None,
            ScgiStep::Body(left) => {
                let length = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.step = ScgiStep::Body(left - length as u64);
                Some(Event::Body(input.split_to(length).freeze()))
            }
            ScgiStep::Response => {
                input.clear();
                None
            }
        }
    }

    fn head(&mut self, input: &mut BytesMut) -> Result<Option<Event>, BadInput> {
        let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > MAX_DIGITS {
            return Err(BadInput::TooLong);
        }
        let Some(colon) = input.get(digits) else { return Ok(None) };
        let length: usize = std::str::from_utf8(&input[..digits]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        if *colon != b':' || length == 0 {
            return Err(BadInput::Malformed);
        }
        if length > self.limit {
            return Err(BadInput::TooLong);
        }
        let Some(&comma) = input.get(digits + 1 + length) else { return Ok(None) };
        input.advance(digits + 1);
        let fields = input.split_to(length).freeze();
        input.advance(1);
        if comma != b',' || fields.last() != Some(&0) {
            return Err(BadInput::Malformed);
        }
        let parameters = parameters(fields)?;
        let length = match parameters.value("CONTENT_LENGTH") {
            None => 0,
            Some(_) => parameters.content_length().ok_or(BadInput::Malformed)?,
        };
        self.step = ScgiStep::Body(length);
        Ok(Some(Event::Request(parameters)))
    }
}

/// Names and values, with a zero behind each.
fn parameters(mut fields: Bytes) -> Result<Parameters, BadInput> {
    let mut parameters = Parameters::default();
    let mut next = || {
        let end = fields.iter().position(|byte| *byte == 0)?;
        let field = fields.split_to(end);
        fields.advance(1);
        Some(field)
    };
    while let Some(name) = next() {
        parameters.push(name, next().ok_or(BadInput::Malformed)?)?;
    }
    Ok(parameters)
}
