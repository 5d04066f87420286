//! `wagi run`: one request through the whole gateway, without a socket.
//!
//! The configuration is loaded as for a server (`target`), and the request (`request`) gets the response that a client would get. What
//! guests print on standard error goes to that of this process (`run_log`), and the response to standard output (`printer`). A
//! watcher sees what the guest gets and prints (`watching`).

mod errno;
mod message;
mod printer;
mod request;
mod response;
mod run_log;
pub mod target;
mod times;
mod trace;
mod watching;

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use wagi::Gateway;
use wagi::admin::reload::problem;
use wagi::config::{Config, Diagnostic, LogFormat, Source};
use wagi::fetch;
use wagi::observe::LogWriter;
use wagi::startup;

pub use crate::cli::commands::run::request::{BodySource, RequestSpec};

use crate::cli::commands::run::message::ResponseRemark;
use crate::cli::commands::run::printer::OutputPrinter;
use crate::cli::commands::run::request::PreparedRequest;
use crate::cli::commands::run::response::{BodyDestination, ReceivedResponse, send};
use crate::cli::commands::run::run_log::{FinishedRequest, RunLog, StderrEcho};
use crate::cli::commands::run::target::TargetOptions;
use crate::cli::commands::run::times::RequestTimes;
use crate::cli::commands::run::trace::{TraceRecorder, milliseconds};
use crate::cli::commands::run::watching::GuestWatcher;
use crate::cli::commands::runtime;
use crate::cli::commands::serve::logging;
use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{OutputFormat, print_json, print_message, print_problems, print_result};

/// The guests that there is room for. There is one; the rest is for what the gateway keeps free.
const CONCURRENCY: usize = 4;

/// After how many requests their lines in the log are read, so that the log has room for the next ones.
const LINES_AT_ONCE: u32 = 256;

/// The options of `wagi run`.
pub struct RunCommand {
    pub target: TargetOptions,
    pub request: RequestSpec,
    pub view: PrintedPart,
    pub tracing: CallTracing,
    pub format: OutputFormat,
}

/// What is printed on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintedPart {
    /// What a client gets.
    Response(HeadOutput),
    /// What the guest has printed.
    Raw,
    /// What the guest got.
    Inputs,
    /// How long this number of requests took.
    Times(NonZeroU32),
}

/// Whether standard error gets what happens during the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTracing {
    Off,
    On,
}

/// Whether status and header fields are printed before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadOutput {
    Printed,
    Omitted,
}

impl RunCommand {
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        let file = if let BodySource::File(path) = &mut self.request.body { Some(path) } else { None };
        let source = self.target.enter(file)?;
        let runtime = runtime()?;
        let echo = if self.format == OutputFormat::Json { StderrEcho::Off } else { StderrEcho::On };
        let run_log = RunLog::with_echo(echo);
        let log = LogWriter::spawn_with_format(run_log.clone(), LogFormat::Json).context("cannot start the log")?;
        logging::init_for_command(&log);
        let result = runtime.block_on(async {
            let loaded = LoadedCommand::load(&self, source, LoadedLog { log, run_log }).await?;
            loaded.run().await
        });
        // Without waiting for the thread that reads standard input, or for a guest whose file operation hangs.
        runtime.shutdown_background();
        result
    }

    /// With JSON, the first error is the result.
    fn print_problem(&self, error: &Diagnostic) -> anyhow::Result<()> {
        match self.format {
            OutputFormat::Text => Ok(()),
            OutputFormat::Json => print_json(&json!({ "error": problem(error) })),
        }
    }
}

/// Where the log goes, and what is known from it.
struct LoadedLog {
    log: LogWriter,
    run_log: RunLog,
}

/// A command whose gateway is loaded.
struct LoadedCommand<'a> {
    command: &'a RunCommand,
    gateway: Gateway,
    /// The name of the server.
    host: String,
    log: LoadedLog,
    printer: OutputPrinter,
    watcher: Arc<GuestWatcher>,
    trace: Option<Arc<TraceRecorder>>,
    /// How long that took.
    took: Duration,
}

impl<'a> LoadedCommand<'a> {
    async fn load(command: &'a RunCommand, source: Source, log: LoadedLog) -> anyhow::Result<Self> {
        let began = Instant::now();
        let (mut config, mut problems) = Config::load(&command.target.options(source));
        config.limits.total_concurrency = CONCURRENCY;
        let trace = match command.tracing {
            CallTracing::Off => None,
            CallTracing::On => Some(Arc::new(TraceRecorder::new(&mut config)?)),
        };
        let printer = OutputPrinter::to_stdout();
        let raw = (command.view == PrintedPart::Raw).then(|| printer.clone());
        let watcher = Arc::new(GuestWatcher::new(raw, trace.clone()));
        let host = config.hostname.to_string();
        let mut resolved = fetch::complete(config, &mut problems, Bars::on_stderr().progress()).await;
        let gateway = startup::load_watched(&mut resolved, &log.log, Some(watcher.clone()), &mut problems).await;
        print_problems(&problems);
        if let Some(error) = problems.iter().find(|problem| problem.is_error()) {
            command.print_problem(error)?;
            bail!("`{}` cannot be run", command.target.target.display());
        }
        Ok(Self { command, gateway: gateway?, host, log, printer, watcher, trace, took: began.elapsed() })
    }
}

