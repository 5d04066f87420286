//! Logins: where they are kept, identity tokens, and how somebody is asked for a password.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::process::output_of;
use crate::support::registry::{Done, installed, program, refused, run, served, wagi};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};

/// A registry that wants name and password, `me` and `hunter2`, and has nothing.
fn guarded() -> Upstream {
    let expected = format!("Basic {}", STANDARD.encode("me:hunter2"));
    Upstream::start(move |received| match received.header("authorization") {
        Some(shown) if shown == expected => reply("200 OK", "", "{}"),
        _ => reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "{}"),
    })
}

fn host(server: &Upstream) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn config(site: &Site) -> Value {
    let text = std::fs::read_to_string(site.path().join("docker/config.json")).expect("it is there");
    serde_json::from_str(&text).expect("JSON")
}

fn log_in(mut command: Command, input: &str) -> Done {
    output_of(&mut command, input.as_bytes()).into()
}

#[test]
fn a_login_leaves_the_rest_of_the_file_as_it_is() {
    let (server, site) = (guarded(), Site::new());
    let host = host(&server);
    let others = json!({
        "auths": { "ghcr.io": { "auth": "YTpi" }, format!("https://{host}/v2/"): { "auth": "b2xkOm9sZA==" } },
        "HttpHeaders": { "X": "y" }, "psFormat": "table", "credHelpers": { "gcr.io": "gcloud" },
    });
    let real = site.file("elsewhere/config.json", others.to_string());
    std::fs::create_dir(site.path().join("docker")).expect("writable");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&real, site.path().join("docker/config.json")).expect("a link can be made");
    #[cfg(not(unix))]
    std::fs::copy(&real, site.path().join("docker/config.json")).expect("writable");
    let command = wagi(&site, &["login", &host, "--username", "me", "--password-stdin"]);
    log_in(command, "hunter2\r\n").well();
    let mut expected = others.clone();
    // What meant the same registry in another way is gone: two would contradict each other.
    expected["auths"] = json!({ "ghcr.io": { "auth": "YTpi" }, host.as_str(): { "auth": "bWU6aHVudGVyMg==" } });
    assert_eq!(config(&site), expected);
    assert_eq!(std::fs::read_dir(site.path().join("elsewhere")).expect("a directory").count(), 1);
    run(&site, &["logout", &host]).well();
    expected["auths"] = json!({ "ghcr.io": { "auth": "YTpi" } });
    assert_eq!(config(&site), expected);
}

#[test]
fn a_login_that_is_wrong_or_makes_no_sense_changes_nothing() {
    let (server, site) = (guarded(), Site::new());
    let host = host(&server);
    for (registry, arguments, input, part) in [
        (host.as_str(), &["-u", "me", "--password-stdin"][..], "hunter3", "refuses name and password"),
        (&host, &["-u", "m:e", "--password-stdin"], "hunter2", "hold a colon"),
        (&host, &["-u", "me", "--password-stdin"], "\n", "a password must not be empty"),
        (&host, &["-u", "me", "--password-stdin"], "hunter2\nmore", "refuses name and password"),
        (&host, &["--password-stdin"], "hunter2", "needs --username NAME"),
        (&host, &["-u", "me"], "hunter2", "there is no terminal to ask"),
        ("nothing", &["-u", "me", "--password-stdin"], "hunter2", "is not the address of a registry"),
    ] {
        let words = [&["login", registry], arguments].concat();
        let said = log_in(wagi(&site, &words), input).badly();
        assert!(said.contains(part) && !said.contains("hunter"), "{said}");
    }
    assert!(!site.path().join("docker").exists());
    site.file("docker/config.json", "[]");
    let asked = server.received().len();
    let said = log_in(wagi(&site, &["login", &host, "-u", "me", "--password-stdin"]), "hunter2").badly();
    assert!(said.contains("is not a file of credentials") && server.received().len() == asked, "{said}");
    let mut homeless = wagi(&site, &["login", &host, "-u", "me", "--password-stdin"]);
    homeless.env_remove("DOCKER_CONFIG");
    assert!(log_in(homeless, "hunter2").badly().contains("set HOME or DOCKER_CONFIG"));
}

