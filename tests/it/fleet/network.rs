//! Machines of a test: network namespaces at one bridge, with nothing outside. Their file system is that of this machine, so Unix
//! sockets lead into them.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::process::output;
use crate::support::registry::Done;

static NETWORKS: AtomicUsize = AtomicUsize::new(0);

/// A network; it is gone with the test.
pub struct Network {
    prefix: String,
    machines: u8,
}

/// One of its machines. The first has the registry and the load balancer.
#[derive(Clone)]
pub struct Machine {
    namespace: String,
    pub address: IpAddr,
}

fn ip(words: &str) {
    Done::from(output(Command::new("ip").args(words.split(' ')))).well();
}

impl Network {
    /// The bridge, on a machine of its own.
    pub fn new() -> (Self, Machine) {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let network = Self { prefix: format!("wagi-{}-{number}", std::process::id()), machines: 0 };
        let namespace = network.namespace(0);
        ip(&format!("netns add {namespace}"));
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("-n {namespace} link add bridge type bridge"));
        ip(&format!("-n {namespace} addr add 10.99.0.10/24 dev bridge"));
        ip(&format!("-n {namespace} link set bridge up"));
        (network, Machine { namespace, address: Ipv4Addr::new(10, 99, 0, 10).into() })
    }

    fn namespace(&self, number: u8) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// Another machine.
    pub fn machine(&mut self) -> Machine {
        self.machines += 1;
        let (bridge, number) = (self.namespace(0), self.machines);
        let namespace = self.namespace(number);
        ip(&format!("netns add {namespace}"));
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("-n {bridge} link add port{number} type veth peer name eth0 netns {namespace}"));
        ip(&format!("-n {bridge} link set port{number} master bridge up"));
        let address = Ipv4Addr::new(10, 99, 0, 10 + number);
        ip(&format!("-n {namespace} addr add {address}/24 dev eth0"));
        ip(&format!("-n {namespace} link set eth0 up"));
        Machine { namespace, address: address.into() }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for number in 0..=self.machines {
            let _ = output(Command::new("ip").args(["netns", "delete", &self.namespace(number)]));
        }
    }
}

impl Machine {
    /// A command that runs there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }
}
