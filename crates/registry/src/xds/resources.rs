//! What is the same for every service: its listener, its route and its cluster, and what is made of its instances.

use bytes::Bytes;
use lombard_proto::xds::{
    Any, Duration,
    cluster::{self, Cluster, cluster::EdsClusterConfig},
    core::{
        Address, AggregatedConfigSource, ApiVersion, ConfigSource, Locality, SocketAddress,
        address, config_source, socket_address,
    },
    endpoint::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint},
    http_connection_manager::{
        HttpConnectionManager, HttpFilter, http_connection_manager, http_filter,
    },
    listener::{ApiListener, Listener},
    route::{
        Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route, route_action,
        route_match,
    },
    router::Router,
};
use lombard_registry_core::{Instance, Scheme, Service};
use lombard_types::ServiceName;
use prost::Message;

const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
/// How long a connection to an instance may take.
const CONNECT_TIMEOUT_SECONDS: i64 = 5;

/// What a client of gRPC begins with: everything goes to the service's cluster.
pub(super) fn listener(name: &str) -> Vec<u8> {
    let router = HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(any(ROUTER, &Router {}))),
    };
    let routes = http_connection_manager::RouteSpecifier::RouteConfig(route_configuration(name));
    let manager = HttpConnectionManager {
        stat_prefix: name.to_owned(),
        route_specifier: Some(routes),
        http_filters: vec![router],
    };
    let api_listener = ApiListener { api_listener: Some(any(MANAGER, &manager)) };
    Listener { name: name.to_owned(), api_listener: Some(api_listener) }.encode_to_vec()
}

pub(super) fn route(name: &str) -> Vec<u8> {
    route_configuration(name).encode_to_vec()
}

fn route_configuration(name: &str) -> RouteConfiguration {
    let path_specifier = Some(route_match::PathSpecifier::Prefix(String::new()));
    let cluster_specifier = Some(route_action::ClusterSpecifier::Cluster(name.to_owned()));
    let route = Route {
        r#match: Some(RouteMatch { path_specifier }),
        action: Some(route::Action::Route(RouteAction { cluster_specifier })),
    };
    let (domains, routes) = (vec!["*".to_owned()], vec![route]);
    let host = VirtualHost { name: name.to_owned(), domains, routes };
    RouteConfiguration { name: name.to_owned(), virtual_hosts: vec![host] }
}

pub(super) fn cluster(name: &str) -> Vec<u8> {
    let ads = config_source::ConfigSourceSpecifier::Ads(AggregatedConfigSource {});
    let eds_config = ConfigSource {
        config_source_specifier: Some(ads),
        resource_api_version: ApiVersion::V3.into(),
    };
    let discovery = cluster::cluster::DiscoveryType::Eds.into();
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(discovery)),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(eds_config),
            service_name: name.to_owned(),
        }),
        connect_timeout: Some(Duration { seconds: CONNECT_TIMEOUT_SECONDS, nanos: 0 }),
        lb_policy: cluster::cluster::LbPolicy::RoundRobin.into(),
    }
    .encode_to_vec()
}

/// The instances that take traffic, by their zones. Those that are known by a name are left out: clients take addresses
/// only. So are those behind TLS: clusters are spoken to in clear text.
pub(crate) fn endpoints(name: &ServiceName, service: Option<&Service>) -> Bytes {
    let mut zones: std::collections::BTreeMap<&str, Vec<LbEndpoint>> = Default::default();
    let instances = service.into_iter().flat_map(Service::instances).map(|(_, instance)| instance);
    let is_plain = |instance: &&Instance| instance.address.scheme() != Scheme::Https;
    for instance in instances.filter(|instance| instance.takes_traffic()).filter(is_plain) {
        if let Some(endpoint) = endpoint(instance) {
            let zone = instance.attributes.zone().unwrap_or_default();
            zones.entry(zone).or_default().push(endpoint);
        }
    }
    let endpoints = zones.into_iter().map(|(zone, lb_endpoints)| {
        let weights = lb_endpoints.iter().filter_map(|endpoint| endpoint.load_balancing_weight);
        let weight = weights.fold(0, u32::saturating_add);
        let locality = Locality { zone: zone.to_owned(), ..Locality::default() };
        LocalityLbEndpoints {
            locality: Some(locality),
            lb_endpoints,
            load_balancing_weight: Some(weight),
        }
    });
    let assignment =
        ClusterLoadAssignment { cluster_name: name.to_string(), endpoints: endpoints.collect() };
    assignment.encode_to_vec().into()
}

fn endpoint(instance: &Instance) -> Option<LbEndpoint> {
    let port = u32::from(instance.address.port());
    let socket = SocketAddress {
        address: instance.address.ip()?.to_string(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port)),
    };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let endpoint = Endpoint { address: Some(address) };
    Some(LbEndpoint {
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        load_balancing_weight: Some(instance.attributes.weight().get().into()),
    })
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}
