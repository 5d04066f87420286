//! Are the limits of the process, the clock and the ports such that a server can run?

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};

use wagi::config::{ConnectionLimits, GatewayLimits, Limits, ListenAddress};

use crate::cli::commands::doctor::finding::Finding;
use crate::cli::commands::size;

/// Descriptors beside those of connections: files of guests, calls of other servers, logs.
const OTHER_DESCRIPTORS: u64 = 1_000;

/// A clock that says an earlier time is wrong: the first of January 2026.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

/// Looks at the limits, the clock, and the ports to listen on.
pub(super) fn look(listen: &[ListenAddress]) -> Vec<Finding> {
    let default = [ListenAddress::Tcp(ListenAddress::DEFAULT)];
    let listen = if listen.is_empty() { &default[..] } else { listen };
    let mut findings = vec![
        descriptors(getrlimit(Resource::Nofile).maximum),
        address_space(getrlimit(Resource::As).current),
        overcommit(&std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default()),
        clock(SystemTime::now()),
    ];
    findings.extend(listen.iter().filter_map(port));
    findings
}

/// The hard limit counts: the server raises its own to it.
fn descriptors(limit: Option<u64>) -> Finding {
    let wanted = ConnectionLimits::default().connections as u64 + OTHER_DESCRIPTORS;
    match limit {
        Some(limit) if limit < wanted => Finding::missing(
            "limits",
            format!("{limit} descriptors: fewer connections are accepted than `limits.connections` says"),
            format!(
                "raise the hard limit to {wanted}: `LimitNOFILE={wanted}` in a unit, `ulimit -Hn {wanted}` in a shell; or lower `connections` in `[limits]`"
            ),
        ),
        Some(limit) => Finding::good("limits", format!("{limit} descriptors")),
        None => Finding::good("limits", "any number of descriptors"),
    }
}

/// The engine reserves the memory of all guests, which costs address space and no memory.
fn address_space(limit: Option<u64>) -> Finding {
    let wanted = (GatewayLimits::default().total_concurrency as u64).saturating_mul(Limits::default().memory as u64);
    match limit {
        Some(limit) if limit < wanted => Finding::bad(
            "limits",
            format!("address space of {}: the engine reserves {} for guests", size(limit), size(wanted)),
            "remove the limit: `ulimit -v unlimited`, no `LimitAS` in a unit; or lower `total_concurrency` and `memory` in `[limits]`",
        ),
        Some(limit) => Finding::good("limits", format!("address space of {}", size(limit))),
        None => Finding::good("limits", "address space without a limit"),
    }
}

fn overcommit(setting: &str) -> Finding {
    match setting.trim() {
        "2" => Finding::missing(
            "limits",
            "vm.overcommit_memory is 2: what is reserved for guests may count as used memory",
            "`sysctl vm.overcommit_memory=0`, if the server says that it cannot reserve memory",
        ),
        _ => Finding::good("limits", "memory that is only reserved does not count"),
    }
}

fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since < EARLIEST {
        return Finding::bad(
            "clock",
            "it says a time before 2026: certificates count as not yet valid, and logs have wrong times",
            "set it: `timedatectl set-ntp true`, or `date --set`",
        );
    }
    Finding::good("clock", "it says a time that can be right")
}

/// Whether an address can be listened on. Only TCP addresses are tried.
fn port(address: &ListenAddress) -> Option<Finding> {
    let socket = address.tcp()?;
    Some(match TcpListener::bind(socket) {
        Ok(_) => Finding::good("port", format!("{socket} can be listened on")),
        Err(error) => {
            let what = format!("{socket} cannot be listened on: {error}");
            let cure = match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "find the program with `ss -ltnp sport = :{}` and end it, or listen elsewhere: `wagi --listen {}`",
                    socket.port(),
                    address.with_port(0)
                ),
                ErrorKind::PermissionDenied => {
                    "use a socket of systemd (`--listen systemd`), or grant it: `AmbientCapabilities=CAP_NET_BIND_SERVICE` in a unit".to_owned()
                }
                ErrorKind::AddrNotAvailable => "name an address of this machine: `ip address` lists them".to_owned(),
                _ => "name another address with `--listen`".to_owned(),
            };
            Finding::bad("port", what, cure)
        }
    })
}

/// How much room there is on the file system of a path.
pub(super) fn free_space(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use wagi::config::WebServerProtocol;

    use crate::cli::commands::doctor::finding::FindingState;
    use crate::cli::commands::doctor::system::*;

    #[test]
    fn limits_that_are_too_low_have_a_cure() {
        assert_eq!(descriptors(Some(1_024)).state, FindingState::Missing);
        assert_eq!(descriptors(Some(20_000)).state, FindingState::Good);
        assert_eq!(descriptors(None).state, FindingState::Good);
        assert_eq!(address_space(Some(4 << 30)).state, FindingState::Bad);
        assert_eq!(address_space(None).state, FindingState::Good);
        assert_eq!(overcommit("2\n").state, FindingState::Missing);
        assert_eq!(overcommit("0\n").state, FindingState::Good);
    }

    #[test]
    fn a_clock_that_was_never_set_is_bad() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH).state, FindingState::Bad);
        assert_eq!(clock(SystemTime::UNIX_EPOCH + 2 * EARLIEST).state, FindingState::Good);
    }

    #[test]
    fn a_port_in_use_is_bad_and_the_cure_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("it has one");
        let found = port(&ListenAddress::Tcp(address)).expect("TCP is tried");
        assert_eq!(found.state, FindingState::Bad);
        assert!(found.cure.is_some_and(|cure| cure.contains(&format!(":{}", address.port()))));
        for (listen, elsewhere) in [
            (ListenAddress::PlainTcp(address), "--listen http:127.0.0.1:0`"),
            (
                ListenAddress::WebServer(WebServerProtocol::Scgi, Box::new(ListenAddress::Tcp(address))),
                "--listen scgi:127.0.0.1:0`",
            ),
        ] {
            let cure = port(&listen).and_then(|found| found.cure).unwrap_or_default();
            assert!(cure.contains(elsewhere), "{cure}");
        }
    }
}
