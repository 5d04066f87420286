//! How is the same program in C served as it always was: compiled for this machine, started for each request?

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Server;
use crate::process::{Process, free_address};
use crate::site::Site;

/// Where the program answers.
pub const SCRIPT: &str = "/hello.cgi";

/// Each starts one program at a time.
const WRAPPERS: usize = 4;

/// lighttpd starts the program itself.
pub fn lighttpd(site: &Site) -> Result<Server> {
    let address = free_address()?;
    let root = site.tool("cgi")?;
    let config = format!(
        r#"server.document-root = {root:?}
server.bind = "{}"
server.port = {}
server.modules = ("mod_cgi")
cgi.assign = (".cgi" => "")
"#,
        address.ip(),
        address.port()
    );
    let config = site.write("lighttpd.conf", &config)?;
    let process = Process::start(Command::new(site.program("lighttpd")?).arg("-D").arg("-f").arg(config))?;
    Server::new(process, address).says_hello(SCRIPT)
}

/// lighttpd starts an interpreter for each script below a directory: one for each extension.
pub fn lighttpd_scripts(site: &Site, root: &Path, interpreters: &[(&str, &str)]) -> Result<Server> {
    let address = free_address()?;
    let mut assigned = String::new();
    for (extension, program) in interpreters {
        assigned += &format!("\".{extension}\" => {:?}, ", site.program(program)?);
    }
    let (host, port) = (address.ip(), address.port());
    let config = format!(
        "server.document-root = {root:?}\nserver.bind = \"{host}\"\nserver.port = {port}\n\
         server.modules = (\"mod_cgi\")\ncgi.assign = ({assigned})\n"
    );
    let config = site.write("lighttpd-scripts.conf", &config)?;
    let process = Process::start(Command::new(site.program("lighttpd")?).arg("-D").arg("-f").arg(config))?;
    Ok(Server::new(process, address))
}

/// nginx asks PHP-FPM, which keeps its interpreters for one request after the other.
pub fn php_fpm(site: &Site, root: &Path) -> Result<Server> {
    let (address, socket) = (free_address()?, site.scratch.join("fpm.socket"));
    let config = format!(
        "[global]\nerror_log = /dev/null\n[www]\nuser = root\ngroup = root\nlisten = {}\npm = static\npm.max_children = 2\n",
        socket.display()
    );
    let config = site.write("fpm.conf", &config)?;
    let program = fpm_program()?;
    let fpm =
        Process::start(Command::new(program).args(["--nodaemonize", "--allow-to-run-as-root", "-y"]).arg(config))?;
    let scripts = format!(
        "listen {address}; root {}; keepalive_requests 1000000000;
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass unix:{};
        }}",
        root.display(),
        socket.display()
    );
    let process = start_nginx(site, "nginx-fpm", &scripts)?;
    Ok(Server { beside: vec![fpm], ..Server::new(process, address) })
}

/// Debian has its version in the name.
fn fpm_program() -> Result<PathBuf> {
    let programs = fs::read_dir("/usr/sbin")?.filter_map(Result::ok);
    let mut found = programs.filter(|file| file.file_name().to_string_lossy().starts_with("php-fpm"));
    Ok(found.next().context("`php-fpm` is not installed")?.path())
}

/// nginx asks fcgiwrap, whose processes start the program.
pub fn nginx(site: &Site) -> Result<Server> {
    let address = free_address()?;
    let root = site.tool("cgi")?;
    let socket = site.scratch.join("fcgiwrap.socket");
    let listener = UnixListener::bind(&socket).with_context(|| format!("cannot listen on `{}`", socket.display()))?;
    let program = site.program("fcgiwrap")?;
    let start = || {
        // Where FastCGI programs find the socket they are to accept from.
        let socket = Stdio::from(OwnedFd::from(listener.try_clone()?));
        Process::start_with(Command::new(&program).stdin(socket))
    };
    let beside = (0..WRAPPERS).map(|_| start()).collect::<Result<_>>()?;
    let fastcgi = format!(
        "location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {}$fastcgi_script_name;
            fastcgi_pass unix:{};
        }}",
        root.display(),
        socket.display()
    );
    let process = start_nginx(site, "nginx", &format!("listen {address}; {fastcgi}"))?;
    let server = Server { beside, ..Server::new(process, address) };
    server.says_hello(SCRIPT)
}

/// nginx with the files of a directory.
pub fn nginx_files(site: &Site, directory: &Path) -> Result<Server> {
    let address = free_address()?;
    let files = format!(
        "listen {address}; root {}; sendfile on; tcp_nopush on; keepalive_requests 1000000000;",
        directory.display()
    );
    Ok(Server::new(start_nginx(site, "nginx-files", &files)?, address))
}

/// Starts nginx with this server.
fn start_nginx(site: &Site, name: &str, server: &str) -> Result<Process> {
    fs::create_dir_all(site.scratch.join(name))?;
    let config = format!(
        r#"daemon off;
user root;
worker_processes auto;
pid nginx.pid;
error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    fastcgi_temp_path fastcgi;
    proxy_temp_path proxy;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    server {{ {server} }}
}}
"#
    );
    let config = site.write(&format!("{name}.conf"), &config)?;
    let mut command = Command::new(site.program("nginx")?);
    Process::start(command.arg("-p").arg(site.scratch.join(name)).arg("-c").arg(config))
}
