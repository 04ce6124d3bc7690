//! The gRPC form of the Open Inference Protocol, beside the health service that orchestrators ask.

mod service;
mod tensors;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use tonic_health::ServingStatus;

use crate::app::App;

/// Types and services of `proto/inference.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(crate) mod protocol {
    tonic::include_proto!("inference");

    /// What `proto/inference.proto` says, for clients that ask the server for it.
    pub(crate) const DESCRIPTION: &[u8] = tonic::include_file_descriptor_set!("inference");
}

/// What tells the health service how things are.
pub(crate) type HealthReporter = tonic_health::server::HealthReporter;

/// The routes of all gRPC services, and what tells the one of health.
pub(crate) fn router(app: &Arc<App>) -> (Router, HealthReporter) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(protocol::DESCRIPTION)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("descriptions that were compiled");
    let routes = tonic::service::Routes::new(service::inference(app)).add_service(health).add_service(reflection);
    // Without a fallback of its own, or every unknown path of HTTP would be answered as gRPC.
    (routes.into_axum_router().reset_fallback(), reporter)
}

/// Says by the health service whether requests are welcome.
pub(crate) async fn report(reporter: &HealthReporter, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", "inference.GRPCInferenceService"] {
        reporter.set_service_status(service, status).await;
    }
}

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether a path asks for health, for which no token is needed.
pub(crate) fn is_health(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
        || ["ServerLive", "ServerReady"].iter().any(|call| path.strip_prefix(SERVICE) == Some(call))
}

const SERVICE: &str = "/inference.GRPCInferenceService/";
/// What the service has, for the labels of metrics: a client that makes up names must not make up labels.
const CALLS: [&str; 11] = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
];
const OTHER_CALLS: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// A path of gRPC for the metrics: what nobody knows has one name.
pub(crate) fn known_path(path: &str) -> &str {
    let known = match path.strip_prefix(SERVICE) {
        Some(call) => CALLS.contains(&call),
        None => OTHER_CALLS.contains(&path),
    };
    if known { path } else { "(none)" }
}

/// gRPC's own code of a response; 0 where it says none before its body, which is when it succeeds.
pub(crate) fn code(response: &Response) -> u16 {
    let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    code.unwrap_or(if response.status().is_success() { 0 } else { tonic::Code::Unknown as u16 })
}

/// The time that `grpc-timeout` gives: digits and a unit.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.checked_mul(3600)?),
        "M" => Duration::from_secs(count.checked_mul(60)?),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let timeout = |text: &'static str| {
            timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]))
        };
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        for wrong in ["", "m", "10", "-1S", "99999999999999999999H", "é"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }

    /// The names of calls stand in the generated code and in the list for metrics.
    #[test]
    fn every_call_of_the_service_is_known_and_no_other() {
        let description: prost_types::FileDescriptorSet = prost::Message::decode(protocol::DESCRIPTION).unwrap();
        let services = description.file.iter().flat_map(|file| &file.service);
        let calls: Vec<&str> = services.flat_map(|service| &service.method).map(|call| call.name()).collect();
        assert_eq!(calls, CALLS);
        assert_eq!(known_path("/inference.GRPCInferenceService/Nothing"), "(none)");
        assert_eq!(known_path("/grpc.health.v1.Health/Check"), "/grpc.health.v1.Health/Check");
    }
}
