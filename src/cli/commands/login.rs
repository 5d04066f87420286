//! `wagi login` and `wagi logout`: which name and password does a registry get?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::{Login as Credentials, Registries};
use wagi::fetch::{self, LoggedIn};

use crate::cli::commands::say;
use crate::cli::commands::serve::print_problems;
use crate::cli::terminal;

/// Whom to log in where.
pub struct Login {
    pub registry: String,
    pub username: Option<String>,
    pub password_stdin: bool,
    pub registries: Registries,
}

impl Login {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Some((user, password)) = self.ask().await? else { return Ok(ExitCode::from(terminal::INTERRUPTED)) };
        match fetch::log_in(self.registry, Credentials { user, password }, self.registries).await {
            Ok(LoggedIn { registry, kept, is_checked }) => {
                if !is_checked {
                    say(format_args!(
                        "warning: registry `{registry}` asks for no login, so that this one is unchecked"
                    ));
                }
                say(format_args!("logged in to `{registry}`; kept in `{kept}`"));
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print_problems(&[*problem]);
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Name and password; none if somebody thinks better of it. A password is never an argument: others see those.
    async fn ask(&self) -> anyhow::Result<Option<(String, String)>> {
        if self.password_stdin {
            let Some(user) = self.username.clone() else {
                anyhow::bail!("--password-stdin needs --username NAME: there is nobody to ask for it");
            };
            return Ok(Some((user, terminal::piped()?)));
        }
        anyhow::ensure!(
            terminal::is_there(),
            "there is no terminal to ask for the password on: give --username NAME and --password-stdin, and write the \
             password to the standard input"
        );
        let user = match &self.username {
            Some(user) => Some(user.clone()),
            None => terminal::ask("Name: ", terminal::Echo::Shown).await?,
        };
        let Some(user) = user else { return Ok(None) };
        Ok(terminal::ask("Password: ", terminal::Echo::Hidden).await?.map(|password| (user, password)))
    }
}

/// Where not to be logged in any more.
pub struct Logout {
    pub registry: String,
    pub credentials: Vec<PathBuf>,
}

impl Logout {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match fetch::log_out(self.registry, self.credentials).await {
            Ok(done) => {
                let registry = &done.registry;
                match done.was_logged_in {
                    true => say(format_args!("logged out of `{registry}`")),
                    false => say(format_args!("there was no login for `{registry}`")),
                }
                for path in &done.elsewhere {
                    say(format_args!("warning: `{}` still has a login for `{registry}`", path.display()));
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print_problems(&[*problem]);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
