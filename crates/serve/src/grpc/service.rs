//! The calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::protocol::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use super::protocol::{
    DataType, InferStatistics, ModelConfig, ModelConfigRequest, ModelConfigResponse, ModelInferRequest,
    ModelInferResponse, ModelInput, ModelMetadataRequest, ModelMetadataResponse, ModelOutput, ModelReadyRequest,
    ModelReadyResponse, ModelStatistics, ModelStatisticsRequest, ModelStatisticsResponse, RepositoryIndexRequest,
    RepositoryIndexResponse, RepositoryModelLoadRequest, RepositoryModelLoadResponse, RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse, StatisticDuration,
    model_metadata_response::TensorMetadata, repository_index_response::ModelIndex,
};
use super::tensors;
use crate::app::App;
use crate::http::respond::trace;
use crate::oip::metadata;
use crate::refusal::Refusal;
use crate::repository::Served;
use crate::statistics::{CountAndTime, StatisticsLine};
use crate::version::Version;

/// The protocol's calls on the models.
pub(crate) struct Inference {
    app: Arc<App>,
}

/// The service. Packed messages are not taken, so that its limit holds for what they would become.
pub(super) fn inference(app: &Arc<App>) -> GrpcInferenceServiceServer<Inference> {
    let service = GrpcInferenceServiceServer::new(Inference { app: Arc::clone(app) });
    service.max_decoding_message_size(app.config.limits.body_bytes)
}

impl Inference {
    /// A model and one of its versions; an empty version names none.
    fn find(&self, name: &str, version: &str) -> Result<(Arc<Served>, Arc<Version>), Refusal> {
        let served = self.app.repository.model(Some(name))?;
        let version = Arc::clone(served.choose((!version.is_empty()).then_some(version), None)?);
        Ok((served, version))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.app.is_ready() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = self.app.is_ready() && self.find(&name, &version).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let metadata::ServerMetadata { name, version, extensions } = metadata::server();
        let extensions = extensions.iter().map(|&extension| extension.to_owned()).collect();
        Ok(Response::new(ServerMetadataResponse { name: name.to_owned(), version: version.to_owned(), extensions }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let (served, version) = self.find(&name, &version)?;
        let metadata::ModelMetadata { name, versions, platform, inputs, outputs } = metadata::model(&served, &version);
        let tensor = |tensor: metadata::TensorMetadata| TensorMetadata {
            name: tensor.name,
            datatype: tensor.datatype.to_owned(),
            shape: tensor.shape,
        };
        Ok(Response::new(ModelMetadataResponse {
            name,
            versions,
            platform: platform.to_owned(),
            inputs: inputs.into_iter().map(tensor).collect(),
            outputs: outputs.into_iter().map(tensor).collect(),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let asked = self.app.asked(request.metadata().as_ref())?;
        let request = request.into_inner();
        let served = self.app.repository.model(Some(&request.model_name))?;
        let named = (!request.model_version.is_empty()).then_some(request.model_version.as_str());
        let version = served.choose(named, asked.key.as_deref())?;
        let outputs = crate::oip::outputs(&version.tasks, request.outputs.iter().map(|output| output.name.as_str()))?;
        let rows = tensors::rows(version, &request)?;
        let answer = self.app.score(&served, version, rows, &asked).await?;
        let mut response = Response::new(tensors::answer(request, &answer, &outputs));
        response.extensions_mut().insert(trace(&answer));
        Ok(response)
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let ModelConfigRequest { name, version } = request.into_inner();
        let (_, version) = self.find(&name, &version)?;
        let configuration = metadata::configuration(&version);
        let kind = |name: &str| DataType::from_str_name(name).unwrap_or(DataType::TypeInvalid) as i32;
        let config = ModelConfig {
            input: configuration
                .input
                .into_iter()
                .map(|input| ModelInput {
                    data_type: kind(input.data_type),
                    name: input.name,
                    dims: input.dims,
                    optional: input.optional,
                })
                .collect(),
            output: configuration
                .output
                .into_iter()
                .map(|output| ModelOutput { data_type: kind(output.data_type), name: output.name, dims: output.dims })
                .collect(),
            name: configuration.name,
            platform: configuration.platform.to_owned(),
            max_batch_size: configuration.max_batch_size,
            backend: configuration.backend.to_owned(),
        };
        Ok(Response::new(ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let all = self.app.repository.all();
        let served: Vec<Arc<Served>> = match name.as_str() {
            "" => BTreeMap::values(&all).cloned().collect(),
            name => vec![self.app.repository.model(Some(name))?],
        };
        let versions = served.iter().flat_map(|served| served.versions());
        let versions = versions.filter(|known| version.is_empty() || known.version == version);
        let model_stats = versions.map(|version| statistics(version.statistics())).collect();
        Ok(Response::new(ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let ready = request.into_inner().ready;
        let lines = self.app.repository.index().into_iter().filter(|line| !ready || line.state == "READY");
        let models = lines.map(|line| ModelIndex {
            name: line.model,
            version: line.version,
            state: line.state.to_owned(),
            reason: line.reason,
        });
        Ok(Response::new(RepositoryIndexResponse { models: models.collect() }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let name = request.into_inner().model_name;
        self.app.change(move |repository| repository.load(&name)).await?;
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        let name = request.into_inner().model_name;
        self.app.change(move |repository| repository.unload(&name)).await?;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }
}

fn statistics(line: StatisticsLine) -> ModelStatistics {
    let of = |part: CountAndTime| Some(StatisticDuration { count: part.count, ns: part.ns });
    let stats = line.inference_stats;
    ModelStatistics {
        name: line.name,
        version: line.version,
        last_inference: line.last_inference,
        inference_count: line.inference_count,
        execution_count: line.execution_count,
        inference_stats: Some(InferStatistics {
            success: of(stats.success),
            fail: of(stats.fail),
            queue: of(stats.queue),
            compute_input: of(stats.compute_input),
            compute_infer: of(stats.compute_infer),
            compute_output: of(stats.compute_output),
        }),
    }
}
