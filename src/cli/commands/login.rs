//! `wagi login` and `wagi logout`: save and remove credentials for a registry.

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::{Login, Registries};
use wagi::fetch::{self, LoggedIn};

use crate::cli::terminal::{self, print_message, print_problems};

/// The options of `wagi login`.
pub struct LoginCommand {
    pub registry: String,
    pub username: Option<String>,
    pub password_stdin: bool,
    pub registries: Registries,
}

impl LoginCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Some((user, password)) = self.credentials().await? else {
            return Ok(ExitCode::from(terminal::INTERRUPTED));
        };
        match fetch::log_in(self.registry, Login { user, password }, self.registries).await {
            Ok(LoggedIn { registry, stored_in, is_verified }) => {
                if !is_verified {
                    print_message(format_args!(
                        "warning: registry `{registry}` requires no login, so the login is not verified"
                    ));
                }
                print_message(format_args!("logged in to `{registry}`; kept in `{stored_in}`"));
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print_problems(&[*problem]);
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Returns name and password; `None` after Ctrl-C. A password is never an argument, because other users can see
    /// arguments.
    async fn credentials(&self) -> anyhow::Result<Option<(String, String)>> {
        if self.password_stdin {
            let Some(user) = self.username.clone() else {
                anyhow::bail!("--password-stdin needs --username NAME");
            };
            return Ok(Some((user, terminal::read_password()?)));
        }
        anyhow::ensure!(
            terminal::is_interactive(),
            "there is no terminal to ask for the password on: give --username NAME and --password-stdin, and write the \
             password to standard input"
        );
        let user = match &self.username {
            Some(user) => Some(user.clone()),
            None => terminal::prompt("Name: ", terminal::Echo::On).await?,
        };
        let Some(user) = user else { return Ok(None) };
        Ok(terminal::prompt("Password: ", terminal::Echo::Off).await?.map(|password| (user, password)))
    }
}

/// The options of `wagi logout`.
pub struct LogoutCommand {
    pub registry: String,
    pub credentials: Vec<PathBuf>,
}

impl LogoutCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match fetch::log_out(self.registry, self.credentials).await {
            Ok(done) => {
                let registry = &done.registry;
                match done.was_logged_in {
                    true => print_message(format_args!("logged out of `{registry}`")),
                    false => print_message(format_args!("there was no login for `{registry}`")),
                }
                for path in &done.elsewhere {
                    print_message(format_args!("warning: `{}` still has a login for `{registry}`", path.display()));
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
