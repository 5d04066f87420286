//! `wagi cgi`: run a module as a CGI program of another web server.
//!
//! One process responds to one request, with the same gateway as the server. The web server says who asks: its variables
//! become the request (`request`), whose body is standard input (`standard_input`). The response goes to standard output as it
//! comes (`response`).

mod request;
mod response;
pub mod standard_input;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustix::fs::{Access, access};
use tokio::runtime::{Builder, Runtime};

use wagi::Gateway;
use wagi::RoutePattern;
use wagi::config::{AccessLogTarget, Config, Diagnostic, Options, Source};
use wagi::fetch::{self, Silent};
use wagi::observe::LogWriter;
use wagi::startup;

use crate::cli::commands::cgi::request::{CgiVariables, RequestError};
use crate::cli::commands::cgi::response::ResponsePrinter;
use crate::cli::terminal::print_problems;

/// The directory beside the module that compiled code is kept in without `--cache`.
const CACHE_BESIDE: &str = ".wagi-cache";

/// The guests that there is room for. There is one; the rest is for what the gateway keeps free.
const CONCURRENCY: usize = 4;

/// Threads for the request. Guests that compute for long have their own.
const THREADS: usize = 2;

/// The options of `wagi cgi`.
pub struct CgiCommand {
    pub file: PathBuf,
    /// The directory for compiled code, or a configuration of the code cache. Default: a directory beside the file, if it can
    /// be written.
    pub cache: Option<PathBuf>,
    pub access_log: AccessLogTarget,
    pub env: Vec<(String, String)>,
    pub env_files: Vec<PathBuf>,
    /// The environment, which holds the variables of the request.
    pub variables: Vec<(OsString, OsString)>,
}

impl CgiCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = runtime()?;
        let log = LogWriter::spawn(std::io::stderr()).context("cannot start the log")?;
        let result = runtime.block_on(self.respond(&log));
        // Without waiting for the thread that reads standard input, or for a guest whose file operation hangs.
        runtime.shutdown_background();
        log.flush();
        result.map(|()| ExitCode::SUCCESS)
    }

    async fn respond(&self, log: &LogWriter) -> anyhow::Result<()> {
        let variables = CgiVariables::new(&self.variables);
        let request = match variables.request() {
            Ok(request) => request,
            Err(error @ RequestError::NotUnderCgi) => return Err(error.into()),
            // Clients cause it.
            Err(RequestError::Malformed(_)) => return ResponsePrinter::new().print_bad_request().await,
        };
        let gateway = self.gateway(variables.route(request.uri().path()), log).await?;
        ResponsePrinter::new().print(gateway.handle(request).await).await
    }

    async fn gateway(&self, route: RoutePattern, log: &LogWriter) -> anyhow::Result<Gateway> {
        let (mut config, mut problems) = Config::load(&self.options());
        config.limits.total_concurrency = CONCURRENCY;
        config.entries.iter_mut().for_each(|entry| entry.route = route.clone());
        let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
        let loaded = startup::load(&mut resolved, log, &mut problems).await;
        print_problems(&problems);
        if problems.iter().any(Diagnostic::is_error) {
            bail!("`{}` cannot be run", self.file.display());
        }
        Ok(loaded?)
    }

    fn options(&self) -> Options {
        let (cache, user_cache) = match &self.cache {
            Some(file) if file.is_file() => (Some(file.clone()), None),
            Some(directory) => (None, std::path::absolute(directory).ok()),
            None => (None, cache_beside(&self.file)),
        };
        Options {
            cache,
            user_cache,
            env: self.env.clone(),
            env_files: self.env_files.clone(),
            access_log: self.access_log.clone(),
            ..Options::new(Source::Module(self.file.clone()))
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(THREADS).enable_all().build().context("cannot start threads")
}

/// A directory beside the file, if this user can keep code there.
fn cache_beside(file: &Path) -> Option<PathBuf> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.join(CACHE_BESIDE);
    let place = if directory.is_dir() { &directory } else { parent };
    access(place, Access::WRITE_OK | Access::EXEC_OK).is_ok().then(|| std::path::absolute(&directory).ok()).flatten()
}
