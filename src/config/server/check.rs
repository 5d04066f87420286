//! Which addresses and settings of `[server]` contradict each other?

use crate::config::reader::values::in_bytes;
use crate::config::{
    Diagnostic, EntryConfig, Key, ListenAddress, ScratchTotal, ServerConfig, SourceLocation, TrustedProxies,
    UnknownGroup,
};

/// The problem of an address that is given twice on the command line.
pub(in crate::config) fn repeated_addresses(addresses: &[ListenAddress]) -> Vec<Diagnostic> {
    let is_repeated = |(at, address): &(usize, &ListenAddress)| {
        addresses.iter().take(*at).any(|earlier| earlier.is_same_socket(address))
    };
    let repeated = addresses.iter().enumerate().filter(is_repeated);
    repeated.map(|(_, address)| Diagnostic::error(format!("`--listen {address}` is given twice"))).collect()
}

/// The problems of Unix sockets of the command line for groups that are not there.
pub(in crate::config) fn unknown_groups(addresses: &[ListenAddress]) -> Vec<Diagnostic> {
    let unknown = addresses.iter().filter_map(|address| Some((address, address.check_group().err()?)));
    let problem = |(address, error): (&ListenAddress, UnknownGroup)| {
        Diagnostic::error(format!("in `--listen {address}`: {error}")).help(UnknownGroup::HELP)
    };
    unknown.map(problem).collect()
}

/// The problem of an address for web servers that has no peers to serve, and what to do.
pub(in crate::config) fn untrusted_web_servers(address: &ListenAddress) -> (String, &'static str) {
    let message = format!("`{address}` serves only peers in `trusted_proxies`, and there are none");
    (message, "name the web server: `trusted_proxies = [\"127.0.0.1\"]` in `[server]`")
}

/// The problems of addresses of the command line that have no peers to serve.
pub(in crate::config) fn untrusted_addresses(addresses: &[ListenAddress], proxies: &TrustedProxies) -> Vec<Diagnostic> {
    let untrusted = addresses.iter().filter(|address| proxies.is_empty() && address.needs_trust());
    let problem = |address| {
        let (message, help) = untrusted_web_servers(address);
        Diagnostic::warning(message).help(help)
    };
    untrusted.map(problem).collect()
}

/// The problem of `redirect_https`, which stands at `location`, in a server that no client can be sent to.
pub(in crate::config) fn redirect_without_tls(
    config: &ServerConfig,
    location: Option<SourceLocation>,
) -> Option<Diagnostic> {
    let location = location?;
    if config.tls.is_none() {
        let problem = Diagnostic::error("`redirect_https` needs a certificate: clients are sent to `https`");
        let help = "write `certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]` in `[tls]`";
        return Some(problem.at(location).help(help));
    }
    let is_plain = |address: &ListenAddress| {
        matches!(address, ListenAddress::PlainTcp(_) | ListenAddress::Unix(_) | ListenAddress::WebServer(..))
    };
    if config.listen.is_empty() || !config.listen.iter().all(is_plain) {
        return None;
    }
    let problem = Diagnostic::error("`redirect_https` needs a port with TLS: no address of `listen` has any");
    Some(problem.at(location).help("write a second address without `http:`, such as `\"0.0.0.0:443\"`"))
}

/// The warnings about scratch directories that no guest can fill, since all of them together may not hold so much.
pub(in crate::config) fn oversized_scratch(
    entries: &[EntryConfig],
    ScratchTotal(total): ScratchTotal,
) -> Vec<Diagnostic> {
    let warnings = entries.iter().flat_map(|entry| {
        let oversized = entry.scratch.iter().enumerate().filter(|(_, scratch)| scratch.bytes > total);
        oversized.map(|(index, scratch)| {
            let (path, own, all) = (&scratch.guest_path, in_bytes(scratch.bytes), in_bytes(total));
            let message = format!("the scratch directory `{path}` may have {own}, and all of them together {all}");
            let problem = Diagnostic::warning(message).at(entry.origin.at(Key::Scratch(index)));
            let problem = problem.help("raise `scratch_total` in `[server]`, or lower `scratch`");
            Diagnostic { route: Some(entry.route.to_string()), ..problem }
        })
    });
    warnings.collect()
}

#[cfg(test)]
mod tests {
    use crate::config::server::check::*;

    #[test]
    fn an_address_is_given_once() {
        let repeated = |texts: &[&str]| {
            let addresses: Vec<ListenAddress> = texts.iter().map(|text| text.parse().expect(text)).collect();
            repeated_addresses(&addresses).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(repeated(&["127.0.0.1:80", "127.0.0.1:81", "[::1]:80", "unix:a", "unix:b", "systemd:a"]), [""; 0]);
        assert_eq!(repeated(&["127.0.0.1:0", "127.0.0.1:0"]), [""; 0]);
        for (one, other) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "http:127.0.0.1:80"),
            ("unix:a", "unix:a?mode=0600"),
            ("systemd", "systemd:a"),
            ("systemd:a", "systemd:a"),
        ] {
            assert_eq!(repeated(&[one, other]).len(), 1, "{one} {other}");
        }
    }

    #[test]
    fn an_address_for_web_servers_over_tcp_needs_trust() {
        let addresses = ["fastcgi:127.0.0.1:1", "scgi:unix:a", "127.0.0.1:2"].map(|text| text.parse().expect(text));
        let mut proxies = TrustedProxies::default();
        let [problem] = &untrusted_addresses(&addresses, &proxies)[..] else { panic!("one problem") };
        assert!(problem.message.contains("`fastcgi:127.0.0.1:1` serves only peers"), "{}", problem.message);
        proxies.add("127.0.0.1").expect("an address");
        assert!(untrusted_addresses(&addresses, &proxies).is_empty());
    }
}
