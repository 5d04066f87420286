//! Which response does a request get that leads to a file, or to no script?

pub(in crate::gateway) mod limits;

use http::Response;
use http::request::Parts;

use crate::observe::{Phase, Record, RequestEnd};
use crate::route::ScriptPath;
use crate::static_files::StaticAnswer;

use crate::gateway::Shared;
use crate::gateway::admission::cancellation::Cancellation;
use crate::gateway::guest_route::{FilesRoute, GuestRoute};
use crate::gateway::response_body::ResponseBody;
use crate::gateway::{compression, response};

/// A path that leads to no script.
pub(super) struct NoScript {
    answer: StaticAnswer,
    /// How the request ends.
    end: RequestEnd,
}

/// The script for a request, if the guest of the route runs scripts.
pub(super) async fn find_script(route: &GuestRoute, head: &Parts, path: &str) -> Result<Option<ScriptPath>, NoScript> {
    let Some(scripts) = &route.scripts else { return Ok(None) };
    // Boxed, so that other requests do not carry its room.
    match Box::pin(scripts.find(head, path)).await {
        Ok(script) => Ok(Some(script)),
        Err(answer) => {
            Err(NoScript { answer, end: if scripts.sends_files() { RequestEnd::Static } else { RequestEnd::None } })
        }
    }
}

impl Shared {
    /// The response of a route that leads to files.
    pub(super) async fn send_file(
        &self,
        route: &FilesRoute,
        head: &Parts,
        path_info: &str,
        mut record: Box<Record>,
    ) -> Response<ResponseBody> {
        record.set_route(route.name.clone());
        let cancellation = Cancellation::of(&record);
        // Boxed, so that requests for guests do not carry its room.
        let mut answer = Box::pin(async { Ok(route.files.respond(head, path_info).await) });
        let response = match cancellation.wait(Phase::Waiting, answer.as_mut()).await {
            Ok(answer) => response::from_files(answer, RequestEnd::Static, || self.sent.file(head), record),
            Err(failure) => return response::from_failure(&failure, record),
        };
        self.compress_if(route.compress, head, response).await
    }

    /// The response for a path that leads to no script.
    pub(super) async fn respond_without_script(
        &self,
        missing: NoScript,
        route: &GuestRoute,
        head: &Parts,
        record: Box<Record>,
    ) -> Response<ResponseBody> {
        let response = response::from_files(missing.answer, missing.end, || self.sent.file(head), record);
        self.compress_if(route.compress, head, response).await
    }

    /// The response, compressed if the entry says so. Boxed, so that others do not carry its room.
    async fn compress_if(&self, is_on: bool, head: &Parts, response: Response<ResponseBody>) -> Response<ResponseBody> {
        if is_on { Box::pin(compression::compress(head, response, || self.sent.encoder(head))).await } else { response }
    }
}
