//! The options of `wagi run`.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, HeaderValue, Method};

use crate::cli::args::Variable;
use crate::cli::args::development::{GuestVariables, target_options};
use crate::cli::args::format::FormatArgument;
use crate::cli::args::registries::RegistryArguments;
use crate::cli::args::serve::variable;
use crate::cli::commands::run::{BodySource, CallTracing, HeadOutput, PrintedPart, RequestSpec, RunCommand};

/// What follows the options in the help.
pub(in crate::cli::args) const RUN_EXAMPLES: &str = "Examples:
  wagi run hello.wasm
  wagi run hello.wasm '/greet?name=ada' --include
  wagi run modules.toml /form --data 'name=ada&city=London'
  wagi run modules.toml /upload --method PUT --data @photo.jpg --header 'Content-Type: image/jpeg'
  wagi run . /hello --show-env
  wagi run hello.wasm --trace
  wagi run hello.wasm --repeat 1000

Exit codes:
  0  the status of the response is 2xx or 3xx
  1  it is another one, or there is no complete response; standard error says why
  2  the command line is not valid";

/// The options of `wagi run`.
#[derive(Args)]
pub(in crate::cli::args) struct RunArguments {
    /// A module or component, a modules.toml, or a directory with a modules.toml
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// The path with its query, or a URL
    #[arg(value_name = "PATH", default_value = "/")]
    path: String,

    /// The method [default: GET, with a body POST]
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = method)]
    method: Option<Method>,

    /// A header field; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = field)]
    header: Vec<(HeaderName, HeaderValue)>,

    /// The request body: a text, or @FILE
    #[arg(short, long, value_name = "TEXT|@FILE", conflicts_with = "stdin")]
    data: Option<OsString>,

    /// Standard input is the request body
    #[arg(long)]
    stdin: bool,

    /// A variable for the guests; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,

    /// A file with variables for the guests; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Print status and header fields before the body
    #[arg(short, long)]
    include: bool,

    /// Print what the guest has printed, byte for byte, and not what a client gets
    #[arg(long, group = "view", conflicts_with = "include")]
    raw: bool,

    /// Print the arguments and variables that the guest gets, and not the response
    #[arg(long, group = "view", conflicts_with = "include")]
    show_env: bool,

    /// Print phases and the calls of a module to its host, each with its time, on standard error
    #[arg(long)]
    trace: bool,

    /// Send the request that many times, and print a table of times
    #[arg(long, value_name = "NUMBER", group = "view", conflicts_with_all = ["include", "stdin", "trace"])]
    repeat: Option<NonZeroU32>,

    /// The form of the output
    #[arg(long, value_name = "FORM", value_enum, default_value_t = FormatArgument::Text, conflicts_with = "raw")]
    format: FormatArgument,

    #[command(flatten)]
    registries: RegistryArguments,
}

impl RunArguments {
    pub fn command(self, variable: Variable<'_>) -> RunCommand {
        let body = match (self.stdin, self.data) {
            (true, _) => BodySource::StandardInput,
            (false, Some(data)) => BodySource::from_argument(data),
            (false, None) => BodySource::Empty,
        };
        let view = match (self.raw, self.show_env, self.repeat) {
            (true, ..) => PrintedPart::Raw,
            (_, true, _) => PrintedPart::Inputs,
            (.., Some(times)) => PrintedPart::Times(times),
            _ if self.include => PrintedPart::Response(HeadOutput::Printed),
            _ => PrintedPart::Response(HeadOutput::Omitted),
        };
        let variables = GuestVariables { env: self.env, env_files: self.env_file };
        RunCommand {
            target: target_options(self.target, variables, self.registries, variable),
            request: RequestSpec { target: self.path, method: self.method, fields: self.header, body },
            view,
            tracing: if self.trace { CallTracing::On } else { CallTracing::Off },
            format: self.format.into(),
        }
    }
}

fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| "a method is one word, such as PUT".to_owned())
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let expected = "a field has a name and a value, such as `Accept: text/html`";
    let (name, value) = text.split_once(':').ok_or(expected)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| format!("`{name}` is no name of a field: {expected}"))?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| format!("the value cannot be sent: {expected}"))?;
    Ok((name, value))
}
