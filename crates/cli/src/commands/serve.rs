//! `hinet serve`: models over HTTP and gRPC, until Ctrl-C or SIGTERM.

use std::path::Path;

use hinet_serve::{ServeConfig, ServeError, Server};
use hinet_train::read_config;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ServeArguments;
use crate::output::Talk;

pub(crate) fn run(arguments: &ServeArguments, talk: Talk) -> anyhow::Result<()> {
    let config = config(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, config, talk))
}

async fn serve(arguments: &ServeArguments, config: ServeConfig, talk: Talk) -> anyhow::Result<()> {
    // Before anything is loaded, so that no signal is missed.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(&arguments.runs, config).await?;
    for (name, versions) in server.models() {
        talk.say(format_args!("model `{name}`, {}", versions_of(&versions)));
    }
    if let Some(address) = server.metrics_address() {
        talk.say(format_args!("metrics at http://{address}/metrics"));
    }
    let scheme = if server.is_encrypted() { "https" } else { "http" };
    talk.say(format_args!("listening at {scheme}://{}", server.address()));
    let stop = async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
        };
        talk.say(format_args!("{name}: taking no more requests, answering those that came"));
    };
    server.run(stop, move |line| talk.say(line)).await;
    Ok(())
}

fn versions_of(versions: &[String]) -> String {
    match versions {
        [version] => format!("version {version}"),
        versions => format!("versions {}", versions.join(", ")),
    }
}

/// The settings of the file, under those of the command line.
fn config(arguments: &ServeArguments) -> anyhow::Result<ServeConfig> {
    let mut config = match &arguments.config {
        None => ServeConfig::default(),
        Some(file) => {
            let mut config: ServeConfig = read_config(file, meaning)?;
            config.resolve(file.parent().unwrap_or(Path::new("")));
            config
        }
    };
    if let Some(host) = &arguments.host {
        config.host.clone_from(host);
    }
    if let Some(port) = arguments.port {
        config.port = port;
    }
    if let Some(threads) = arguments.threads.threads {
        config.threads = threads.into();
    }
    Ok(config)
}

/// What the parts say together that cannot be.
fn meaning(config: &ServeConfig) -> Vec<(String, String)> {
    match config.check() {
        Err(ServeError::Config { key, found, expected }) => vec![(key, format!("found {found}, expected {expected}"))],
        Ok(()) | Err(_) => Vec::new(),
    }
}