#[cfg(unix)]
#[test]
fn a_program_that_keeps_passwords_is_given_and_relieved_of_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, site) = (guarded(), Site::new());
    let host = host(&server);
    let with = |script: &str, words: &[&str]| {
        let program = site.file("bin/docker-credential-test", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut command = wagi(&site, words);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", site.path().join("bin").display()));
        command
    };
    let login = ["login", &host, "-u", "me", "--password-stdin"];
    let good = "cat > told.$1; echo done";
    let empty_entry = json!({ host.as_str(): {} });
    for settings in [json!({ "credsStore": "test" }), json!({ "credHelpers": { host.as_str(): "test" } })] {
        site.file("docker/config.json", settings.to_string());
        let done = log_in(with(good, &login), "hunter2");
        assert!(done.code == Some(0) && done.stderr.contains("kept in `docker-credential-test`"), "{}", done.stderr);
        let told = std::fs::read_to_string(site.path().join("told.store")).expect("it was told");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told, json!({ "ServerURL": host, "Username": "me", "Secret": "hunter2" }));
        assert_eq!(config(&site)["auths"], empty_entry);
        let done: Done = with(good, &["logout", &host]).output().into();
        assert!(done.stderr.contains("logged out"), "{}", done.stderr);
        assert_eq!(std::fs::read_to_string(site.path().join("told.erase")).expect("it was told"), host);
        assert_eq!(config(&site)["auths"], json!({}));
    }
    for (script, part) in [
        ("cat > /dev/null; echo no room; exit 1", "`docker-credential-test store` fails: `no room`"),
        ("cat; exit 1", "`docker-credential-test store` fails"),
        ("exit 3", "exit status: 3"),
    ] {
        let said = log_in(with(script, &login), "hunter2").badly();
        assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
    }
    let none = with("echo credentials not found in native keychain; exit 1", &["logout", &host]).output();
    assert!(Done::from(none).stderr.contains("there was no login"));
}

#[test]
fn a_login_that_is_left_in_another_file_is_pointed_out() {
    let site = Site::new();
    let entry = json!({ "auths": { "a.io": { "auth": "YTpi" } } }).to_string();
    site.file("docker/config.json", &entry);
    let other = site.file("runtime/containers/auth.json", &entry);
    let mut command = wagi(&site, &["logout", "a.io"]);
    let done: Done = command.env("XDG_RUNTIME_DIR", site.path().join("runtime")).output().into();
    let warning = format!("warning: `{}` still has a login for `a.io`", other.display());
    assert!(done.stderr.contains("logged out of `a.io`") && done.stderr.contains(&warning), "{}", done.stderr);
}

/// A registry whose server of tokens takes nothing but an identity token, and what that was sent.
fn token_registry(good: &'static str) -> (Upstream, Arc<Mutex<Vec<String>>>) {
    let forms = Arc::new(Mutex::new(Vec::new()));
    let (kept, content) = (forms.clone(), program("hello"));
    let digest = |bytes: &str| format!("sha256:{}", wagi::observe::sha256_hex(bytes.as_bytes()));
    let layer = json!({ "mediaType": "application/wasm", "digest": digest(&content), "size": content.len() });
    let manifest = json!({ "schemaVersion": 2, "layers": [layer] }).to_string();
    let server = Upstream::start(move |received| {
        if received.line.ends_with(" /token") {
            let form = String::from_utf8_lossy(&received.body).into_owned();
            let is_good = received.line == "POST /token" && form.contains(&format!("&refresh_token={good}"));
            kept.lock().unwrap().push(form);
            return match is_good {
                true => reply("200 OK", "", "{\"access_token\":\"t0ken\",\"expires_in\":300}"),
                false => reply("401 Unauthorized", "", "{\"error\":\"invalid_grant\"}"),
            };
        }
        match (received.header("authorization"), received.line.contains("/manifests/")) {
            (Some("Bearer t0ken"), true) => reply("200 OK", "", &manifest),
            (Some("Bearer t0ken"), false) => reply("200 OK", "", &content),
            _ => {
                let realm = format!("http://{}/token", received.header("host").unwrap_or_default());
                let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"the registry\"\r\n");
                reply("401 Unauthorized", &challenge, "{}")
            }
        }
    });
    (server, forms)
}

