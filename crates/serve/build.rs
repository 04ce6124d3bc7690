//! Rust types and services from `proto/`, without a protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["proto/inference.proto"], ["proto"])?;
    let folder = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(folder.join("inference.bin"), prost::Message::encode_to_vec(&files))?;
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure().build_client(true).build_transport(false).compile_fds(files)?;
    Ok(())
}
