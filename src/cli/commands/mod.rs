//! The commands of the program.
//!
//! One file per command. `args` creates commands, `main` runs them. The result of a command goes to standard output,
//! everything else to standard error.

pub mod admin;
pub mod cache;
pub mod cgi;
pub mod check;
pub mod compile;
pub mod compiler;
pub mod dev;
pub mod doctor;
pub mod import;
pub mod inspect;
pub mod lock;
pub mod login;
pub mod new;
mod optimize;
pub mod preinit;
pub mod pull;
pub mod push;
pub mod run;
pub mod serve;
pub mod version;

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use wagi::config::Options;

use crate::cli::terminal::{OutputFormat, print_result};

/// A command with its options.
pub enum Command {
    /// Start the server: the command without a subcommand.
    Serve(Box<Options>),
    Pull(pull::PullCommand),
    Push(push::PushCommand),
    Import(import::ImportCommand),
    Inspect(inspect::InspectCommand),
    Login(login::LoginCommand),
    Logout(login::LogoutCommand),
    Lock(lock::LockCommand),
    New(new::NewCommand),
    Cache(cache::CacheCommand),
    Cgi(cgi::CgiCommand),
    Dev(Box<dev::DevCommand>),
    Run(Box<run::RunCommand>),
    Check(Box<check::CheckCommand>),
    Routes(Box<check::RoutesCommand>),
    Doctor(doctor::DoctorCommand),
    Health(admin::HealthCommand),
    Admin(admin::AdminCommand),
    Compile(compile::CompileCommand),
    Preinit(preinit::PreinitCommand),
    Compiler(compiler::CompilerCommand),
    /// Print the script that completes command lines.
    Completions(String),
    Version(OutputFormat),
}

impl Command {
    /// Runs the command, if necessary on a runtime of its own.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(options) => serve::run(&options),
            Self::Cgi(command) => command.run(),
            Self::Dev(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::Compile(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Preinit(command) => command.run(),
            Self::Compiler(command) => command.run(),
            Self::Completions(script) => print_result(&script).map(|()| ExitCode::SUCCESS),
            Self::Version(format) => version::print(format).map(|()| ExitCode::SUCCESS),
            other => runtime()?.block_on(other.run_async()),
        }
    }

    async fn run_async(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(_)
            | Self::Cgi(_)
            | Self::Dev(_)
            | Self::Run(_)
            | Self::Doctor(_)
            | Self::Compile(_)
            | Self::Import(_)
            | Self::Preinit(_)
            | Self::Compiler(_)
            | Self::Completions(_)
            | Self::Version(_) => Ok(ExitCode::FAILURE),
            Self::Pull(command) => command.run().await,
            Self::Push(command) => command.run().await,
            Self::Inspect(command) => command.run().await,
            Self::Login(command) => command.run().await,
            Self::Logout(command) => command.run().await,
            Self::Lock(command) => command.run().await,
            Self::New(command) => command.run().await,
            Self::Cache(command) => command.run().await,
            Self::Check(command) => command.run().await,
            Self::Routes(command) => command.run().await,
            Self::Health(command) => command.run().await,
            Self::Admin(command) => command.run().await,
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start threads")
}

/// Returns a number of bytes with a unit, for people.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut unit) = (bytes as f64 / 1024.0, 0);
    while whole >= 1024.0 && unit + 1 < units.len() {
        (whole, unit) = (whole / 1024.0, unit + 1);
    }
    format!("{whole:.1} {}", units.get(unit).unwrap_or(&"EiB"))
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::size;

    #[test]
    fn sizes_have_units() {
        for (bytes, shown) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64.0 MiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(size(bytes), shown);
        }
    }
}
