//! Proxies as processes, configured as docs/behind-a-proxy.md says, but for addresses, certificates and what a distribution
//! brings along.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::process::Ending;
use crate::support::tls::fixture;
use crate::support::{at_leisure, port};

/// A running proxy.
pub struct Proxy {
    process: Ending,
    plain: u16,
    secure: u16,
    _directory: TempDir,
}

/// The fenced blocks of a kind on a page.
pub fn blocks(page: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block.to_owned()).collect()
}

/// The only block of a kind on a page.
pub fn only_block(page: &str, kind: &str) -> String {
    let [block] = <[String; 1]>::try_from(blocks(page, kind)).expect("one block");
    block
}

/// `text` with something else in place of `from`, which must be there.
#[track_caller]
pub fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to)
}

/// What a proxy is started with.
struct Start {
    directory: TempDir,
    plain: u16,
    secure: u16,
}

impl Start {
    fn new() -> Self {
        let [plain, secure] = [port::free(), port::free()].map(|address| address.port());
        Self { directory: tempfile::tempdir().expect("a temporary directory"), plain, secure }
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).expect("a file can be written");
        path.display().to_string()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until the proxy listens.
    fn run(self, program: &str, arguments: &[&str]) -> Proxy {
        let log = std::fs::File::create(self.path().join("log")).expect("a file can be made");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).env("HOME", self.path()).env("XDG_DATA_HOME", self.path());
        command.env("XDG_CONFIG_HOME", self.path()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut proxy =
            Proxy { process: Ending(child), plain: self.plain, secure: self.secure, _directory: self.directory };
        at_leisure(|| {
            let ended = proxy.process.0.try_wait().expect("it is our child");
            let log = || std::fs::read_to_string(proxy._directory.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "{program} has ended: {}", log());
            TcpStream::connect(proxy.plain()).ok()
        });
        proxy
    }
}

/// Certificate and key in one file.
fn pem() -> String {
    [fixture("ec.cert.pem"), fixture("ec.pkcs8.pem")].map(|file| std::fs::read_to_string(file).unwrap()).concat()
}

impl Proxy {
    /// Where it listens without TLS.
    pub fn plain(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.plain).into()
    }

    /// Where it listens with TLS.
    pub fn secure(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.secure).into()
    }

    /// nginx with this content of `http`.
    pub fn nginx(http: &str) -> Self {
        let start = Start::new();
        let http = replaced(http, "listen 80;", &format!("listen 127.0.0.1:{};", start.plain));
        let http = replaced(&http, "listen 443 ssl;", &format!("listen 127.0.0.1:{} ssl;", start.secure));
        let http = replaced(&http, "/etc/ssl/example.com.crt", &fixture("ec.cert.pem"));
        let http = replaced(&http, "/etc/ssl/example.com.key", &fixture("ec.pkcs8.pem"));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", start.path().display()))
            .concat();
        Self::nginx_with(start, "", &format!("http {{\naccess_log off;\n{temporary}{http}}}\n"))
    }

    /// nginx with this block `stream`.
    pub fn nginx_stream(stream: &str) -> Self {
        let start = Start::new();
        let stream = replaced(stream, "listen 443;", &format!("listen 127.0.0.1:{};", start.plain));
        Self::nginx_with(start, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n", &stream)
    }

    fn nginx_with(start: Start, modules: &str, blocks: &str) -> Self {
        // Workers of a proxy that root starts would otherwise be of a user who may not connect to the socket.
        let content = format!(
            "{modules}user root root;\ndaemon off;\nworker_processes 1;\npid {}/pid;\nevents {{}}\n{blocks}",
            start.path().display()
        );
        let file = start.file("nginx.conf", &content);
        let prefix = start.path().display().to_string();
        start.run("/usr/sbin/nginx", &["-p", &prefix, "-c", &file, "-e", "stderr"])
    }

    /// Apache with this site for TLS, and the same without TLS.
    pub fn apache(site: &str) -> Self {
        let start = Start::new();
        let site = replaced(site, "/etc/ssl/example.com.crt", &fixture("ec.cert.pem"));
        let site = replaced(&site, "/etc/ssl/example.com.key", &fixture("ec.pkcs8.pem"));
        let of_port = |port: u16| replaced(&site, "*:443", &format!("127.0.0.1:{port}"));
        let plain = of_port(start.plain);
        let plain: String =
            plain.lines().filter(|line| !line.trim().starts_with("SSL")).map(|line| format!("{line}\n")).collect();
        let modules = [
            "mpm_event",
            "authz_core",
            "headers",
            "proxy",
            "proxy_fcgi",
            "proxy_http",
            "proxy_scgi",
            "socache_shmcb",
            "ssl",
        ]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
        let content = format!(
            "{modules}ServerRoot {0}\nPidFile {0}/pid\nErrorLog /dev/stderr\nServerName localhost\nUser www-data\nGroup www-data\n\
             Listen 127.0.0.1:{1}\nListen 127.0.0.1:{2}\n{plain}{3}",
            start.path().display(),
            start.plain,
            start.secure,
            of_port(start.secure)
        );
        let file = start.file("apache2.conf", &content);
        start.run("/usr/sbin/apache2", &["-f", &file, "-D", "FOREGROUND"])
    }

    /// HAProxy with this configuration. A page without `:80` is about connections.
    pub fn haproxy(configuration: &str) -> Self {
        let start = Start::new();
        let configuration = if configuration.contains("bind :80\n") {
            let pem = start.file("both.pem", &pem());
            let text = replaced(configuration, "bind :80\n", &format!("bind 127.0.0.1:{}\n", start.plain));
            let text = replaced(&text, "bind :443", &format!("bind 127.0.0.1:{}", start.secure));
            replaced(&text, "/etc/haproxy/example.com.pem", &pem)
        } else {
            replaced(configuration, "bind :443", &format!("bind 127.0.0.1:{}", start.plain))
        };
        let file = start.file("haproxy.cfg", &configuration);
        start.run("/usr/sbin/haproxy", &["-db", "-f", &file])
    }

    /// Caddy with this site for TLS, and the same without TLS.
    pub fn caddy(site: &str) -> Self {
        let start = Start::new();
        let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
        let bind = "bind 127.0.0.1";
        let plain = replaced(site, "example.com {", &format!("http://:{} {{\n{bind}", start.plain));
        let secure = format!("https://:{} {{\n{bind}\ntls {cert} {key}", start.secure);
        let secure = replaced(site, "example.com {", &secure);
        let file = start.file("Caddyfile", &format!("{{\nadmin off\nauto_https off\n}}\n{plain}{secure}"));
        start.run("/usr/bin/caddy", &["run", "--adapter", "caddyfile", "--config", &file])
    }

    /// lighttpd with these settings.
    pub fn lighttpd(settings: &str) -> Self {
        let start = Start::new();
        let pem = start.file("both.pem", &pem());
        let content = format!(
            "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\nserver.modules = (\"mod_openssl\")\n\
             $SERVER[\"socket\"] == \"127.0.0.1:{}\" {{\nssl.engine = \"enable\"\nssl.pemfile = \"{pem}\"\n}}\n{settings}",
            start.path().display(),
            start.plain,
            start.secure
        );
        let file = start.file("lighttpd.conf", &content);
        start.run("/usr/sbin/lighttpd", &["-D", "-f", &file])
    }
}

impl Drop for Proxy {
    /// Asks it to end, so that its own children end too.
    fn drop(&mut self) {
        self.process.ask();
    }
}
