//! Which requests are answered, and where the listener may be.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::guest::component;

const PATHS: [&str; 6] = ["/status", "/metrics", "/config", "/routes", "/modules", "/no/such"];

#[test]
fn hosts_of_others_are_forbidden() {
    let wagi = site("[admin]\nlisten = '127.0.0.1:0'\nhosts = ['admin.example']").start(&[]);
    let to = admin(&wagi);
    for path in PATHS {
        for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "[::1]", ""] {
            let answer = send(to, &format!("GET {path}"), &[&format!("Host: {host}")], "");
            assert_eq!(answer.status, 403, "{host} {path}");
        }
    }
    for host in ["localhost", "127.0.0.1", &to.to_string(), "ADMIN.example.", "admin.example:80"] {
        assert_eq!(send(to, "GET /status", &[&format!("Host: {host}")], "").status, 200, "{host}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(send(to, &format!("GET {path}"), &["Host: evil.example"], "").status, 200, "{path}");
    }
}

#[test]
fn pages_of_other_origins_are_forbidden_and_can_read_nothing() {
    let wagi = served("127.0.0.1:0");
    let to = admin(&wagi);
    let own = format!("Origin: http://{to}");
    let host = format!("Host: {to}");
    for field in
        ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"]
    {
        for head in ["GET /status", "POST /reload", "PUT /log-level", "GET /livez", "OPTIONS /status"] {
            let answer = send(to, head, &[&host, field], "");
            assert_eq!(answer.status, 403, "{head} {field}");
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{answer:?}");
        }
    }
    for field in [own.as_str(), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"] {
        let answer = send(to, "GET /status", &[&host, field], "");
        assert_eq!(answer.status, 200, "{field}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert!(!wagi.log().contains("reload"), "{}", wagi.log());
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    for arguments in [&["--admin", "0.0.0.0:0"][..], &["--admin", "[::]:0"]] {
        let ended = site("").run(arguments);
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{text}");
        assert!(text.contains("needs a token") && text.contains("token_file = \"admin.token\""), "{text}");
    }
    let site = site("[admin]\nlisten = '0.0.0.0:0'\ntoken_file = 'admin.token'");
    site.file("admin.token", "s3cr3t\n");
    let wagi = site.start(&[]);
    let to = SocketAddr::from(([127, 0, 0, 1], admin(&wagi).port()));
    let ask = |path: &str, field: &str| send(to, &format!("GET {path}"), &["Host: 127.0.0.1", field], "");
    for path in PATHS {
        for field in ["X: y", "Authorization: Bearer s3cr3", "Authorization: Basic s3cr3t", "Authorization: s3cr3t"] {
            let answer = ask(path, field);
            assert_eq!(answer.status, 401, "{path} {field}");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        }
    }
    assert_eq!(ask("/status", "Authorization: Bearer s3cr3t").status, 200);
    assert_eq!((ask("/livez", "X: y").status, ask("/readyz", "X: y").status), (200, 200));
    // Another token counts from the next reload on; no reload takes the need for one away.
    std::fs::write(wagi.directory().join("admin.token"), "0ther").expect("a file can be written");
    let reload = |token: &str| {
        send(to, "POST /reload", &["Host: localhost", &format!("Authorization: Bearer {token}")], "").status
    };
    assert_eq!((reload("s3cr3t"), reload("s3cr3t"), reload("0ther")), (200, 401, 200));
    let file = wagi.directory().join("modules.toml");
    let manifest = std::fs::read_to_string(&file).expect("a manifest");
    let open = manifest.replace("0.0.0.0:0", "127.0.0.1:0").replace("token_file = 'admin.token'", "");
    std::fs::write(&file, open).expect("a file can be written");
    assert_eq!(reload("0ther"), 200);
    wagi.logged(&["`listen` of `[admin]` stays 0.0.0.0:0 until the next start"]);
    assert_eq!(ask("/status", "X: y").status, 401);
    assert!(!wagi.log().contains("s3cr3t") && !wagi.log().contains("0ther"));
}

#[test]
fn a_socket_is_for_its_user_and_goes_with_the_server() {
    let site = site("[admin]\nlisten = 'unix:admin.sock'");
    let socket = site.path().join("admin.sock");
    let mut wagi = site.start(&[]);
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(get_unix(&socket, "/readyz").text(), "ok");
    assert_eq!(get_unix(&socket, "/status").status, 200);
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn no_guest_reaches_it() {
    let keys = "allowed_hosts = ['insecure:allow-all']";
    let site = Site::new().module("/...", &component("http-probe.wasm"), keys).top("[admin]\nlisten = '127.0.0.1:0'");
    let wagi = site.start(&[]);
    let port = admin(&wagi).port();
    for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"] {
        let answer = Connection::open(wagi.address()).get(&format!("/call?http://{host}:{port}/livez"));
        assert_eq!(answer.status, 502, "{host}");
        assert!(answer.text().contains("DestinationIpProhibited"), "{host}: {}", answer.text());
    }
}
