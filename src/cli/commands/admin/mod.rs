//! `wagi health` and `wagi admin`: what a running server says on its admin listener.

mod client;
pub mod table;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::Value;

use wagi::printable;

use crate::cli::commands::admin::client::{AdminClient, Reply};
use crate::cli::terminal::{OutputState, print_message, print_part, print_result, print_screen};

/// Where the admin listener is, unless the operator says otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9901";

/// How often a screen is drawn anew.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a reload may take: it compiles, and fetches modules.
const RELOAD_PATIENCE: Duration = Duration::from_secs(600);

/// Asks whether the server is ready.
pub struct HealthCommand {
    pub address: String,
}

/// Asks the admin listener.
pub struct AdminCommand {
    pub action: AdminAction,
    pub address: String,
    pub token_file: Option<PathBuf>,
    /// The form of the output. Default: a table on a terminal, else JSON.
    pub format: Option<TableFormat>,
    /// Whether to ask again and again.
    pub watch: bool,
}

/// What is asked for.
pub enum AdminAction {
    Status,
    Requests,
    Reload,
    Cancel(String),
}

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    Table,
    Json,
}

impl HealthCommand {
    /// Exits with 0 if the server is ready.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let client = AdminClient::new(&self.address, None)?;
        let reply = client.ask(Method::GET, "/readyz", PATIENCE).await?;
        print_result(&format!("{}\n", printable::line(&reply.body)))?;
        Ok(exit_code(&reply))
    }
}

impl AdminCommand {
    /// Asks, and prints what the server says.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let token = self.token_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path);
            text.with_context(|| format!("cannot read the token file `{}`", path.display()))
        });
        let client = AdminClient::new(&self.address, token.transpose()?.as_deref())?;
        let is_terminal = io::stdout().is_terminal();
        let default = if is_terminal { TableFormat::Table } else { TableFormat::Json };
        let format = self.format.unwrap_or(default);
        loop {
            let reply = self.action.ask(&client).await?;
            let text = self.action.shown(&reply, format)?;
            if !self.watch {
                print_result(&text)?;
                return Ok(exit_code(&reply));
            }
            let is_screen = is_terminal && format == TableFormat::Table;
            let output = if is_screen { print_screen(&text) } else { print_part(&text) }?;
            if output == OutputState::Closed {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }
}

impl AdminAction {
    async fn ask(&self, client: &AdminClient) -> anyhow::Result<Reply> {
        match self {
            Self::Status => client.ask(Method::GET, "/status", PATIENCE).await,
            Self::Requests => client.ask(Method::GET, "/requests", PATIENCE).await,
            Self::Reload => client.ask(Method::POST, "/reload", RELOAD_PATIENCE).await,
            Self::Cancel(id) => client.ask(Method::DELETE, &format!("/requests/{id}"), PATIENCE).await,
        }
    }

    /// What is printed of a reply, safe for a terminal. What is not JSON is a message.
    fn shown(&self, reply: &Reply, format: TableFormat) -> anyhow::Result<String> {
        let Ok(value) = serde_json::from_str::<Value>(&reply.body) else {
            anyhow::bail!("the server answered {}: {}", reply.status, printable::one_line(&reply.body));
        };
        if format == TableFormat::Json {
            return Ok(printable::json(&value.to_string()).into_owned() + "\n");
        }
        Ok(match self {
            Self::Status => table::status(&value),
            Self::Requests => table::requests(&value),
            Self::Reload => table::reload(&value),
            Self::Cancel(id) => format!("ended {}\n", printable::line(id)),
        })
    }
}

fn exit_code(reply: &Reply) -> ExitCode {
    if reply.status.is_success() {
        return ExitCode::SUCCESS;
    }
    print_message(format_args!("the server answered {}", reply.status));
    ExitCode::FAILURE
}
