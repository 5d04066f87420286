//! What does a program that keeps passwords say?
//!
//! `docker-credential-NAME get` reads the name of a registry and prints `Username` and `Secret` as JSON. It is given
//! little time and little room. Asked by `credentials`.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::credentials::Login;
use super::reference::Registry;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much it may print.
const LARGEST_ANSWER: u64 = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeychainError {
    #[error("`{0}` is not the name of a program for credentials")]
    Name(String),
    #[error("cannot run `{program}`")]
    Run { program: String, source: io::Error },
    #[error("`{program}` has not answered within {} s", PATIENCE.as_secs())]
    Late { program: String },
    #[error("`{program}` knows no credentials for `{registry}`")]
    Unknown { program: String, registry: String },
    #[error("`{program}` answers with something else than a name and a secret")]
    Answer { program: String },
}

/// Asks `docker-credential-<name>` for the login at `registry`.
pub(super) fn ask(name: &str, registry: &Registry) -> Result<Login, KeychainError> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Err(KeychainError::Name(name.to_owned()));
    }
    let program = format!("docker-credential-{name}");
    let run = |source| KeychainError::Run { program: program.clone(), source };
    let mut child = start(&program).map_err(run)?;
    let answer = answer(&mut child, registry.login_name());
    // What has answered has nothing left to do, and what has not is not waited for.
    let _ = child.kill();
    let _ = child.wait();
    match answer {
        Err(mpsc::RecvTimeoutError::Timeout) => Err(KeychainError::Late { program }),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(KeychainError::Answer { program }),
        Ok(answer) => login(&answer.map_err(run)?, &program, registry),
    }
}

fn start(program: &str) -> io::Result<Child> {
    Command::new(program).arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// What it prints until it closes its output. Its own programs may hold that open when it is long gone, so that the thread
/// which reads is left behind rather than waited for.
fn answer(child: &mut Child, registry: &str) -> Result<io::Result<Vec<u8>>, mpsc::RecvTimeoutError> {
    let (sender, receiver) = mpsc::channel();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let registry = registry.to_owned();
    thread::spawn(move || {
        // One that knows without reading has closed its input already.
        let _ = stdin.map(|mut stdin| stdin.write_all(registry.as_bytes()));
        let mut answer = Vec::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(LARGEST_ANSWER).read_to_end(&mut answer));
        // Nobody listens any more if it was late.
        let _ = sender.send(read.map(|_| answer));
    });
    receiver.recv_timeout(PATIENCE)
}

fn login(answer: &[u8], program: &str, registry: &Registry) -> Result<Login, KeychainError> {
    let program = program.to_owned();
    let Ok(json) = serde_json::from_slice::<Value>(answer) else {
        // Those programs say that they know nothing in a sentence, and it is always this one.
        return Err(match String::from_utf8_lossy(answer).contains("credentials not found") {
            true => KeychainError::Unknown { program, registry: registry.to_string() },
            false => KeychainError::Answer { program },
        });
    };
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("Username"), text("Secret")) {
        (Some(user), Some(password)) => Ok(Login { user, password }),
        _ => Err(KeychainError::Answer { program }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::Reference;
    use super::*;

    #[test]
    fn only_a_plain_name_is_run() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        for name in ["", "../x", "/bin/x", "x y", "x;y", "x.y"] {
            assert!(matches!(ask(name, &registry), Err(KeychainError::Name(_))), "{name}");
        }
        assert!(matches!(ask("that-nobody-has", &registry), Err(KeychainError::Run { .. })));
    }

    #[test]
    fn an_answer_is_a_name_and_a_secret() {
        let registry = Reference::parse("a.io/x").expect("a reference").registry;
        let read = |answer: &str| login(answer.as_bytes(), "docker-credential-x", &registry);
        let known = read("{\"ServerURL\":\"a.io\",\"Username\":\"me\",\"Secret\":\"pw\"}\n");
        assert!(matches!(known, Ok(login) if login.user == "me" && login.password == "pw"));
        let unknown = read("credentials not found in native keychain\n");
        assert!(matches!(unknown, Err(KeychainError::Unknown { .. })));
        for answer in ["", "{}", "hunter2", "{\"Username\":\"me\"}", "[]"] {
            let refusal = read(answer).expect_err(answer);
            assert!(matches!(refusal, KeychainError::Answer { .. }) && !refusal.to_string().contains("hunter2"));
        }
    }
}
