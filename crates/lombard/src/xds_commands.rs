//! What clients of gRPC and Envoy begin with to find services at the registry.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    cli::CommonArguments, data_directory::DataDirectory, role::Role, up::run_state::RunState,
};

#[derive(Debug, Subcommand)]
pub(crate) enum XdsCommand {
    /// Print what a client begins with: save it, and say where it is in GRPC_XDS_BOOTSTRAP, or to Envoy with --config-path
    #[command(
        after_help = "Example: lombard xds bootstrap > xds.json; GRPC_XDS_BOOTSTRAP=xds.json your-program, which calls xds:///hello"
    )]
    Bootstrap {
        /// Whose client
        #[arg(long = "for", value_enum, default_value_t = Client::Grpc)]
        client: Client,
        /// How the client is called in the registry's log
        #[arg(long, default_value = "lombard-client")]
        node: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// Any client of gRPC: `xds:///hello`
    Grpc,
    /// Envoy: a cluster for each service
    Envoy,
}

pub(crate) fn run(common: &CommonArguments, command: &XdsCommand) -> anyhow::Result<()> {
    let XdsCommand::Bootstrap { client, node } = command;
    let address = address(common)?;
    let bootstrap = match client {
        Client::Grpc => grpc(&address, node),
        Client::Envoy => envoy(&address, node)?,
    };
    println!("{bootstrap:#}");
    Ok(())
}

/// Where the registry of the platform listens that runs here; where none does, where it would.
fn address(common: &CommonArguments) -> anyhow::Result<String> {
    let running =
        DataDirectory::open(&common.data_dir).and_then(|directory| RunState::read(&directory));
    let running = running.ok().and_then(|state| state.role(Role::Registry)?.grpc_address);
    let address = running.or_else(|| Role::Registry.grpc_address(&common.grpc_listen));
    let address = address.ok_or_else(|| anyhow::anyhow!("the registry does not speak gRPC"))?;
    Ok(address.to_string())
}

fn grpc(address: &str, node: &str) -> Value {
    json!({
        "xds_servers": [{
            "server_uri": address,
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        }],
        "node": { "id": node },
    })
}

fn envoy(address: &str, node: &str) -> anyhow::Result<Value> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| anyhow::anyhow!("no port"))?;
    let port: u16 = port.parse()?;
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    let socket = json!({ "address": host.trim_matches(['[', ']']), "port_value": port });
    Ok(json!({
        "node": { "id": node, "cluster": node },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "lombard-registry" } }],
            },
            "cds_config": ads,
        },
        "static_resources": { "clusters": [{
            "name": "lombard-registry", "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            } },
            "load_assignment": { "cluster_name": "lombard-registry", "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": { "socket_address": socket } } }],
            }] },
        }] },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lead_to_the_registry() {
        let grpc = grpc("127.0.0.1:9081", "me");
        assert_eq!(grpc["xds_servers"][0]["server_uri"], "127.0.0.1:9081");
        let envoy = envoy("[::1]:9081", "me").unwrap();
        let endpoint = &envoy["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0];
        let socket = &endpoint["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
        assert_eq!(*socket, json!({ "address": "::1", "port_value": 9081 }));
    }
}
