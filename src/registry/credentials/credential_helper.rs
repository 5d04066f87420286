//! How does wagi talk to a program that stores passwords?
//!
//! `docker-credential-NAME get` reads the name of a registry and prints `Username` and `Secret` as JSON; `store` reads
//! such JSON, `erase` the name. Its time and its output are limited.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::Login;

use crate::registry::manifest::shortened;
use crate::registry::reference::Registry;

/// How long a helper may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often to look whether a helper that has closed its output has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How much a helper may print.
const MAX_OUTPUT: u64 = 64 << 10;

/// Why a helper failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum CredentialHelperError {
    #[error("`{0}` is not the name of a program for credentials")]
    Name(String),
    #[error("cannot run `{program}`")]
    Run { program: String, source: io::Error },
    #[error("`{program}` has not answered within {} s", TIMEOUT.as_secs())]
    Late { program: String },
    #[error("`{program}` knows no credentials for `{registry}`")]
    Unknown { program: String, registry: String },
    #[error("`{program}` answers with something else than a name and a secret")]
    Output { program: String },
    #[error("`{program} {verb}` fails{detail}")]
    Failed { program: String, verb: &'static str, detail: String },
}

/// The program of the helper with a name.
pub(in crate::registry) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Returns name and secret for `registry`.
pub(in crate::registry) fn get(name: &str, registry: &Registry) -> Result<(String, String), CredentialHelperError> {
    let mut helper = Helper::spawn(name, "get", registry.login_name().to_owned())?;
    let output = helper.output()?;
    parse_login(&output, &helper.program, registry)
}

/// Stores a login.
pub(in crate::registry) fn store(name: &str, registry: &Registry, login: &Login) -> Result<(), CredentialHelperError> {
    let input = json!({ "ServerURL": registry.login_name(), "Username": login.user, "Secret": login.password });
    match Helper::spawn(name, "store", input.to_string())?.finish() {
        // The error message may quote the password.
        Err(CredentialHelperError::Failed { program, verb, detail }) if detail.contains(&login.password) => {
            Err(CredentialHelperError::Failed { program, verb, detail: String::new() })
        }
        done => done,
    }
}

/// Removes the login for a registry. Returns whether there was one.
pub(in crate::registry) fn erase(name: &str, registry: &Registry) -> Result<bool, CredentialHelperError> {
    match Helper::spawn(name, "erase", registry.login_name().to_owned())?.finish() {
        Ok(()) => Ok(true),
        Err(CredentialHelperError::Failed { detail, .. }) if detail.contains(NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What every helper prints if it has no login.
const NOT_FOUND: &str = "credentials not found";

/// A running helper. It is killed when this is dropped: a helper that has printed its output has nothing left to do,
/// and one that has not is not waited for.
struct Helper {
    program: String,
    verb: &'static str,
    child: Child,
    output: mpsc::Receiver<io::Result<Vec<u8>>>,
    deadline: Instant,
}

impl Helper {
    fn spawn(name: &str, verb: &'static str, input: String) -> Result<Self, CredentialHelperError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(CredentialHelperError::Name(name.to_owned()));
        }
        let program = program(name);
        let mut command = Command::new(&program);
        // What a service manager says to this process.
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|source| CredentialHelperError::Run { program: program.clone(), source })?;
        let output = read_output(&mut child, input);
        Ok(Self { program, verb, child, output, deadline: Instant::now() + TIMEOUT })
    }

    /// Waits for its output.
    fn output(&mut self) -> Result<Vec<u8>, CredentialHelperError> {
        match self.output.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(CredentialHelperError::Late { program: self.program.clone() }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(CredentialHelperError::Output { program: self.program.clone() })
            }
            Ok(output) => output.map_err(|source| CredentialHelperError::Run { program: self.program.clone(), source }),
        }
    }

    /// Waits until it ends.
    fn finish(mut self) -> Result<(), CredentialHelperError> {
        let output = self.output()?;
        let output = String::from_utf8_lossy(&output);
        let status = self.status()?;
        match (status.success(), output.trim()) {
            (true, _) => Ok(()),
            (false, "") => Err(self.failed(format!(": {status}"))),
            (false, output) => Err(self.failed(format!(": `{}`", shortened(output)))),
        }
    }

    fn failed(&self, detail: String) -> CredentialHelperError {
        CredentialHelperError::Failed { program: self.program.clone(), verb: self.verb, detail }
    }

    fn status(&mut self) -> Result<ExitStatus, CredentialHelperError> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() > self.deadline => {
                    return Err(CredentialHelperError::Late { program: self.program.clone() });
                }
                Ok(None) => thread::sleep(POLL_INTERVAL),
                Err(source) => return Err(CredentialHelperError::Run { program: self.program.clone(), source }),
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a helper's input and reads its output until it is closed. Programs that the helper has started may keep the
/// output open when the helper is long gone, so that the reading thread is left behind rather than waited for.
fn read_output(child: &mut Child, input: String) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    thread::spawn(move || {
        // A helper that does not read its input has closed it.
        let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        let mut output = Vec::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(MAX_OUTPUT).read_to_end(&mut output));
        // After the timeout there is no receiver.
        let _ = sender.send(read.map(|_| output));
    });
    receiver
}

fn parse_login(output: &[u8], program: &str, registry: &Registry) -> Result<(String, String), CredentialHelperError> {
    let program = program.to_owned();
    let Ok(json) = serde_json::from_slice::<Value>(output) else {
        return Err(match String::from_utf8_lossy(output).contains(NOT_FOUND) {
            true => CredentialHelperError::Unknown { program, registry: registry.to_string() },
            false => CredentialHelperError::Output { program },
        });
    };
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("Username"), text("Secret")) {
        (Some(user), Some(secret)) => Ok((user, secret)),
        _ => Err(CredentialHelperError::Output { program }),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::credentials::credential_helper::*;
    use crate::registry::reference::Reference;

    #[test]
    fn only_a_plain_name_is_run() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        for name in ["", "../x", "/bin/x", "x y", "x;y", "x.y"] {
            assert!(matches!(get(name, &registry), Err(CredentialHelperError::Name(_))), "{name}");
        }
        assert!(matches!(get("that-does-not-exist", &registry), Err(CredentialHelperError::Run { .. })));
    }

    #[test]
    fn an_answer_is_a_name_and_a_secret() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        let read = |answer: &str| parse_login(answer.as_bytes(), "docker-credential-x", &registry);
        let known = read("{\"ServerURL\":\"a.io\",\"Username\":\"me\",\"Secret\":\"pw\"}\n");
        assert!(matches!(known, Ok((user, secret)) if user == "me" && secret == "pw"));
        let unknown = read("credentials not found in native keychain\n");
        assert!(matches!(unknown, Err(CredentialHelperError::Unknown { .. })));
        for answer in ["", "{}", "hunter2", "{\"Username\":\"me\"}", "[]"] {
            let refusal = read(answer).expect_err(answer);
            assert!(
                matches!(refusal, CredentialHelperError::Output { .. }) && !refusal.to_string().contains("hunter2")
            );
        }
    }
}
