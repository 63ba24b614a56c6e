//! The roles: their names, default ports and order.

use std::{fmt, net::SocketAddr, str::FromStr};

/// One of the processes that make the platform.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Gateway,
    Registry,
    Auth,
    Eventstore,
    Ledger,
    Query,
    Console,
}

impl Role {
    pub(crate) const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Registry,
        Self::Auth,
        Self::Eventstore,
        Self::Ledger,
        Self::Query,
        Self::Console,
    ];

    /// Those that keep a log.
    pub(crate) const WITH_LOG: [Self; 4] =
        [Self::Registry, Self::Auth, Self::Eventstore, Self::Ledger];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Registry => "registry",
            Self::Auth => "auth",
            Self::Eventstore => "eventstore",
            Self::Ledger => "ledger",
            Self::Query => "query",
            Self::Console => "console",
        }
    }

    /// Where a role listens unless it is told otherwise: loopback only.
    pub(crate) const fn default_address(self) -> SocketAddr {
        let port = match self {
            Self::Gateway => 8080,
            Self::Registry => 8081,
            Self::Auth => 8082,
            Self::Eventstore => 8083,
            Self::Ledger => 8084,
            Self::Console => 8085,
            Self::Query => 8086,
        };
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
    }
}

impl Role {
    /// Where a role listens for gRPC, where it speaks it, unless it is told otherwise: loopback only.
    pub(crate) const fn default_grpc_address(self) -> Option<SocketAddr> {
        let port = match self {
            Self::Registry => 9081,
            Self::Eventstore => 9083,
            Self::Ledger => 9084,
            Self::Gateway | Self::Auth | Self::Query | Self::Console => return None,
        };
        Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }

    /// Where it listens for gRPC, with what was said on the command line.
    pub(crate) fn grpc_address(self, overrides: &[GrpcAddress]) -> Option<SocketAddr> {
        let given = overrides.iter().rev().find(|given| given.0.role == self);
        given.map(|given| given.0.address).or(self.default_grpc_address())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not a role; the roles are {names}")
        })
    }
}

/// `ROLE=ADDRESS:PORT` on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleAddress {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
}

impl fmt::Display for RoleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.role, self.address)
    }
}

impl FromStr for RoleAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, address) = text
            .split_once('=')
            .ok_or("expected ROLE=ADDRESS:PORT, such as gateway=127.0.0.1:9080")?;
        let address = address
            .parse()
            .map_err(|_| format!("{address:?} is not ADDRESS:PORT, such as 127.0.0.1:9080"))?;
        Ok(Self { role: role.parse()?, address })
    }
}

/// `ROLE=ADDRESS:PORT` on the command line, of a role that speaks gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrpcAddress(pub(crate) RoleAddress);

impl fmt::Display for GrpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for GrpcAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let given: RoleAddress = text.parse()?;
        if given.role.default_grpc_address().is_none() {
            return Err(format!("the {} does not speak gRPC", given.role));
        }
        Ok(Self(given))
    }
}

/// Where the registry speaks other protocols, each of which it may leave: `ADDRESS:PORT`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionalAddress {
    Off,
    At(SocketAddr),
}

impl OptionalAddress {
    /// Consul's own port, on loopback.
    pub(crate) const CONSUL: Self = Self::on_loopback(8500);
    /// Consul's port for DNS, on loopback: who asks on port 53 must be sent here.
    pub(crate) const DNS: Self = Self::on_loopback(8600);

    const fn on_loopback(port: u16) -> Self {
        Self::At(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }

    pub(crate) const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl fmt::Display for OptionalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl FromStr for OptionalAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| {
                format!("{address:?} is neither off nor ADDRESS:PORT, such as 127.0.0.1:8501")
            }),
        }
    }
}

/// Where each role can be reached: the defaults, with what was said on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Addresses([SocketAddr; Role::ALL.len()]);

impl Addresses {
    pub(crate) fn with(overrides: &[RoleAddress]) -> Self {
        let of = |role: Role| {
            overrides
                .iter()
                .rev()
                .find(|given| given.role == role)
                .map_or(role.default_address(), |given| given.address)
        };
        Self(Role::ALL.map(of))
    }

    #[expect(clippy::indexing_slicing, reason = "there is one entry for each role, in their order")]
    pub(crate) fn of(&self, role: Role) -> SocketAddr {
        self.0[role as usize]
    }

    pub(crate) fn url(&self, role: Role) -> String {
        format!("http://{}", self.of(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_an_address_counts() {
        let given =
            ["gateway=127.0.0.1:1", "gateway=127.0.0.1:2"].map(|text| text.parse().unwrap());
        let addresses = Addresses::with(&given);
        assert_eq!(addresses.url(Role::Gateway), "http://127.0.0.1:2");
        assert_eq!(addresses.of(Role::Ledger), Role::Ledger.default_address());
    }

    #[test]
    fn only_some_roles_speak_grpc() {
        let given = ["eventstore=127.0.0.1:1".parse().unwrap()];
        assert_eq!(Role::Eventstore.grpc_address(&given), Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(Role::Eventstore.grpc_address(&[]), Role::Eventstore.default_grpc_address());
        assert_eq!(Role::Console.grpc_address(&given), None);
        assert!("console=127.0.0.1:1".parse::<GrpcAddress>().is_err());
    }

    #[test]
    fn the_port_for_consuls_clients_can_be_off() {
        assert_eq!("off".parse(), Ok(OptionalAddress::Off));
        let at: OptionalAddress = "127.0.0.1:8501".parse().unwrap();
        assert_eq!(at.address().unwrap().port(), 8501);
        assert_eq!(OptionalAddress::CONSUL.to_string(), "127.0.0.1:8500");
        assert!("8500".parse::<OptionalAddress>().unwrap_err().contains("off"));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, said) in
            [("8080", "ROLE="), ("gate=127.0.0.1:1", "not a role"), ("auth=8080", "ADDRESS:PORT")]
        {
            let error = text.parse::<RoleAddress>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
