//! The JSON Schema of the experiment file, for editors and for the strict reading.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::ExperimentFile;

/// JSON Schema (draft 7, which Taplo and Even Better TOML read) of the experiment file.
pub fn json_schema() -> Value {
    schema_of::<ExperimentFile>()
}

/// JSON Schema (draft 7) of a configuration.
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}
