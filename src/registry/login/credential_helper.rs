//! What does a program that keeps passwords say?
//!
//! `docker-credential-NAME get` reads the name of a registry and prints `Username` and `Secret` as JSON; `store` reads such
//! JSON, `erase` the name. It is given little time and little room. Asked by `credentials` and `account`.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::Login;

use crate::registry::manifest::shortened;
use crate::registry::reference::Registry;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to look away from one that has closed its output and is about to end.
const GLANCE: Duration = Duration::from_millis(5);

/// How much it may print.
const MAX_ANSWER: u64 = 64 << 10;

/// Why there is no answer.
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
    Answer { program: String },
    #[error("`{program} {verb}` fails{said}")]
    Failed { program: String, verb: &'static str, said: String },
}

/// The program of a name in a file of credentials.
pub(in crate::registry) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks `docker-credential-<name>` for name and secret at `registry`.
pub(in crate::registry) fn ask(name: &str, registry: &Registry) -> Result<(String, String), CredentialHelperError> {
    let mut run = Run::begin(name, "get", registry.login_name().to_owned())?;
    let answer = run.answer()?;
    read_answer(&answer, &run.program, registry)
}

/// Lets it keep a login.
pub(in crate::registry) fn store(name: &str, registry: &Registry, login: &Login) -> Result<(), CredentialHelperError> {
    let kept = json!({ "ServerURL": registry.login_name(), "Username": login.user, "Secret": login.password });
    match Run::begin(name, "store", kept.to_string())?.finish() {
        // What it complains of may be what it was given.
        Err(CredentialHelperError::Failed { program, verb, said }) if said.contains(&login.password) => {
            Err(CredentialHelperError::Failed { program, verb, said: String::new() })
        }
        done => done,
    }
}

/// Lets it forget what it has for a registry; whether it had anything.
pub(in crate::registry) fn erase(name: &str, registry: &Registry) -> Result<bool, CredentialHelperError> {
    match Run::begin(name, "erase", registry.login_name().to_owned())?.finish() {
        Ok(()) => Ok(true),
        Err(CredentialHelperError::Failed { said, .. }) if said.contains(NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Those programs say that they know nothing in a sentence, and it is always this one.
const NOT_FOUND: &str = "credentials not found";

/// A program under way. What has answered has nothing left to do, and what has not is not waited for.
struct Run {
    program: String,
    verb: &'static str,
    child: Child,
    printed: mpsc::Receiver<io::Result<Vec<u8>>>,
    end: Instant,
}

impl Run {
    fn begin(name: &str, verb: &'static str, input: String) -> Result<Self, CredentialHelperError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(CredentialHelperError::Name(name.to_owned()));
        }
        let program = program(name);
        let mut command = Command::new(&program);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|source| CredentialHelperError::Run { program: program.clone(), source })?;
        let printed = exchange(&mut child, input);
        Ok(Self { program, verb, child, printed, end: Instant::now() + TIMEOUT })
    }

    /// What it prints.
    fn answer(&mut self) -> Result<Vec<u8>, CredentialHelperError> {
        match self.printed.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(CredentialHelperError::Late { program: self.program.clone() }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(CredentialHelperError::Answer { program: self.program.clone() })
            }
            Ok(answer) => answer.map_err(|source| CredentialHelperError::Run { program: self.program.clone(), source }),
        }
    }

    /// Whether it has done what it was told.
    fn finish(mut self) -> Result<(), CredentialHelperError> {
        let said = self.answer()?;
        let said = String::from_utf8_lossy(&said);
        let status = self.status()?;
        match (status.success(), said.trim()) {
            (true, _) => Ok(()),
            (false, "") => Err(self.failed(format!(": {status}"))),
            (false, said) => Err(self.failed(format!(": `{}`", shortened(said)))),
        }
    }

    fn failed(&self, said: String) -> CredentialHelperError {
        CredentialHelperError::Failed { program: self.program.clone(), verb: self.verb, said }
    }

    fn status(&mut self) -> Result<ExitStatus, CredentialHelperError> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() > self.end => {
                    return Err(CredentialHelperError::Late { program: self.program.clone() });
                }
                Ok(None) => thread::sleep(GLANCE),
                Err(source) => return Err(CredentialHelperError::Run { program: self.program.clone(), source }),
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives a program its input; what it prints until it closes its output. Its own programs may hold that open when it is
/// long gone, so that the thread which reads is left behind rather than waited for.
fn exchange(child: &mut Child, input: String) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    thread::spawn(move || {
        // One that knows without reading has closed its input already.
        let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        let mut answer = Vec::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(MAX_ANSWER).read_to_end(&mut answer));
        // Nobody listens any more if it was late.
        let _ = sender.send(read.map(|_| answer));
    });
    receiver
}

fn read_answer(answer: &[u8], program: &str, registry: &Registry) -> Result<(String, String), CredentialHelperError> {
    let program = program.to_owned();
    let Ok(json) = serde_json::from_slice::<Value>(answer) else {
        return Err(match String::from_utf8_lossy(answer).contains(NOT_FOUND) {
            true => CredentialHelperError::Unknown { program, registry: registry.to_string() },
            false => CredentialHelperError::Answer { program },
        });
    };
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("Username"), text("Secret")) {
        (Some(user), Some(secret)) => Ok((user, secret)),
        _ => Err(CredentialHelperError::Answer { program }),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::login::credential_helper::*;
    use crate::registry::reference::Reference;

    #[test]
    fn only_a_plain_name_is_run() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        for name in ["", "../x", "/bin/x", "x y", "x;y", "x.y"] {
            assert!(matches!(ask(name, &registry), Err(CredentialHelperError::Name(_))), "{name}");
        }
        assert!(matches!(ask("that-nobody-has", &registry), Err(CredentialHelperError::Run { .. })));
    }

    #[test]
    fn an_answer_is_a_name_and_a_secret() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        let read = |answer: &str| read_answer(answer.as_bytes(), "docker-credential-x", &registry);
        let known = read("{\"ServerURL\":\"a.io\",\"Username\":\"me\",\"Secret\":\"pw\"}\n");
        assert!(matches!(known, Ok((user, secret)) if user == "me" && secret == "pw"));
        let unknown = read("credentials not found in native keychain\n");
        assert!(matches!(unknown, Err(CredentialHelperError::Unknown { .. })));
        for answer in ["", "{}", "hunter2", "{\"Username\":\"me\"}", "[]"] {
            let refusal = read(answer).expect_err(answer);
            assert!(
                matches!(refusal, CredentialHelperError::Answer { .. }) && !refusal.to_string().contains("hunter2")
            );
        }
    }
}