impl LoadedCommand<'_> {
    async fn run(&self) -> anyhow::Result<ExitCode> {
        let request = self.command.request.prepare(&self.host)?;
        if let PrintedPart::Times(times) = self.command.view {
            return self.repeat(&request, times.get()).await;
        }
        let received = send(&self.gateway, &request, self.destination()).await?;
        self.log.log.flush();
        let finished = self.log.run_log.take_requests().pop().unwrap_or_default();
        let remark = ResponseRemark::of(&received, &finished, &self.gateway);
        match (self.command.view, self.command.format) {
            (PrintedPart::Inputs, format) => {
                if self.watcher.inputs().is_none() {
                    remark.print();
                }
                self.print_inputs(format)?;
            }
            (_, OutputFormat::Json) => {
                let mut report = received.json(&request, &finished);
                report["stderr"] = self.log.run_log.stderr().into();
                report["trace"] = self.trace.as_ref().map(|trace| trace.json(received.began, &finished)).into();
                print_json(&report)?;
            }
            (PrintedPart::Raw, _) if self.watcher.serves_http() => {
                bail!("a component of `wasi:http` prints no response: leave out `--raw`")
            }
            _ => {}
        }
        let is_read = !self.printer.is_gone();
        self.printer.finish().context("cannot print the response")?;
        if self.command.format == OutputFormat::Text {
            self.print_trace(&received, &finished);
        }
        // That the reader has gone needs no remark.
        if is_read || !remark.is_success() {
            remark.print();
        }
        Ok(if remark.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Phases and calls, on standard error.
    fn print_trace(&self, received: &ReceivedResponse, finished: &FinishedRequest) {
        let Some(trace) = &self.trace else { return };
        let phase = |time: Duration, what: &str| print_message(format_args!("{:>12}  {what}", milliseconds(time)));
        phase(self.took, "to load the configuration and its modules, before the request");
        for line in trace.lines(received.began, finished) {
            print_message(format_args!("{line}"));
        }
        phase(received.to_head, &format!("head of the response: {}", received.status));
        phase(received.took, &format!("end: {}", finished.end));
        phase(Duration::from_micros(finished.guest_us), "of computing by the guest");
    }

    /// Where the response goes.
    fn destination(&self) -> BodyDestination<'_> {
        match (self.command.view, self.command.format) {
            (PrintedPart::Response(_), OutputFormat::Json) => BodyDestination::Kept,
            (PrintedPart::Response(head), OutputFormat::Text) => BodyDestination::Printed(&self.printer, head),
            (PrintedPart::Raw, _) => BodyDestination::Raw(&self.printer),
            _ => BodyDestination::Discarded,
        }
    }

    fn print_inputs(&self, format: OutputFormat) -> anyhow::Result<()> {
        let inputs = self.watcher.inputs().context("the request has reached no guest")?;
        match format {
            OutputFormat::Text => print_result(&inputs.text()),
            OutputFormat::Json => print_json(&inputs.json()),
        }
    }

    async fn repeat(&self, request: &PreparedRequest, times: u32) -> anyhow::Result<ExitCode> {
        let mut table = RequestTimes::default();
        let mut is_success = true;
        let (mut batch, mut failure) = (Vec::new(), None);
        for number in 1..=times {
            let received = send(&self.gateway, request, BodyDestination::Discarded).await?;
            is_success &= received.is_success();
            table.total.push(received.took_us());
            *table.statuses.entry(received.status.as_u16()).or_default() += 1;
            batch.push(received);
            if number % LINES_AT_ONCE == 0 || number == times {
                self.log.log.flush();
                let finished = self.log.run_log.take_requests();
                table.guest.extend(finished.iter().map(|finished| finished.guest_us));
                // The requests are sent one after the other, so both are in the same order.
                let mut remarks = batch
                    .drain(..)
                    .zip(&finished)
                    .map(|(received, finished)| ResponseRemark::of(&received, finished, &self.gateway));
                failure = failure.or_else(|| remarks.find(|remark| !remark.is_success()));
            }
        }
        match self.command.format {
            OutputFormat::Text => print_result(&table.table(&request.shown()))?,
            OutputFormat::Json => print_json(&table.json())?,
        }
        // Of the first request that has failed.
        failure.iter().for_each(ResponseRemark::print);
        Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
