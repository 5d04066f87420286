//! Where does the admin listener listen, and which requests does it answer?
//!
//! `manifest` reads the table `[admin]`, `Config::load` adds the option of the command line, `admin` applies the result.

mod token;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

pub use crate::config::admin::token::AdminToken;

use crate::config::{
    Diagnostic, HostPattern, ListenAddress, ListenAddressError, SourceLocation, UnixAddress, UnknownGroup,
};

/// The mode of the Unix socket without `?mode=`: only the user of the server may connect.
const SOCKET_MODE: u32 = 0o600;

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Its address.
    pub listen: AdminAddress,
    /// The names that it answers, besides its own address and `localhost`.
    pub hosts: Vec<HostPattern>,
    /// The token that requests need; `None` if they need none.
    pub token: Option<AdminToken>,
}

/// An address for the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A TCP port. With port 0 the system chooses a free port.
    Tcp(SocketAddr),
    /// A Unix socket: `unix:PATH`.
    Unix(UnixAddress),
}

/// Why a text is not an address for the admin listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminAddressError {
    /// It is no address at all.
    #[error(transparent)]
    Address(#[from] ListenAddressError),
    /// It is one that the admin listener cannot have.
    #[error(
        "the admin listener has a port or a Unix socket of its own, without TLS; write `127.0.0.1:9901` or `unix:PATH`"
    )]
    Unsupported,
}

/// The content of `[admin]`.
#[derive(Debug, Default)]
pub(in crate::config) struct AdminTable {
    pub listen: Option<(AdminAddress, SourceLocation)>,
    pub hosts: Vec<HostPattern>,
    pub token_file: Option<(PathBuf, SourceLocation)>,
}

impl AdminAddress {
    /// Whether only this machine can connect: to a loopback address or a Unix socket.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Fails if it is a Unix socket for a group that is not there.
    pub(in crate::config) fn check_group(&self) -> Result<(), UnknownGroup> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::Unix(unix) => unix.group_id().map(drop),
        }
    }
}

impl FromStr for AdminAddress {
    type Err = AdminAddressError;

    fn from_str(text: &str) -> Result<Self, AdminAddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(UnixAddress::parse(path, SOCKET_MODE)?));
        }
        match text.parse()? {
            ListenAddress::Tcp(address) => Ok(Self::Tcp(address)),
            _ => Err(AdminAddressError::Unsupported),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ListenAddress::from(self.clone()).fmt(f)
    }
}

impl From<AdminAddress> for ListenAddress {
    fn from(address: AdminAddress) -> Self {
        match address {
            AdminAddress::Tcp(address) => Self::Tcp(address),
            AdminAddress::Unix(unix) => Self::Unix(unix),
        }
    }
}

/// The admin listener that the operator asks for. The option `--admin` takes precedence over the table.
pub(in crate::config) fn admin_config(
    option: Option<&AdminAddress>,
    table: AdminTable,
    server: &[ListenAddress],
    problems: &mut Vec<Diagnostic>,
) -> Option<AdminConfig> {
    let AdminTable { listen, hosts, token_file } = table;
    let (found, location) = listen.unzip();
    let location = location.filter(|_| option.is_none());
    if let Some(Err(error)) = option.map(AdminAddress::check_group) {
        problems.push(Diagnostic::error(format!("in `--admin`: {error}")).help(UnknownGroup::HELP));
    }
    let listen = option.cloned().or(found)?;
    if let Some(other) = server.iter().find(|other| other.overlaps(&listen.clone().into())) {
        let problem =
            Diagnostic::error(format!("the admin listener cannot be at {listen}: the server listens on {other}"));
        problems.push(problem.at(location.clone()).help("choose another port or path for one of the two"));
    }
    let is_open = token_file.is_none() && !listen.is_local();
    let token = token_file.and_then(|(path, location)| match AdminToken::read(&path) {
        Ok(token) => Some(token),
        Err(problem) => {
            problems.push(problem.at(location));
            None
        }
    });
    if is_open {
        problems.push(without_token(&listen).at(location));
    }
    Some(AdminConfig { listen, hosts, token })
}

/// The problem of a listener that other machines reach, and that asks for no token.
fn without_token(listen: &AdminAddress) -> Diagnostic {
    let message = format!("the admin listener at {listen} needs a token, since other machines can connect to it");
    let port = match listen {
        AdminAddress::Tcp(address) => address.port(),
        AdminAddress::Unix(_) => 0,
    };
    let help = format!(
        "write `token_file = \"admin.token\"` in `[admin]` and a long random text into that file, for example with \
         `openssl rand -hex 32`; or listen on `127.0.0.1:{port}` or on `unix:PATH`"
    );
    Diagnostic::error(message).help(help)
}

#[cfg(test)]
mod tests {
    use crate::config::admin::*;

    #[test]
    fn an_address_is_a_port_or_a_private_socket() {
        let parsed = |text: &str| text.parse::<AdminAddress>();
        assert_eq!(parsed("127.0.0.1:9901"), Ok(AdminAddress::Tcp(([127, 0, 0, 1], 9901).into())));
        let Ok(AdminAddress::Unix(unix)) = parsed("unix:/run/a.sock") else { panic!("a socket") };
        assert_eq!(unix.mode, 0o600);
        let Ok(AdminAddress::Unix(unix)) = parsed("unix:/run/a.sock?mode=0660") else { panic!("a socket") };
        assert_eq!(unix.mode, 0o660);
        for text in ["systemd", "http:127.0.0.1:80", "localhost:9901", "9901", "unix:", ""] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        let is_local = |text: &str| text.parse::<AdminAddress>().expect(text).is_local();
        for text in ["127.0.0.1:1", "127.9.8.7:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:a"] {
            assert!(is_local(text), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "10.0.0.1:1", "[fe80::1]:1"] {
            assert!(!is_local(text), "{text}");
        }
    }

    #[test]
    fn the_server_has_other_addresses_and_the_group_is_there() {
        let problems = |listen: &str, server: &str| {
            let (listen, mut problems) = (listen.parse().expect(listen), Vec::new());
            admin_config(Some(&listen), AdminTable::default(), &[server.parse().expect(server)], &mut problems);
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(problems("127.0.0.1:9901", "127.0.0.1:9902"), [""; 0]);
        assert_eq!(
            problems("127.0.0.1:9901", "0.0.0.0:9901"),
            ["the admin listener cannot be at 127.0.0.1:9901: the server listens on 0.0.0.0:9901"]
        );
        assert_eq!(problems("unix:a", "unix:a").len(), 1);
        assert_eq!(
            problems("unix:a?group=no-such-group", "unix:b"),
            ["in `--admin`: there is no group `no-such-group`"]
        );
    }

    #[test]
    fn what_other_machines_reach_needs_a_token() {
        let problems = |listen: &str, token_file: Option<&str>| {
            let (listen, mut problems) = (listen.parse().expect(listen), Vec::new());
            let location = || SourceLocation::new(&crate::config::SourceFile::new("a", "a"), 0..1);
            let token_file = token_file.map(|path| (path.into(), location()));
            let table = AdminTable { token_file, ..AdminTable::default() };
            admin_config(Some(&listen), table, &[], &mut problems);
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(problems("127.0.0.1:9901", None), [""; 0]);
        assert!(problems("0.0.0.0:9901", None).iter().any(|problem| problem.contains("needs a token")));
        // The file that is missing is the only problem.
        assert_eq!(problems("0.0.0.0:9901", Some("no/such")), ["cannot read the token file `no/such`"]);
    }
}
