//! Files at routes, by `[[static]]`: what is sent, what never is, and what it costs.

mod attack;
mod http2;
mod nginx;
mod serving;

use crate::support::process::Wagi;
use crate::support::site::Site;

/// A directory with a file of each kind, and what lies beside it.
fn tree() -> Site {
    let site = Site::new();
    for (name, content) in [
        ("public/index.html", "<h1>home</h1>"),
        ("public/app.js", "app()"),
        ("public/app.js.gz", "app, in gzip"),
        ("public/app.js.br", "app, in br"),
        ("public/style.css", "body {}"),
        ("public/data.bin", "0123456789"),
        ("public/empty.txt", ""),
        ("public/with blank.txt", "blank"),
        ("public/sub/index.html", "sub"),
        ("public/bare/file.txt", "bare"),
        ("public/.env", "secret"),
        ("public/.git/config", "secret"),
        ("public/.well-known/security.txt", "Contact: a"),
        ("secret.txt", "secret"),
    ] {
        site.file(name, content);
    }
    for (target, link) in
        [("data.bin", "inside"), ("../secret.txt", "outside"), ("..", "up"), ("/etc/passwd", "absolute")]
    {
        std::os::unix::fs::symlink(target, site.path().join("public").join(link)).expect("a symlink");
    }
    site
}

/// A server over that directory at `/...`, with more keys.
fn serve(keys: &str) -> Wagi {
    tree().top(&format!("[[static]]\nroute = '/...'\ndirectory = 'public'\n{keys}")).start(&[])
}
