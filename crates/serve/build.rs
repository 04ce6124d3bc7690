//! Rust types and services from `proto/`, without a protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["proto/inference.proto"], ["proto"])?;
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure().build_client(true).build_transport(false).compile_fds(files)?;
    Ok(())
}
