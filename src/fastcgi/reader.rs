//! What does a web server say over FastCGI? A state machine over its records: one request at a time.

use bytes::{Bytes, BytesMut};

use crate::fastcgi::parameters::Parameters;
use crate::fastcgi::record::{
    self, ABORT_REQUEST, BEGIN_REQUEST, CANT_MPX_CONN, FastCgiRecord, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDIN,
    UNKNOWN_ROLE, UNKNOWN_TYPE,
};
use crate::fastcgi::{BadInput, Event};

const RESPONDER: [u8; 2] = [0, 1];
const KEEP_CONN: u8 = 1;

/// Reads what a web server sends over one connection.
#[derive(Debug)]
pub(crate) struct FastCgiReader {
    step: ReaderStep,
    parameters: BytesMut,
    /// The most bytes of parameters.
    limit: usize,
    /// The parameters of the current request were more than that.
    is_too_long: bool,
    /// How many connections the server may have.
    connections: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum ReaderStep {
    Begin,
    Parameters(FastCgiRequest),
    Body(FastCgiRequest),
    Response(FastCgiRequest),
}

/// A request that has begun and has not ended.
#[derive(Clone, Copy, Debug)]
struct FastCgiRequest {
    id: u16,
    keeps_connection: bool,
}

impl ReaderStep {
    fn request(self) -> Option<FastCgiRequest> {
        match self {
            Self::Begin => None,
            Self::Parameters(request) | Self::Body(request) | Self::Response(request) => Some(request),
        }
    }
}

impl FastCgiReader {
    pub(crate) fn new(limit: usize, connections: usize) -> Self {
        Self { step: ReaderStep::Begin, parameters: BytesMut::new(), limit, is_too_long: false, connections }
    }

    /// The id of the request that is open.
    pub(crate) fn id(&self) -> u16 {
        self.step.request().map_or(0, |request| request.id)
    }

    /// Whether the connection goes on after the request that is open.
    pub(crate) fn keeps_connection(&self) -> bool {
        self.step.request().is_some_and(|request| request.keeps_connection)
    }

    /// Whether more of the request that is open is to come.
    pub(crate) fn expects_more(&self) -> bool {
        matches!(self.step, ReaderStep::Parameters(_) | ReaderStep::Body(_))
    }

    /// Lets the next request begin. What still comes of this one is ignored.
    pub(crate) fn finish(&mut self) {
        self.step = ReaderStep::Begin;
    }

    /// The next event in `input`; `None` if more bytes are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, BadInput> {
        loop {
            let Some(record) = FastCgiRecord::take(input).map_err(|_| BadInput::Malformed)? else { return Ok(None) };
            if let Some(event) = self.read(record)? {
                return Ok(Some(event));
            }
        }
    }

    fn read(&mut self, record: FastCgiRecord) -> Result<Option<Event>, BadInput> {
        if record.id == 0 {
            return self.manage(&record).map(|reply| Some(Event::Reply(reply)));
        }
        if record.kind == BEGIN_REQUEST {
            return self.begin(&record);
        }
        // What is left of a request that was refused or has ended.
        let Some(request) = self.step.request().filter(|request| request.id == record.id) else { return Ok(None) };
        match (record.kind, self.step) {
            (ABORT_REQUEST, _) => Ok(Some(Event::Abort)),
            (PARAMS, ReaderStep::Parameters(_)) if record.content.is_empty() => {
                self.step = ReaderStep::Body(request);
                Ok(Some(self.end_parameters()))
            }
            (PARAMS, ReaderStep::Parameters(_)) => {
                self.append_parameters(&record.content);
                Ok(None)
            }
            (STDIN, ReaderStep::Body(_)) if record.content.is_empty() => {
                self.step = ReaderStep::Response(request);
                Ok(Some(Event::BodyEnd))
            }
            (STDIN, ReaderStep::Body(_)) => Ok(Some(Event::Body(record.content))),
            (PARAMS, _) | (STDIN, ReaderStep::Parameters(_)) => Err(BadInput::Malformed),
            // Types that are not known, and a second end of the body.
            _ => Ok(None),
        }
    }

    fn append_parameters(&mut self, content: &[u8]) {
        self.is_too_long |= self.parameters.len() + content.len() > self.limit;
        if self.is_too_long {
            self.parameters = BytesMut::new();
        } else {
            self.parameters.extend_from_slice(content);
        }
    }

    fn end_parameters(&mut self) -> Event {
        if std::mem::take(&mut self.is_too_long) {
            return Event::BadRequest(BadInput::TooLong);
        }
        Parameters::read(self.parameters.split().freeze()).map_or_else(Event::BadRequest, Event::Request)
    }

    fn begin(&mut self, record: &FastCgiRecord) -> Result<Option<Event>, BadInput> {
        let &[role_high, role_low, flags, ..] = &*record.content else { return Err(BadInput::Malformed) };
        let id = record.id;
        if let Some(open) = self.step.request() {
            if open.id == id {
                return Err(BadInput::Malformed);
            }
            return Ok(Some(Event::Reply(record::refusal(id, CANT_MPX_CONN))));
        }
        let keeps_connection = flags & KEEP_CONN != 0;
        if [role_high, role_low] != RESPONDER {
            let reply = record::refusal(id, UNKNOWN_ROLE);
            return Ok(Some(if keeps_connection { Event::Reply(reply) } else { Event::LastReply(reply) }));
        }
        self.step = ReaderStep::Parameters(FastCgiRequest { id, keeps_connection });
        self.parameters.clear();
        self.is_too_long = false;
        Ok(None)
    }

    /// The reply to a management record.
    fn manage(&self, record: &FastCgiRecord) -> Result<Bytes, BadInput> {
        let mut out = BytesMut::new();
        if record.kind != GET_VALUES {
            record::append(&mut out, UNKNOWN_TYPE, 0, &[record.kind, 0, 0, 0, 0, 0, 0, 0]);
            return Ok(out.freeze());
        }
        let asked = Parameters::read(record.content.clone())?;
        let connections = self.connections.to_string();
        let known = [("FCGI_MAX_CONNS", &*connections), ("FCGI_MAX_REQS", &*connections), ("FCGI_MPXS_CONNS", "0")];
        let mut values = Vec::new();
        for (name, value) in
            known.into_iter().filter(|(name, _)| asked.iter().any(|(asked, _)| asked == name.as_bytes()))
        {
            // Both are short.
            values.extend([name.len(), value.len()].map(|length| u8::try_from(length).unwrap_or_default()));
            values.extend_from_slice(name.as_bytes());
            values.extend_from_slice(value.as_bytes());
        }
        record::append(&mut out, GET_VALUES_RESULT, 0, &values);
        Ok(out.freeze())
    }
}