#[test]
fn an_identity_token_is_exchanged_for_one_that_the_registry_takes() {
    for (entry, is_good) in [
        (json!({ "auth": "bWU6", "identitytoken": "1dentity" }), true),
        (json!({ "auth": STANDARD.encode("<token>:1dentity") }), true),
        (json!({ "identitytoken": "0ld" }), false),
    ] {
        let (server, forms) = token_registry("1dentity");
        let (site, host) = (Site::new(), host(&server));
        let file = site.file("docker/config.json", json!({ "auths": { host.as_str(): entry } }).to_string());
        let reference = format!("{host}/app:1");
        if is_good {
            assert_eq!(served(&site, &reference, &[]).1, "hello");
            let expected = "grant_type=refresh_token&client_id=wagi&service=the+registry\
                            &scope=repository%3Aapp%3Apull&refresh_token=1dentity";
            assert_eq!(*forms.lock().unwrap(), [expected]);
            let sent = server.received();
            let form = sent.iter().find(|received| received.line == "POST /token").expect("it was sent");
            assert_eq!(form.header("content-type"), Some("application/x-www-form-urlencoded"));
            assert!(form.header("authorization").is_none());
        } else {
            let said = refused(&site, &reference, &[]);
            let whose = format!("refuses the credentials of the identity token from {}", file.display());
            assert!(said.contains(&whose) && said.contains("invalid_grant") && !said.contains("0ld"), "{said}");
            assert!(said.contains(&format!("`wagi login {host}`")), "{said}");
        }
    }
}

#[cfg(unix)]
#[test]
fn an_identity_token_of_a_program_is_known_by_its_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, forms) = token_registry("1dentity");
    let (site, host) = (Site::new(), host(&server));
    let answer = "echo '{\"Username\":\"<token>\",\"Secret\":\"1dentity\"}'";
    let program = site.file("bin/docker-credential-test", format!("#!/bin/sh\n{answer}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    site.file("docker/config.json", json!({ "credsStore": "test" }).to_string());
    let mut command = wagi(&site, &["pull", &format!("{host}/app:1"), "--module-cache", "cache"]);
    let path = format!("{}:{}", site.path().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    Done::from(command.env("PATH", path).output()).well();
    assert!(forms.lock().unwrap().iter().all(|form| form.ends_with("&refresh_token=1dentity")));
    assert_eq!(forms.lock().unwrap().len(), 1);
}

#[test]
fn an_identity_token_is_of_no_use_where_a_password_is_wanted() {
    let (server, site) = (guarded(), Site::new());
    let entry = json!({ "auths": { host(&server): { "identitytoken": "1dentity" } } });
    site.file("docker/config.json", entry.to_string());
    let said = refused(&site, &format!("{}/app", host(&server)), &[]);
    assert!(said.contains("wants a name and a password") && !said.contains("1dentity"), "{said}");
    assert!(server.received().iter().all(|received| received.header("authorization").is_none()));
}

#[test]
fn wrong_credentials_are_said_to_be_wrong_with_where_they_are_from() {
    let (server, site) = (guarded(), Site::new());
    let host = host(&server);
    let auth = STANDARD.encode("me:hunter3");
    let file = site.file("docker/config.json", json!({ "auths": { host.as_str(): { "auth": auth } } }).to_string());
    for said in [refused(&site, &format!("{host}/app"), &[]), {
        site.file("hello.wat", program("hello"));
        run(&site, &["push", "hello.wat", &format!("{host}/app")]).badly()
    }] {
        let whose = format!("registry `{host}` refuses the credentials of `me` from {}", file.display());
        assert!(said.contains(&whose) && said.contains(&format!("`wagi login {host}`")), "{said}");
        assert!(!said.contains("hunter3"), "{said}");
    }
}

/// On a terminal of its own, which util-linux's `script` makes.
#[test]
#[ignore = "needs script (bsdutils)"]
fn on_a_terminal_the_password_is_asked_for_and_not_shown() {
    let (server, site) = (guarded(), Site::new());
    let host = host(&server);
    let mut command = Command::new(installed("bsdutils", "/usr/bin/script"));
    let line = format!("{} login {host}", env!("CARGO_BIN_EXE_wagi"));
    command.args(["-qefc", &line, "/dev/null"]).current_dir(site.path());
    command.env("DOCKER_CONFIG", site.path().join("docker")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let shown = Arc::new(Mutex::new(String::new()));
    let for_thread = shown.clone();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            for_thread.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    });
    let mut answer = |question: &str, typed: &str| {
        eventually(|| shown.lock().unwrap().contains(question).then_some(()));
        keys.write_all(typed.as_bytes()).expect("somebody reads");
    };
    answer("Name: ", "me\n");
    answer("Password: ", "hunter2\n");
    let status = eventually(|| child.try_wait().expect("it is our child"));
    drop(keys);
    reader.join().expect("it only reads");
    let shown = shown.lock().unwrap().clone();
    assert!(status.success() && shown.contains("logged in to"), "{shown}");
    assert!(shown.contains("Name: me") && !shown.contains("hunter2"), "{shown}");
    assert_eq!(config(&site)["auths"], json!({ host.as_str(): { "auth": "bWU6aHVudGVyMg==" } }));
}
