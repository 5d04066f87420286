//! How is the same program in C served as it always was: compiled for this machine, started for each request?

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Server;
use crate::process::{Process, free_address};
use crate::site::Site;

/// Where the program answers.
pub const SCRIPT: &str = "/hello.cgi";

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

/// nginx asks fcgiwrap, whose processes start the program.
pub fn nginx(site: &Site) -> Result<Server> {
    let address = free_address()?;
    let root = site.tool("cgi")?;
    let socket = site.scratch.join("fcgiwrap.socket");
    let fcgiwrap = site.program("fcgiwrap")?;
    let wrap =
        Process::start(Command::new(fcgiwrap).args(["-c", "4", "-s"]).arg(format!("unix:{}", socket.display())))?;
    fs::create_dir_all(site.scratch.join("nginx"))?;
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
    server {{
        listen {address};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {}$fastcgi_script_name;
            fastcgi_pass unix:{};
        }}
    }}
}}
"#,
        root.display(),
        socket.display()
    );
    let config = site.write("nginx.conf", &config)?;
    let mut command = Command::new(site.program("nginx")?);
    command.arg("-p").arg(site.scratch.join("nginx")).arg("-c").arg(config);
    let server = Server { beside: Some(wrap), ..Server::new(Process::start(&mut command)?, address) };
    server.says_hello(SCRIPT)
}
