//! The network: connections in, until told to stop, and then none that was accepted is left without its answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::config::ServeConfig;
use crate::{ServeError, grpc, http, tls};

/// Streams that a connection of HTTP/2 may have at a time.
const STREAMS: u32 = 256;
/// Between two folds of the metrics.
const FOLD: Duration = Duration::from_secs(1);

/// Models that are loaded, and an address that is listened at.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    /// Where the metrics are answered besides.
    metrics: Option<TcpListener>,
    tls: Option<TlsAcceptor>,
}

/// All that a server answers, without a network: for programs that have one of their own, and for tests. Folders are not
/// watched and changed tokens not read, and it is for the caller to ask for `/metrics` now and then, which folds them.
/// To be called within a runtime.
///
/// # Errors
/// If the configuration makes no sense, or a model cannot be loaded or fails its self-test.
pub fn router(runs: &[PathBuf], config: ServeConfig) -> Result<axum::Router, ServeError> {
    let app = Arc::new(App::new(config, runs)?);
    Ok(http::router(&app).0)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Loads the models of the command line, `runs`, and those of the configuration, and begins to listen.
    ///
    /// # Errors
    /// If the configuration makes no sense, a model cannot be loaded or fails its self-test, or the address is taken.
    pub async fn start(runs: &[PathBuf], config: ServeConfig) -> Result<Server, ServeError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let app = Arc::new(App::new(config, runs)?);
        let (listener, address) = listen(format!("{}:{}", app.config.host, app.config.port)).await?;
        let metrics = match &app.config.metrics_address {
            Some(address) => Some(listen(address.clone()).await?.0),
            None => None,
        };
        Ok(Server { app, listener, address, metrics, tls })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are answered besides, if anywhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// The models that are served, with their versions, and the inputs and tasks of each.
    #[must_use]
    pub fn models(&self) -> Vec<(String, Vec<String>)> {
        let all = self.app.repository.all();
        let versions = |served: &crate::repository::Served| {
            served.versions().iter().map(|version| version.version.clone()).collect()
        };
        all.iter().map(|(name, served)| (name.clone(), versions(served))).collect()
    }

    /// Answers until `stop` is done; then says not to be ready, waits for the drain delay, takes no more connections, and
    /// answers what was accepted. `say` is told what happens besides, a line each.
    pub async fn run(self, stop: impl Future<Output = ()>, say: impl Fn(&str) + Send + Sync + 'static) {
        let Server { app, listener, metrics, tls, .. } = self;
        let (router, health) = http::router(&app);
        grpc::report(&health, app.is_ready()).await;
        let say = Arc::new(say);
        let mut chores = vec![tokio::spawn(fold(Arc::clone(&app))), tokio::spawn(poll(Arc::clone(&app), say.clone()))];
        chores.extend(metrics.map(|listener| tokio::spawn(tell_metrics(Arc::clone(&app), listener))));
        let connections = Connections::new(&app, tls);
        let service = TowerToHyperService::new(router);
        let stopped = async {
            stop.await;
            app.stop();
            grpc::report(&health, false).await;
            tokio::time::sleep(Duration::from_secs_f64(app.config.shutdown.drain_delay_seconds)).await;
        };
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => connections.serve(stream, service.clone()),
                    Err(error) => {
                        // Too many open files, usually: those that end make room.
                        say(&format!("cannot accept a connection: {error}"));
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(listener);
        chores.iter().for_each(tokio::task::JoinHandle::abort);
        let limit = Duration::from_secs_f64(app.config.shutdown.limit_seconds);
        if tokio::time::timeout(limit, connections.finish()).await.is_err() {
            say(&format!("some connections were still open after {limit:?} and are cut"));
        }
    }
}

async fn listen(address: String) -> Result<(TcpListener, SocketAddr), ServeError> {
    let bound = TcpListener::bind(&address).await.and_then(|listener| {
        let at = listener.local_addr()?;
        Ok((listener, at))
    });
    bound.map_err(|source| ServeError::Listen { address, source })
}

/// Answers with the metrics, at their own address.
async fn tell_metrics(app: Arc<App>, listener: TcpListener) {
    // It ends with the server.
    let _ = axum::serve(listener, http::metrics_router(&app)).await;
}

/// Folds the metrics.
async fn fold(app: Arc<App>) {
    let mut ticks = tokio::time::interval(FOLD);
    loop {
        ticks.tick().await;
        app.metrics.fold();
    }
}

/// Looks at what may have changed on disk.
async fn poll(app: Arc<App>, say: Arc<impl Fn(&str) + Send + Sync + 'static>) {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(app.config.poll_seconds));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (app, say) = (Arc::clone(&app), Arc::clone(&say));
        let looked = tokio::task::spawn_blocking(move || {
            app.tokens.poll().into_iter().chain(app.repository.poll()).for_each(|line| say(&line));
        });
        // A look that panicked said so; the next one may do better.
        let _ = looked.await;
    }
}

/// All connections, and how they are served.
struct Connections {
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    room: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    app: Arc<App>,
    /// Time for a handshake.
    arrival: Duration,
}

impl Connections {
    fn new(app: &Arc<App>, tls: Option<TlsAcceptor>) -> Connections {
        let arrival = Duration::from_millis(app.config.limits.arrival_ms);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(arrival);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            // A peer that went away without a word is noticed.
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(arrival);
        let room = Arc::new(Semaphore::new(app.config.limits.connections.min(Semaphore::MAX_PERMITS)));
        Connections { builder, graceful: GracefulShutdown::new(), room, tls, app: Arc::clone(app), arrival }
    }

    /// Serves a connection on a task of its own; where there are too many already, it is closed.
    fn serve(&self, stream: TcpStream, service: Service) {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else { return };
        // Small answers must not wait for the acknowledgement of those before: with gRPC that is 40 ms.
        let _ = stream.set_nodelay(true);
        let watcher = self.graceful.watcher();
        let (builder, app) = (self.builder.clone(), Arc::clone(&self.app));
        let (tls, arrival) = (self.tls.clone(), self.arrival);
        tokio::spawn(async move {
            app.metrics.connections.increment(1);
            match tls {
                None => converse(&builder, stream, service, watcher, room).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(arrival, tls.accept(stream)).await {
                        converse(&builder, stream, service, watcher, room).await;
                    }
                }
            }
            app.metrics.connections.decrement(1);
        });
    }

    /// Tells all connections that they are the last requests, and waits for their answers.
    async fn finish(self) {
        self.graceful.shutdown().await;
    }
}

type Service = TowerToHyperService<axum::Router>;

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    builder: &Builder<TokioExecutor>,
    stream: S,
    service: Service,
    watcher: hyper_util::server::graceful::Watcher,
    _room: OwnedSemaphorePermit,
) {
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the peer's affair: nothing is left to be done about it.
    let _ = watcher.watch(connection).await;
}
